"""What a tool answered, for a person: its text as it was, pictures and files as their sizes.

The record has a result as the server or the agent's hook gave it, masked and cut; what a text is
follows from MCP's content blocks where it has those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.text import one_line
from pktui.tui.arguments import argument_lines, raw_lines, summary
from pktui.tui.document import Line

if TYPE_CHECKING:
    from pktui.ledger.records import Result

_SHORT: Final = 200
# Members of agents' own results that hold what a person would read, the first of them first.
_READ: Final = ("stdout", "output", "llmContent", "content", "text", "stderr")
_encode: Final = msgspec.json.Encoder().encode


def result_lines(result: Result) -> tuple[Line, ...]:
    """Lay a result out, every part of it; texts are made visible."""
    if not result.text:
        what = f"sha256 {result.sha256}" if result.sha256 else "nothing of it was kept"
        return (Line(f"{what}, of {result.bytes:,} bytes", "note"),)
    return (*_said(_value_of(result)), *_how_much(result))


def result_summary(result: Result, limit: int) -> str:
    """Return the beginning of a result on one line, in quotes where it is a text."""
    if not result.text:
        return f"{result.bytes:,} bytes"
    value = _value_of(result)
    words = next(filter(None, (text.strip() for text in _texts(value))), "")
    if words:
        return f'"{one_line(words.partition(chr(10))[0], max(1, limit - 2))}"'
    blocks = _blocks(value)
    if blocks is None:
        return summary(result.text, limit)
    files = ", ".join(filter(None, map(_of_file, blocks)))
    structured = _text(value.get("structuredContent"))
    return one_line(files or summary(structured, limit) or "an empty result", limit)


def result_text(result: Result) -> str:
    """Return a result to be copied: its texts where it has any, else its JSON text."""
    value = _value_of(result) if result.text else None
    return "\n".join(_texts(value)) or result.text or result.sha256


def _value_of(result: Result) -> Any:
    """Return what is kept; its text, where it has what JSON allows and no number here holds."""
    try:
        return msgspec.json.decode(result.text)
    except (msgspec.DecodeError, RecursionError):
        return result.text


def _how_much(result: Result) -> Iterator[Line]:
    if "… [cut]" in result.text or "too large to keep" in result.text:
        yield Line(f"cut: it had {result.bytes:,} bytes", "note")


def _said(value: Any) -> Iterator[Line]:
    blocks = _blocks(value)
    if _is_error(value):
        yield Line(f"error {value['code']}", "strong")
        yield from raw_lines(str(value["message"]))
        if value.get("data") is not None:
            yield from argument_lines(_text(value["data"]))
    elif blocks is None:
        yield from _text_lines(value) if isinstance(value, str) else argument_lines(_text(value))
    else:
        if value.get("isError") is True:
            yield Line("the tool says that it failed", "strong")
        for block in blocks:
            yield from _block_lines(block)
        if not blocks and "structuredContent" not in value:
            yield Line("an empty result", "note")
        rest = {name: one for name, one in value.items() if name not in ("content", "isError")}
        if rest:
            yield from argument_lines(_text(rest))


def _block_lines(block: Any) -> Iterator[Line]:
    file = _of_file(block)
    text = _text_of(block)
    if file:
        yield Line(file, "number")
    if text:
        yield from _text_lines(text)
    elif not file:
        yield from argument_lines(_text(block))


def _text_lines(text: str) -> Sequence[Line]:
    """Lay JSON out by its members, any other text line by line."""
    if text[:1] in ("{", "["):
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return raw_lines(text)
        return argument_lines(text)
    return raw_lines(text)


def _blocks(value: Any) -> list[Any] | None:
    """Return the content blocks of a result of MCP, None where it is none."""
    content = value.get("content") if isinstance(value, dict) else None
    return content if isinstance(content, list) else None


def _texts(value: Any) -> list[str]:
    """Return what of a result a person reads."""
    if isinstance(value, str):
        return [value]
    if _is_error(value):
        return [str(value["message"])]
    blocks = _blocks(value)
    if blocks is not None:
        return [text for text in map(_text_of, blocks) if text]
    read = (value.get(name) for name in _READ) if isinstance(value, dict) else ()
    return [text for text in read if isinstance(text, str) and text][:1]


def _text_of(block: Any) -> str:
    inner = block.get("resource", block) if isinstance(block, dict) else block
    text = inner.get("text") if isinstance(inner, dict) else inner
    return text if isinstance(text, str) else ""


def _of_file(block: Any) -> str:
    """Name a block that holds a picture, sound or a file: its kind, its type, its size."""
    if not isinstance(block, dict) or block.get("type", "text") == "text":
        return ""
    inner = block.get("resource", block)
    if not isinstance(inner, dict):
        return ""
    parts = (block["type"], inner.get("mimeType"), inner.get("uri"), inner.get("data"))
    shown = [part for part in (*parts, inner.get("blob")) if isinstance(part, str)]
    return one_line(" ".join(shown), _SHORT)


def _is_error(value: Any) -> bool:
    """Tell whether it is the error that JSON-RPC has in place of a result."""
    return isinstance(value, dict) and isinstance(value.get("code"), int) and "message" in value


def _text(value: Any) -> str:
    return _encode(value).decode()
