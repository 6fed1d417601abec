"""What stands behind a relay: a process, a server behind a URL, or the built-in memory."""
