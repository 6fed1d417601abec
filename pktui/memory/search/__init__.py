"""Finding messages and entries: by words, by meaning, by both, or exactly."""
