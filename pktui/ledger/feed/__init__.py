"""The feed of calls: its filter, the SQL it becomes, its pages."""
