"""A server behind a URL: streamable HTTP on one side, lines on the other."""
