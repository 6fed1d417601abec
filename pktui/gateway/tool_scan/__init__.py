"""Which tools a server has, and what hides in their definitions."""
