"""The shape of the tree: modules import each other one way, and a file's name says which it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import grimp
import pytest

import pktui

SOURCE = Path(pktui.__file__).parent
# Names of files that may stand any number of times.
ANYWHERE = {"__init__.py", "view.py", "draw.py"}


def circles(graph: grimp.ImportGraph) -> list[set[str]]:
    """Return the sets of modules of which each imports all others, over some way."""
    found: list[set[str]] = []
    for module in sorted(graph.modules):
        if not any(module in circle for circle in found):
            both = graph.find_upstream_modules(module) & graph.find_downstream_modules(module)
            if both:
                found.append({module, *both})
    return found


def test_modules_import_each_other_one_way() -> None:
    """Imports for type checkers and imports inside of functions count as well."""
    graph = grimp.build_graph("pktui", exclude_type_checking_imports=False, cache_dir=None)
    assert len(graph.modules) == len(list(SOURCE.rglob("*.py")))
    assert circles(graph) == []


@pytest.mark.parametrize("imports", [[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]])
def test_a_circle_is_found(imports: list[tuple[str, str]]) -> None:
    graph = grimp.ImportGraph()
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported)
    assert circles(graph) == [{"a", "b", "c"}]


def test_a_name_of_a_file_stands_at_most_three_times() -> None:
    names = Counter(path.name for path in SOURCE.rglob("*.py") if path.name not in ANYWHERE)
    often = {name: count for name, count in names.items() if count > 3}
    assert often == {}
