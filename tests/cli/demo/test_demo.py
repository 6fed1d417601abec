from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pktui.cli.demo.person import Unmet
from pktui.cli.demo.play import _ending_on_signals, play_headless
from pktui.cli.demo.puppet import AgentProcess
from pktui.cli.demo.script import Scene, Step
from pktui.cli.demo.stage import Stage, processes_on, set_stage, wait_for
from pktui.ledger.ledger import Ledger
from pktui.settings import Paths

DEMO = [sys.executable, "-m", "pktui", "demo"]


def test_the_whole_story_comes_true(paths: Paths, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ended = subprocess.run(
        [*DEMO, "--headless"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=290,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("✓") == 16
    assert list(scratch.iterdir()) == []
    assert not paths.config_dir.exists()
    assert not paths.data_dir.exists()


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_story_that_is_broken_off_leaves_nothing(
    sign: signal.Signals, status: int, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with subprocess.Popen(
        [*DEMO, "--headless"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as demo:
        assert wait_for(lambda: bool(list(scratch.glob("*/data/ledger.db"))), 60)
        (root,) = scratch.iterdir()
        demo.send_signal(sign)
        assert demo.wait(60) == status
    assert list(scratch.iterdir()) == []
    assert processes_on(Stage(root, Paths.at(root, root), root)) == ()


def test_a_request_to_end_that_meets_a_finalizer_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    dropped: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)
    with _ending_on_signals() as leave_if_asked:
        leave_if_asked()
        Finalized()
        with pytest.raises(SystemExit, match="130"):
            leave_if_asked()
    assert len(dropped) == 1


def test_a_step_that_does_not_come_true_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def untrue() -> str:
        raise Unmet("the moon should be green")

    steps = (("One thing", lambda: "it is so"), ("Another thing", untrue))
    monkeypatch.setattr("pktui.cli.demo.story.Story.steps", lambda _story: steps)
    monkeypatch.setattr("pktui.cli.demo.play._time_limit", contextlib.nullcontext)
    assert play_headless() == 1
    out, err = capsys.readouterr()
    assert "✓  1/2 One thing" in out
    assert "✗  2/2 Another thing\n        the moon should be green" in out
    assert "The story broke at: Another thing" in err


def test_the_demo_for_a_person_needs_a_terminal() -> None:
    ended = subprocess.run(
        DEMO, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("pktui: the console needs a terminal")


def test_the_agent_goes_on_through_denials_until_its_input_ends(tmp_path: Path) -> None:
    scenes = [
        Scene("reading", "looking round", (step("list_files"), step("rotate_keys"))),
        Scene("reading", "too far", (step("delete_branch", name="main"),)),
        Scene("writing", "asking", (step("write_file", path="a.txt", content="a"),)),
    ]
    script = tmp_path / "script.jsonl"
    script.write_bytes(b"\n".join(map(msgspec.json.encode, scenes)))
    with set_stage() as stage:
        ledger = Ledger.open(stage.paths.ledger_file)
        with AgentProcess(stage, str(script)) as agent:

            def seen() -> set[tuple[str, str]]:
                return {(call.tool, call.effect) for call in ledger.feed.page(limit=1000)}

            wanted = {
                ("list_files", "allow"),
                ("rotate_keys", "hide"),
                ("delete_branch", "deny"),
                ("write_file", "approve"),
            }
            assert wait_for(lambda: wanted <= seen(), 60), seen()
            assert wait_for(lambda: ledger.feed.count() > 10, 60)
            assert agent.process.poll() is None
            assert agent.end() == 0
        assert wait_for(lambda: not ledger.presence.alive("gateway"), 10)
        ledger.close()


def step(tool: str, **arguments: str) -> Step:
    return Step("workshop", tool, arguments, 0.05)
