"""The policy of one server: loaded once, asked many times.

`load_policy` reads a file, `parse_policy` bytes. Both check the whole document and raise
`PolicyInvalid` with every problem at once.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.errors import PolicyError
from pktui.policy.argument_check import Shape
from pktui.policy.denied_paths import DeniedPaths
from pktui.policy.document.native import Document, read_native
from pktui.policy.globs import Glob, is_glob
from pktui.policy.layers import together, used_paths
from pktui.policy.rules import Action, Dialect, LimitRule, Listed, ToolRule
from pktui.policy.selection import EVERYTHING, Selection
from pktui.policy.text.jsontext import MAX_BYTES, decode
from pktui.policy.text.problems import Fault, Faults, PolicyInvalid, Problem, dotted

if TYPE_CHECKING:
    from pktui.policy.text.json import Node, Slip

__all__ = [
    "Action", "Dialect", "Policy", "PolicyInvalid", "Problem", "load_policy", "parse_policy",
]  # fmt: skip


# Names of which is remembered what globs say of them; more than a server has tools.
MOST_REMEMBERED = 16_384


class Policy(msgspec.Struct, frozen=True):
    """A valid policy, compiled.

    `tools` maps each authored name or glob to its rule (limits of `all_tools` included);
    `unlisted` is what happens to any other tool. `digest` is the SHA-256 of the bytes, in hex.
    `list` tells whether tools that can't be called at all are left out of lists (`callable`).
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
    list: Listed
    _exact: Mapping[str, ToolRule]
    _hidden: frozenset[str]
    _hidden_globs: tuple[Glob, ...]
    _globs: tuple[tuple[Glob, ToolRule], ...]
    # What the server's entry leaves in; it stands beside the document.
    selection: Selection = EVERYTHING
    reads_go_on: bool = False
    # What globs say of the names that were met: a policy's globs do not change.
    _remembered: dict[str, tuple[bool, ToolRule]] = msgspec.field(default_factory=dict)
    # Paths that no tool may be given; they stand beside the document, too.
    denied: DeniedPaths | None = None
    # Managed policies laid over it: nothing in it lets a call pass that one of them does not.
    over: tuple[Policy, ...] = ()
    _own: Policy | None = None
    _together: dict[str, ToolRule] = msgspec.field(default_factory=dict)

    def denying(self, denied: DeniedPaths | None) -> Policy:
        """Return the policy with these paths denied."""
        return msgspec.structs.replace(self, denied=denied)

    def selecting(self, selection: Selection) -> Policy:
        """Return the policy for a server whose entry leaves in so many of its tools."""
        return msgspec.structs.replace(self, selection=selection)

    def renamed(self, rename: Callable[[ToolRule], ToolRule]) -> Policy:
        """Return the policy with each rule under another name."""
        new = {id(rule): rename(rule) for rule in (*self.tools.values(), self.unlisted)}
        return msgspec.structs.replace(
            self,
            tools={name: new[id(rule)] for name, rule in self.tools.items()},
            unlisted=new[id(self.unlisted)],
            _exact={name: new[id(rule)] for name, rule in self._exact.items()},
            _globs=tuple((glob, new[id(rule)]) for glob, rule in self._globs),
            _remembered={},
        )

    def under(self, over: tuple[Policy, ...], denied: DeniedPaths | None) -> Policy:
        """Return the policy with managed ones laid over it, and further paths denied."""
        digests = "".join(one.digest for one in (*over, self)).encode()
        return msgspec.structs.replace(
            self,
            over=over,
            denied=denied.beside(self.denied) if denied else self.denied,
            digest=hashlib.sha256(digests).hexdigest(),
            _own=self,
            _together={},
        )

    @property
    def own(self) -> Policy:
        """The policy without what is laid over it."""
        return self._own or self

    @property
    def names(self) -> Iterable[str]:
        """Every name and glob that it, or a policy laid over it, lists or hides."""
        layers = (*self.over, self.own)
        return dict.fromkeys(name for one in layers for name in (*one.tools, *one.hide))

    @property
    def reads_on_outage(self) -> bool:
        """Return whether tools that only read go on while the team's database is away.

        Where managed policies are laid over it, each of them must say so, too.
        """
        return self.reads_go_on and all(one.reads_go_on for one in self.over)

    def hides(self, tool: str) -> bool:
        """Return whether the tool is left out of lists and unknown when called."""
        if self.over and any(one.hides(tool) for one in self.over):
            return True
        if tool in self._hidden or (
            self.selection is not EVERYTHING and self.selection.leaves_out(tool)
        ):
            return True
        return bool(self._hidden_globs) and self._met(tool)[0]

    def never_allows(self, tool: str) -> bool:
        """Return whether the tool's rule denies every call, whatever the arguments are."""
        return not self.hides(tool) and denies_always(self.rule_for(tool))

    def lists(self, tool: str) -> bool:
        """Return whether the tool belongs into the list that a client is shown."""
        return not self.hides(tool) and (self.list == "all" or not self.never_allows(tool))

    @property
    def hides_nothing(self) -> bool:
        """Return whether no tool is left out of lists as hidden."""
        hides = self.hide or self.selection is not EVERYTHING
        return not hides and all(one.hides_nothing for one in self.over)

    def leaves_to_server(self, tool: str) -> bool:
        """Return whether a name that the server does not list is the server's own affair.

        So it is where no rule is about it, the default lets it run unasked, and nothing is hidden,
        so that nothing has to look like a name that is missing.
        """
        open_default = self.unlisted.action is Action.ALLOW
        return open_default and self.hides_nothing and self.rule_for(tool) is self.unlisted

    def rule_for(self, tool: str) -> ToolRule:
        """Return the rule of a tool: by its name, else by the best glob, else `unlisted`.

        A glob that denies is better than any other, then the one with more text before its star.
        A tool whose name reads like a glob of the policy is not that glob's own entry. Where
        managed policies are laid over it, it is what holds of all of them together.
        """
        if self.over:
            return self._of_all(tool)
        rule = self._exact.get(tool)
        if rule is not None:
            return rule
        return self._met(tool)[1] if self._globs else self.unlisted

    def _of_all(self, tool: str) -> ToolRule:
        """Return the rule that every layer's own comes to; remembered."""
        rule = self._together.get(tool)
        if rule is None:
            rule = together([one.rule_for(tool) for one in (*self.over, self.own)])
            if len(self._together) >= MOST_REMEMBERED:
                self._together.clear()
            self._together[tool] = rule
        return rule

    def _met(self, tool: str) -> tuple[bool, ToolRule]:
        """Return whether a glob hides the tool, and the rule of the best glob; remembered."""
        met = self._remembered.get(tool)
        if met is None:
            hidden = any(glob.matches(tool) for glob in self._hidden_globs)
            rules = (rule for glob, rule in self._globs if glob.matches(tool))
            met = hidden, next(rules, self.unlisted)
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[tool] = met
        return met


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


def parse_policy(
    raw: bytes, source: Path | None = None, *, dialect: Dialect | None = None
) -> Policy:
    """Check a policy's bytes and compile them; raises `PolicyInvalid` with every problem.

    `dialect` None: Intercept's where the document has its `rules` lists or is YAML, else pktui's.
    """
    return _parsed(raw, source, dialect)


# An edit is shown, compared with what was there, and read again: each time the same bytes.
@functools.lru_cache(maxsize=4)
def _parsed(raw: bytes, source: Path | None, dialect: Dialect | None) -> Policy:
    text = _decode_utf8(raw, source)
    value, root = read_text(text, source)
    faults = Faults()
    if dialect is None and (root is not None or _has_rules(value)):
        dialect = "intercept"
    document = _read(value, dialect or "native", faults)
    if faults.found:
        raise PolicyInvalid(locate(text, faults.found, root), source)
    return _compile(document, hashlib.sha256(raw).hexdigest(), source)


def read_text(text: str, source: Path | None = None) -> tuple[Any, Node | None]:
    """Return the decoded document; of YAML also its root with positions.

    YAML is what a file's name says is YAML, and what does not begin like JSON in a file whose
    name says nothing. Raises `PolicyInvalid` where the text cannot be trusted.
    """
    suffix = source.suffix.lower() if source else ""
    bracket = text.lstrip("\ufeff \t\r\n").startswith(("{", "["))
    if suffix in (".yaml", ".yml") or (suffix != ".json" and not bracket and text.strip()):
        from pktui.policy.text.yaml import scan_yaml

        root, slips = scan_yaml(text)
        if slips or root is None:
            raise PolicyInvalid(_placed(text, slips), source)
        return root.plain(), root
    try:
        return decode(text), None
    except ValueError:
        raise PolicyInvalid(_slips(text), source) from None


def _has_rules(value: Any) -> bool:
    """Return whether any tool has `rules`, without loading that dialect's reader.

    A tool without anything (null) has none to Intercept, and is a mistake in pktui's own form.
    """
    tools = value.get("tools") if isinstance(value, dict) else None
    entries = list(tools.values()) if isinstance(tools, dict) else []
    if any(isinstance(entry, dict) and "rules" in entry for entry in entries):
        return True
    return None in entries and not any(entries)


def _read(value: Any, dialect: Dialect, faults: Faults) -> Document:
    if dialect == "native":
        return read_native(value, faults)
    from pktui.policy.document.intercept import read_intercept

    return read_intercept(value, faults)


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
    from pktui.policy.text.json import scan

    _, slips = scan(text)
    if not slips:
        return [Problem(1, 1, "", "this is not JSON that can be read", "Write plain JSON")]
    return _placed(text, slips)


def _placed(text: str, slips: list[Slip]) -> list[Problem]:
    from pktui.policy.text.json import line_column

    return [Problem(*line_column(text, slip.offset), "", slip.what, slip.cure) for slip in slips]


def locate(text: str, faults: list[Fault], root: Node | None = None) -> list[Problem]:
    """Give each fault its line and column; `root` is the scanned text, where it is at hand."""
    from pktui.policy.text.json import line_column, scan

    if root is None:
        root, _ = scan(text)
    return [
        Problem(
            *line_column(text, root.find(fault.steps, on_key=fault.on_key) if root else 0),
            dotted(fault.steps),
            fault.what,
            fault.cure,
        )
        for fault in faults
    ]


def _compile(document: Document, digest: str, source: Path | None) -> Policy:
    shared = document.all_limits
    native = document.dialect == "native"
    tools = {name: _with_limits(rule, shared) for name, rule in document.tools.items()}
    if native:
        tools = {name: _shaped(rule) for name, rule in tools.items()}
    globs = [(Glob.of(name), rule) for name, rule in tools.items() if native and is_glob(name)]
    globs.sort(key=lambda pair: (pair[1].action is not Action.DENY, -len(pair[0].prefix)))
    return Policy(
        source=source,
        digest=digest,
        dialect=document.dialect,
        description=document.description,
        default=document.default,
        hide=document.hide,
        tools=dict(tools.items()),
        all_limits=shared,
        unlisted=document.unlisted or _shaped(_unlisted(document.default, shared)),
        list=document.list,
        reads_go_on=document.reads_go_on,
        _exact={name: rule for name, rule in tools.items() if not (native and is_glob(name))},
        _hidden=frozenset(document.hide),
        _hidden_globs=tuple(
            Glob.of(name) for name in document.hide if name == "*" or (native and is_glob(name))
        ),
        _globs=tuple(globs),
    )


def _with_limits(rule: ToolRule, shared: tuple[LimitRule, ...]) -> ToolRule:
    if not shared:
        return rule
    return msgspec.structs.replace(rule, limits=(*rule.limits, *shared))


def _shaped(rule: ToolRule) -> ToolRule:
    """Add what the arguments must look like that the rule looks at."""
    paths = used_paths(rule)
    return msgspec.structs.replace(rule, shape=Shape(paths)) if paths else rule


def denies_always(rule: ToolRule) -> bool:
    """Return whether a rule denies every call: by action, without a condition, by a quota of 0."""
    return (
        rule.action is Action.DENY
        or any(
            check.denies_when and not check.conditions and not check.readings
            for check in rule.checks
        )
        or any(limit.amount_of is None and limit.increment > limit.max for limit in rule.limits)
    )


def _unlisted(default: Action, shared: tuple[LimitRule, ...]) -> ToolRule:
    reasons: dict[Action, Any] = {
        Action.ALLOW: "The policy does not list this tool, and allows what it does not list.",
        Action.DENY: "",
        Action.APPROVE: "The policy does not list this tool, so a person decides.",
    }
    return ToolRule(f"(default {default})", default, reasons[default], limits=shared, listed=False)
