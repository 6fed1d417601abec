"""Feed: every call as it happens."""
