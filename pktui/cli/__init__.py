"""The commands; each imports its room lazily."""
