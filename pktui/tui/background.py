"""Work in a thread, whose end is told in the event loop of the widget that asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pktui.errors import PktuiError
from pktui.tui.context import context_of

if TYPE_CHECKING:
    from textual.dom import DOMNode

T = TypeVar("T")
E = TypeVar("E")


def in_thread(
    node: DOMNode,
    work: Callable[[], T],
    done: Callable[[T], object],
    failed: Callable[[PktuiError], object],
    *,
    group: str,
    saying: str = "",
) -> None:
    """Run `work`, which may block, then one of `done` and `failed` in the event loop.

    What takes longer than a moment is named in the last line by what is `saying`.
    """
    app, console = node.app, context_of(node)
    ended = console.working(saying) if saying else None

    def tell(then: Callable[[E], object], end: E) -> None:
        if node.is_attached:  # else it was left meanwhile
            then(end)

    def run() -> None:
        try:
            result = work()
        except PktuiError as error:
            node.call_later(tell, failed, error)
        else:
            node.call_later(tell, done, result)
        finally:
            if ended is not None:
                app.call_later(ended)

    node.run_worker(run, thread=True, group=group, description=group)
