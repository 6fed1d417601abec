"""Policy: what may happen. Documents and their evaluation, without I/O but loading and saving."""
