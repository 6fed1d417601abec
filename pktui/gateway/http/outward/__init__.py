"""HTTP/1.1 to a server behind a URL, in the event loop."""
