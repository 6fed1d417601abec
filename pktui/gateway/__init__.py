"""The enforcement point between an MCP client and an MCP server."""
