"""The journal: segments of hash-chained rows, the joints between them, the index made of both."""
