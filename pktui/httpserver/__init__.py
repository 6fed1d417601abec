"""The one HTTP server, and who may come in: for the gateway that listens and the memory service."""
