"""Whether what decides stands as its events say, and what to do where it does not."""
