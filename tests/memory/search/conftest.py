"""The same store as the tests of the store have."""

from tests.memory.store.conftest import clock, place, store

__all__ = ["clock", "place", "store"]
