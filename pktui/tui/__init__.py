"""The console, drawn with Textual."""
