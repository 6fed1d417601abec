"""One client and one server: what passes between them, and what waits on the way."""
