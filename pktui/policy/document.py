"""The policy of one server: loaded once, asked many times.

`load_policy` reads a file, `parse_policy` bytes. Both check the whole document and raise
`PolicyInvalid` with every problem at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pktui.errors import PolicyError
from pktui.policy.globs import Glob, is_glob
from pktui.policy.jsontext import MAX_BYTES, decode
from pktui.policy.native import Document, read_native
from pktui.policy.problems import Fault, Faults, PolicyInvalid, Problem, dotted
from pktui.policy.rules import Action, LimitRule, ToolRule

Dialect = Literal["native", "intercept"]

__all__ = [
    "Action", "Dialect", "Policy", "PolicyInvalid", "Problem", "load_policy", "parse_policy",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """A valid policy, compiled.

    `tools` maps each authored name or glob to its rule (limits of `all_tools` included);
    `unlisted` is what happens to any other tool. `digest` is the SHA-256 of the bytes, in hex.
    """

    source: Path | None
    digest: str
    dialect: Dialect
    description: str
    default: Action
    hide: tuple[str, ...]
    tools: Mapping[str, ToolRule]
    all_limits: tuple[LimitRule, ...]
    unlisted: ToolRule
    _hidden: frozenset[str] = field(repr=False)
    _hidden_globs: tuple[Glob, ...] = field(repr=False)
    _globs: tuple[tuple[Glob, ToolRule], ...] = field(repr=False)

    def hides(self, tool: str) -> bool:
        """Tell whether the tool is left out of lists and unknown when called."""
        return tool in self._hidden or any(glob.matches(tool) for glob in self._hidden_globs)

    def rule_for(self, tool: str) -> ToolRule:
        """Return the rule of a tool: by its name, else by the best glob, else `unlisted`."""
        rule = self.tools.get(tool)
        if rule is not None:
            return rule
        for glob, rule in self._globs:
            if glob.matches(tool):
                return rule
        return self.unlisted


def load_policy(path: Path) -> Policy:
    """Read and check a policy file.

    Raises `PolicyInvalid` with every problem, `PolicyError` where it cannot be read.
    """
    return parse_policy(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Return a policy file's bytes, at most 4 MiB; raises `PolicyError`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError(
            f"policy {path} cannot be read: {error.strerror or error}",
            "Check the path, the file's owner and its mode",
        ) from error
    if len(raw) > MAX_BYTES:
        raise PolicyError(f"policy {path} is larger than {MAX_BYTES} bytes", "Make it smaller")
    return raw


def parse_policy(raw: bytes, source: Path | None = None) -> Policy:
    """Check a policy's bytes and compile them; raises `PolicyInvalid` with every problem."""
    text = _decode_utf8(raw, source)
    try:
        value = decode(text)
    except ValueError:
        raise PolicyInvalid(_slips(text), source) from None
    faults = Faults()
    document = read_native(value, faults)
    if faults.found:
        raise PolicyInvalid(_located(text, faults.found), source)
    return _compile(document, hashlib.sha256(raw).hexdigest(), source)


def _decode_utf8(raw: bytes, source: Path | None) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        what = f"byte {raw[error.start]:#04x} is not UTF-8"
        raise PolicyInvalid(
            [Problem(line, column, "", what, "Save the file as UTF-8")], source
        ) from None


def _slips(text: str) -> list[Problem]:
    """Explain why the text is not JSON that can be trusted."""
    from pktui.policy.jsonscan import line_column, scan

    _, slips = scan(text)
    if not slips:
        return [Problem(1, 1, "", "this is not JSON that can be read", "Write plain JSON")]
    return [Problem(*line_column(text, slip.offset), "", slip.what, slip.cure) for slip in slips]


def _located(text: str, faults: list[Fault]) -> list[Problem]:
    """Give each fault its line and column."""
    from pktui.policy.jsonscan import line_column, scan

    root, _ = scan(text)
    problems = []
    for fault in faults:
        offset, node = 0 if root is None else root.start, root
        for step in fault.steps:
            inner = None
            if node is not None and isinstance(step, str):
                member = node.member(step)
                inner = member.value if member else None
                if member:
                    offset = member.start if fault.on_key else member.value.start
            elif node is not None and isinstance(step, int) and step < len(node.items):
                inner = node.items[step]
                offset = inner.start
            node = inner
        place = line_column(text, offset)
        problems.append(Problem(*place, dotted(fault.steps), fault.what, fault.cure))
    return problems


def _compile(document: Document, digest: str, source: Path | None) -> Policy:
    shared = document.all_limits
    tools = {name: _with_limits(rule, shared) for name, rule in document.tools.items()}
    globs = [(Glob.of(name), rule) for name, rule in tools.items() if is_glob(name)]
    globs.sort(key=lambda pair: len(pair[0].prefix), reverse=True)
    return Policy(
        source=source,
        digest=digest,
        dialect="native",
        description=document.description,
        default=document.default,
        hide=document.hide,
        tools=dict(tools.items()),
        all_limits=shared,
        unlisted=_unlisted(document.default, shared),
        _hidden=frozenset(name for name in document.hide if not is_glob(name)),
        _hidden_globs=tuple(Glob.of(name) for name in document.hide if is_glob(name)),
        _globs=tuple(globs),
    )


def _with_limits(rule: ToolRule, shared: tuple[LimitRule, ...]) -> ToolRule:
    if not shared:
        return rule
    from dataclasses import replace

    return replace(rule, limits=(*rule.limits, *shared))


def _unlisted(default: Action, shared: tuple[LimitRule, ...]) -> ToolRule:
    reasons: dict[Action, Any] = {
        Action.ALLOW: "The policy does not list this tool, and allows what it does not list.",
        Action.DENY: "",
        Action.APPROVE: "The policy does not list this tool, so a person decides.",
    }
    return ToolRule(f"(default {default})", default, reasons[default], limits=shared, listed=False)
