"""What an interruption does before a command has begun."""

from __future__ import annotations

import sys

import pytest

from pktui.cli import entry


@pytest.mark.parametrize(
    ("arguments", "status"),
    [([], 130), (["gateway", "files"], 130), (["status"], 130), (["hook", "claude-code"], 2)],
)
def test_an_interruption_while_loading_leaves_no_traceback_and_lets_nothing_run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_load_msgspec", interrupted)
    monkeypatch.setattr(sys, "argv", ["pktui", *arguments])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == status
    assert ("[DENIED by pktui]" in capsys.readouterr().err) == (status == 2)
