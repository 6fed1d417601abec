"""LanceDB without what only its REST catalogue needs: more than half of the time of its import.

`lancedb` imports the data models of a client for REST catalogues, and their package imports the
whole client first. Both stay unread here until somebody uses them: the client, and each model by
itself (5 MB and a fifth of the time).
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from types import ModuleType
from typing import Any

_REST_CLIENT = "lance_namespace_urllib3_client"
_MODELS = f"{_REST_CLIENT}.models"
_BEFORE_CAPITAL = re.compile("(?<!^)(?=[A-Z])")


class _Unread(ModuleType):
    """A package whose modules can be imported, and that is itself run when it is first used."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if name.startswith("__") or spec is None or spec.loader is None:
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec.loader.exec_module(self)
        return getattr(self, name)


class _Models(_Unread):
    """The package of the models, each in a module of its own that is named after it."""

    def __getattr__(self, name: str) -> Any:
        if name[:1].isupper():
            return _Model(name, (), {})
        return super().__getattr__(name)


class _Model(type):
    """Stands for a model, which is read when one is made, asked for, or looked for in a value."""

    def __call__(cls, *arguments: Any, **fields: Any) -> Any:
        return _read(cls.__name__)(*arguments, **fields)

    def __getattr__(cls, name: str) -> Any:
        return getattr(_read(cls.__name__), name)

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _read(cls.__name__))


def _read(model: str) -> Any:
    module = _BEFORE_CAPITAL.sub("_", model).lower()
    return getattr(importlib.import_module(f"{_MODELS}.{module}"), model)


def _leave_unread(package: str, kind: type[_Unread]) -> None:
    spec = importlib.util.find_spec(package) if package not in sys.modules else None
    if spec is None or spec.submodule_search_locations is None:
        return
    unread = kind(package)
    unread.__spec__ = spec
    unread.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = unread
    parent, _, name = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], name, unread)


_leave_unread(_REST_CLIENT, _Unread)
_leave_unread(_MODELS, _Models)

import lancedb  # noqa: E402  what it imports was prepared above

__all__ = ["lancedb"]
