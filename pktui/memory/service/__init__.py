"""The service: the one process that owns the memory of a data directory."""
