"""What a user installs: the wheel holds the defaults and the demo, and finds them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ("config", "assets/demo")
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
FIND = (
    "import sys; from pktui.settings import bundled\n"
    "for name in sys.argv[1:]: print(bundled(*name.split('/')).resolve())"
)
COUNT = (
    "from pktui.cli.demo.samples import samples, WRITTEN_AT\nprint(len(list(samples(WRITTEN_AT))))"
)


def shipped_files() -> set[str]:
    """Every file of config/ and assets/demo, hidden ones and caches apart."""
    return {
        file.relative_to(ROOT).as_posix()
        for name in BUNDLED
        for file in (ROOT / name).rglob("*")
        if file.is_file() and not file.name.startswith(".") and file.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the wheel was unpacked into, which is all that installing it does."""
    built = tmp_path_factory.mktemp("built")
    ended = subprocess.run(
        [sys.executable, "-c", BUILD, str(built)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(built / ended.stdout.split()[-1]) as wheel:
        wheel.extractall(target)
    return target


def run(installed: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=installed.parent,
        env={**os.environ, "PYTHONPATH": str(installed)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def test_everything_shipped_is_in_the_wheel_and_found(installed: Path) -> None:
    names = sorted(shipped_files())
    assert any(name.startswith("config/policies/") for name in names)
    assert any(name.startswith("assets/demo/") for name in names)
    found = run(installed, "-c", FIND, *names).splitlines()
    assert found == [str(installed / "pktui" / "bundled" / name) for name in names]
    for name, path in zip(names, found, strict=True):
        assert Path(path).read_bytes() == (ROOT / name).read_bytes()


def test_the_installed_program_runs_and_reads_its_own_samples(installed: Path) -> None:
    assert run(installed, "-m", "pktui", "--version").startswith("pktui ")
    assert int(run(installed, "-c", COUNT)) > 300


def test_only_the_package_and_its_metadata_are_installed(installed: Path) -> None:
    assert {entry.name.split("-")[0] for entry in installed.iterdir()} == {"pktui"}
    commands = next(installed.glob("pktui-*.dist-info")) / "entry_points.txt"
    assert "pktui = pktui.cli.entry:main" in commands.read_text()
    assert (installed / "pktui" / "py.typed").exists()
