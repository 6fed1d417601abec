"""Moving the focus in the turn of the key that asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.tui.views.base import View
from pktui.tui.widgets.panes import is_zoomed, zoom

if TYPE_CHECKING:
    from textual.widget import Widget


def focus_now(widget: Widget) -> None:
    """Give a mounted widget the focus at once, where its view is in front.

    `Widget.focus` only queues: keys that follow would go to what had the focus before.
    """
    view = next((node for node in widget.ancestors if isinstance(node, View)), None)
    if view is not None and is_zoomed(view):
        zoom(view, widget)
    if view is None or view.display:
        widget.screen.set_focus(widget)
