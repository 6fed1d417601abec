"""`pktui demo`: the whole story on throwaway data."""

from __future__ import annotations

from typing import Annotated

from pktui.cli.commands import Exit, Option


def demo(
    headless: Annotated[
        bool,
        Option("--headless", help="Play it to its end without a terminal, and check it."),
    ] = False,
) -> None:
    """Play the whole story on throwaway data: a real agent, real gateways, the real console.

    Nothing of your own is read or changed. --headless exits with 0 only if every step of the
    story went as it should.
    """
    if headless:
        from pktui.cli.demo.play import play_headless

        raise Exit(play_headless())
    from pktui.cli.console import require_terminal
    from pktui.cli.demo.play import play_in_console

    require_terminal()
    raise Exit(play_in_console())
