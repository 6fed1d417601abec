"""The 15 MCP tools of the memory: what they are called, what they take, what they answer."""
