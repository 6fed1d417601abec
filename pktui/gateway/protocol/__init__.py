"""Messages as they travel: parsed strictly, cut out of streams, repeated in headers."""
