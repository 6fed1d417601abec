"""Sessions, messages and knowledge in LanceDB; importing this takes seconds."""

from pktui.memory.store.store import Store

__all__ = ["Store"]
