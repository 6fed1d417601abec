"""Lines through descriptors, without ever waiting for a slow reader."""
