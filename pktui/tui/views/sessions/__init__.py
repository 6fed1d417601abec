"""The Sessions view."""
