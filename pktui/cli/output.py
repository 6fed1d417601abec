"""What commands print: data on standard output, narration and errors on standard error.

Everything printed here has gone through `pktui.text`, so a command hands over foreign text as it
is. Times are shown in the person's own zone.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pktui.cli.commands import Option
from pktui.errors import PktuiError
from pktui.text import escaped, one_line, storable_parts, visible

# The `--json` option of every command that prints data: `json: JsonFlag = False`.
JsonFlag = Annotated[bool, Option("--json", help="Print JSON on standard output.")]

# Characters of one table cell.
CELL_LIMIT = 120
_UNBOUNDED = 100_000
# Between two columns; what a column that gives way keeps while another has more.
_GAP, _LEAST = 2, 9


def note(text: str) -> None:
    """Say something about the work on standard error: progress, what was done, what to do."""
    print(visible(text), file=sys.stderr, flush=True)


def fail(error: PktuiError) -> None:
    """Say on standard error what went wrong and what to do, in one line."""
    note(f"pktui: {one_line(str(error), 2_000)}")


def line(text: str = "") -> None:
    """Print text as data; its own line breaks stay, everything else active is made visible."""
    print(visible(text))


def json(value: object) -> None:
    """Print a record, a struct, a dataclass or a sequence of them as one JSON document.

    Characters that a terminal acts on, or that cannot be seen, are written as JSON escapes: the
    value stays exact and is safe to show. Paths, enums, decimals and times become strings.
    """
    import msgspec

    print(escaped(msgspec.json.format(_encoded(value), indent=2).decode()))


def json_line(value: object) -> None:
    """Print one JSON document on one line, as JSON Lines want it."""
    print(escaped(_encoded(value).decode()))


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str = "") -> None:
    """Print rows under their headers; without rows say `empty` on standard error.

    Cells are cut to one line. On a terminal the last columns give way where it is narrow, and the
    first, which names the row, is never cut; in a pipe nothing is cut to a width.
    """
    cells = [[one_line(cell, CELL_LIMIT) for cell in row] for row in rows]
    if not cells:
        if empty:
            note(empty)
        return
    on_terminal = sys.stdout.isatty()
    width = _terminal_width() if on_terminal else _UNBOUNDED
    room = _room(headers, cells, width)
    head = _row(headers, room)
    print(f"\x1b[1m{head}\x1b[0m" if on_terminal and not os.environ.get("NO_COLOR") else head)
    for row in cells:
        print(_row(row, room))


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _row(cells: Sequence[str], room: Sequence[int]) -> str:
    """Return cells side by side, each cut to its room."""
    parts = []
    for cell, least in zip(cells, room, strict=True):
        shown = cell if _width(cell) <= least else _cut(cell, least)
        parts.append(shown + " " * (least - _width(shown)))
    return (" " * _GAP).join(parts).rstrip()


def _cut(text: str, room: int) -> str:
    """Return the start of a text that fills its room with the mark of a cut."""
    while text and _width(text) > room - 1:
        text = text[:-1]
    return f"{text}…" if room else ""


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _room(headers: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the columns that each column of a table takes of that width, the last cut first."""
    room = [max(map(_width, column)) for column in zip(headers, *cells, strict=True)]
    over = sum(room) + _GAP * (len(room) - 1) - width
    for least in (_LEAST, 1):
        for index in range(len(room) - 1, 0, -1):
            cut = max(0, min(over, room[index] - least))
            room[index] -= cut
            over -= cut
    return room


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values under each other; an empty value is left out."""
    known = [(name, visible(value)) for name, value in pairs if value]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        print(f"{name:<{width}}  {value.replace(chr(10), chr(10) + ' ' * (width + 2))}")


def moment(when: datetime | int | None) -> str:
    """Return a time as `2026-01-31 08:00:05` in the person's zone; an int is microseconds UTC."""
    if when is None:
        return ""
    if isinstance(when, int):
        when = datetime.fromtimestamp(when / 1_000_000, UTC)
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(when: datetime, now: datetime) -> str:
    """Return how long before `now` something was, as `age` says it."""
    return age(int((now - when).total_seconds() * 1_000_000))


def age(span_us: int) -> str:
    """Return a span in its largest unit: `5m`, `3h`, `12d`."""
    seconds = max(0, span_us // 1_000_000)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def span(span_us: int) -> str:
    """Return how long something took: `870 µs`, `12 ms`, `3.4 s`, `2:05`, `1:02:03`."""
    if span_us < 1_000:
        return f"{span_us} µs" if span_us else "0"
    if span_us < 1_000_000:
        return f"{span_us // 1_000} ms"
    if span_us < 60_000_000:
        return f"{span_us / 1_000_000:.1f} s"
    minutes, seconds = divmod(span_us // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def confirm(question: str, *, yes: bool) -> None:
    """Ask before what counts for much; `yes` answers it. Raises `PktuiError` on anything else."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise PktuiError("nobody can be asked here, so nothing was done", "Give --yes to do it")
    import click

    if not click.confirm(visible(question), default=False, err=True):
        raise PktuiError("nothing was done")


def accept_any_text() -> None:
    """Write what the terminal's encoding lacks as an escape instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def abandon_output() -> None:
    """Send what is still to be printed nowhere: the reader of our standard output has left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _encoded(value: object) -> bytes:
    import msgspec

    try:
        return msgspec.json.encode(value, enc_hook=_plain)
    except UnicodeEncodeError:  # a path that is not UTF-8
        plain = msgspec.to_builtins(value, enc_hook=_plain)
        return msgspec.json.encode(storable_parts(plain))


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
