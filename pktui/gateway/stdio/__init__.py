"""The gateway on stdin and stdout, from its start to its end."""
