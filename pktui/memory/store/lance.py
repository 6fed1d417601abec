"""LanceDB without what only its REST catalogue needs: more than half of the time of its import.

`lancedb` imports the data models of a client for REST catalogues, and their package imports the
whole client first. It stays unread here until somebody uses it.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

_REST_CLIENT = "lance_namespace_urllib3_client"


class _Unread(ModuleType):
    """A package whose modules can be imported, and that is itself run when it is first used."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if name.startswith("__") or spec is None or spec.loader is None:
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec.loader.exec_module(self)
        return getattr(self, name)


def _leave_unread(package: str) -> None:
    spec = importlib.util.find_spec(package) if package not in sys.modules else None
    if spec is None or spec.submodule_search_locations is None:
        return
    unread = _Unread(package)
    unread.__spec__ = spec
    unread.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = unread


_leave_unread(_REST_CLIENT)

import lancedb  # noqa: E402  what it imports was prepared above

__all__ = ["lancedb"]
