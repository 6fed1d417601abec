"""What may happen: policy documents and their evaluation, without I/O but loading and saving."""
