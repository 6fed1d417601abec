"""pktui: the control room for the AI agents on a developer's machine."""

__version__ = "0.1.0"
