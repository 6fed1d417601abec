"""What stands behind a relay on this machine: a process, or the built-in memory."""
