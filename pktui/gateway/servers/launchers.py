"""What a command starts: the script, the package or the image behind `node`, `npx`, `docker run`.

Each launcher is read with the options pktui knows. Where it meets another, what is started can't be
told from an option's value, and the whole command counts: `None` here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

Parts = list[str]
Words = Sequence[str]


class Options(msgspec.Struct, frozen=True):
    """The options of a launcher: `flags` stand alone, `valued` take the next word.

    `flags` may end in `*`; `letters` are flags that may be written together (`-it`).
    """

    flags: tuple[str, ...] = ()
    valued: tuple[str, ...] = ()
    letters: str = ""

    def is_flag(self, word: str) -> bool:
        """Tell whether the option takes no further word."""
        if word.startswith("--") and "=" in word:
            return True
        if not word.startswith("--") and self.letters and set(word[1:]) <= set(self.letters):
            return True
        return any(
            word.startswith(flag[:-1]) if flag.endswith("*") else word == flag
            for flag in self.flags
        )


class Read(msgspec.Struct, frozen=True):
    """A launcher's words read: its options with their values, and what follows them."""

    options: tuple[tuple[str, str], ...]
    rest: tuple[str, ...]

    def values(self, *names: str) -> list[str]:
        """Return the values of these options, in order."""
        return [value for name, value in self.options if name in names]


def read(words: Words, known: Options) -> Read | None:
    """Read words up to the first that is no option; None where an option is not known."""
    options: list[tuple[str, str]] = []
    index = 0
    while index < len(words) and words[index].startswith("-") and words[index] != "-":
        word = words[index]
        index += 1
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name in known.valued:
            if not equals:
                if index == len(words):
                    return None
                value, index = words[index], index + 1
            options.append((name, value))
        elif known.is_flag(word):
            options.append((name, value))
        elif word[:2] in known.valued and not word.startswith("--"):
            options.append((word[:2], word[2:]))
        else:
            return None
    return Read(tuple(options), tuple(words[index:]))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NODE: Final = Options(
    _words(
        "--no-* --enable-source-maps --experimental-strip-types --experimental-vm-modules "
        "--experimental-fetch --experimental-modules --experimental-json-modules "
        "--experimental-wasm-modules --experimental-sqlite --experimental-transform-types "
        "--trace-warnings --trace-deprecation --trace-uncaught --inspect --expose-gc "
        "--use-system-ca --use-openssl-ca --preserve-symlinks"
    ),
    _words("-r --require --import --loader --experimental-loader -C --conditions"),
    "",
)
_BUN: Final = Options(("--bun", "--silent", "--smol", "--hot", "--watch", "-b", "-y"), ("--cwd",))
_DENO: Final = Options(
    ("--allow-*", "--deny-*", "--no-*", "--unstable*", "--quiet", "--cached-only", "--check"),
    ("-c", "--config", "--import-map", "--lock", "--location"),
    "ARWENSqr",
)
_PYTHON: Final = Options((), ("-W", "-X", "-m", "-c"), "uBEIOsSvqxPbdi")
_SHELL: Final = Options(("--login", "--posix", "--norc", "--noprofile"), ("-o",), "lieuxn")
_JAVA: Final = Options(("-X*", "-D*", "--enable-preview"), ("-jar", "--add-opens", "--add-modules"))
_NPX: Final = Options(
    _words("--yes --no --quiet --silent --offline --prefer-* --ignore-* --no-* --bun --verbose"),
    _words("-p --package --registry --prefix --cache -w --workspace -c --call"),
    "yqs",
)
_UV: Final = Options(
    _words(
        "--quiet --verbose --isolated --frozen --locked --offline --native-tls --refresh "
        "--active --all-extras --all-groups --exact --no-cache --no-config --no-progress "
        "--no-sync --no-dev --no-project --no-env-file --no-index --no-build --no-binary "
        "--no-sources --no-editable --no-python-downloads"
    ),
    _words(
        "--from --with --with-editable --with-requirements --directory --project -p --python "
        "--extra --group --env-file --package --index --index-url --default-index "
        "--extra-index-url -i -m --module --prerelease --cache-dir --config-file -c "
        "--constraints --find-links -f"
    ),
    "qvn",
)
_PIPX: Final = Options(
    ("--no-cache", "--verbose", "--quiet", "--pypackages"),
    ("--spec", "--python", "--with", "--index-url", "-i", "--pip-args"),
    "qv",
)
_DOCKER: Final = Options(
    _words(
        "--interactive --tty --detach --rm --init --privileged --read-only --publish-all "
        "--quiet --sig-proxy --no-healthcheck --oom-kill-disable --disable-content-trust "
        "--use-api-socket"
    ),
    _words(
        "--add-host --annotation -a --attach --cap-add --cap-drop --cgroupns --cidfile -c "
        "--cpu-shares --cpus --cpuset-cpus --device --dns --dns-search --domainname "
        "--entrypoint -e --env --env-file --expose --gpus --group-add -h --hostname --ip --ipc "
        "-l --label --label-file --link --log-driver --log-opt -m --memory --memory-swap "
        "--mount --name --network --net --network-alias --pid --pids-limit --platform -p "
        "--publish --pull --restart --runtime --security-opt --shm-size --stop-signal "
        "--stop-timeout --sysctl --tmpfs --ulimit -u --user --userns --uts -v --volume "
        "--volume-driver --volumes-from -w --workdir"
    ),
    "itdqP",
)
_ENV: Final = Options(("-", "--ignore-environment"), ("-u", "--unset", "-C", "--chdir"), "i")
_PLACES: Final = ("--registry", "--index", "--index-url", "--default-index", "-i")

# Heads a group that stands in the hash and not in the name: arguments may hold secrets.
TOLD: Final = ""
_SECRET: Final = re.compile(
    r"token|key|secret|passw|auth|header|bearer|credential|cookie|^-H$", re.IGNORECASE
)
_RUN: Final = (["run"], ("run",))

_SUFFIX: Final = re.compile(r"\.(?:exe|cmd|bat)$", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_NPM: Final = re.compile(r"(?:@([\w.~-]+)/)?([\w.~-]+)(?:@[\w.^~<>=*|-]*)?")
_PYPI: Final = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[\w,.\s-]*\])?(?:[=<>!~@][\w.*,<>=!~\s-]*)?")
_IMAGE: Final = re.compile(r"([\w./-]+(?::\d+(?=/))?[\w./-]*?)(?::[\w.-]+)?(?:@sha256:\w+)?")


def program_of(word: str) -> str:
    """Return a program's name without its directory and the suffix of Windows."""
    return _SUFFIX.sub("", Path(word).name)


def started(command: Words, cwd: Path) -> list[Parts] | None:
    """Return what identifies the thing a command starts; None where that can't be told.

    The first group names it, further ones say where it comes from.
    """
    program, rest = program_of(command[0]), command[1:]
    for names, reader in _LAUNCHERS:
        if re.fullmatch(names, program):
            return reader(command[0], rest, cwd)
    return None


def _node(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    return _script(read(words, _NODE), cwd)


def _bun(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    found = read(words, _BUN)
    if found is None or found.values("--cwd"):
        return None
    if found.rest[:1] == ("x",):
        return _npx(program, found.rest[1:], cwd)
    return _script(read(found.rest[1:], _BUN) if found.rest[:1] == ("run",) else found, cwd)


def _deno(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    if words[:1] not in _RUN:
        return None
    found = read(words[1:], _DENO)
    if found is None or not found.rest:
        return None
    registry, colon, package = found.rest[0].partition(":")
    if colon and registry in ("npm", "jsr"):
        named = _NPM.fullmatch(package)
        if named is None:
            return None
        return [[registry, *filter(None, named.groups())], *told(found.rest[1:], cwd)]
    return _script(found, cwd)


def _python(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    found = read(_before_module(words), _PYTHON)
    if found is None or found.values("-c"):
        return None
    module = found.values("-m")
    if not module:
        return _script(found, cwd)
    own = [["interpreter", *_steps(program, cwd)]] if "/" in program else []
    first = module[0].partition(".")[0]
    here = (cwd / first).exists() or (cwd / f"{first}.py").exists()
    place = [["in", *_steps(".", cwd)]] if here else []
    after = words[list(words).index(module[0]) + 1 :]
    return [["python", module[0]], *own, *place, *told(after, cwd)]


def _before_module(words: Words) -> Words:
    """Return the words up to the module, with `-um x` as `-u -m x`; what follows is its own."""
    for index, word in enumerate(words):
        if not word.startswith("-"):
            return words
        if re.fullmatch(r"-[a-zA-Z]*m", word):
            flags = [f"-{word[1:-1]}"] if len(word) > 2 else []
            return [*words[:index], *flags, "-m", *words[index + 1 : index + 2]]
        if word in ("-W", "-X"):
            return words
    return words


def _shell(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    return _script(read(words, _SHELL), cwd)


def _plain(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    return _script(read(words, Options()), cwd)


def _java(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    found = read(words, _JAVA)
    jars = found.values("-jar") if found is not None else []
    if found is None or len(jars) != 1:
        return None
    return [["script", *_steps(jars[0], cwd)], *told(found.rest, cwd)]


def _script(found: Read | None, cwd: Path) -> list[Parts] | None:
    if found is None or not found.rest or found.rest[0] == "-" or "://" in found.rest[0]:
        return None
    return [["script", *_steps(found.rest[0], cwd)], *told(found.rest[1:], cwd)]


def _npm(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    verbs = ("exec", "x", "dlx")
    return _npx(program, words[1:], cwd) if words and words[0] in verbs else None


def _npx(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    found = read(words, _NPX)
    if found is None or found.values("-c", "--call", "--prefix", "-w", "--workspace"):
        return None
    packages = found.values("-p", "--package")
    wanted = packages or list(found.rest[:1])
    groups = [_npm_package(package, cwd) for package in wanted]
    command = found.rest[0] if packages and found.rest else ""
    if not groups or None in groups:
        return None
    named = [group for group in groups if group is not None]
    own = [["runs", command]] if command and command != named[0][-1] else []
    here = [["in", *_steps(".", cwd)]] if _installed(named[0], command, cwd) else []
    return [*named, *own, *here, *_places(found), *told(found.rest[1:], cwd)]


def _npm_package(spec: str, cwd: Path) -> Parts | None:
    if spec.startswith((".", "/", "~")):
        return ["script", *_steps(spec, cwd)]
    named = _NPM.fullmatch(spec)
    return ["npm", *filter(None, named.groups())] if named else None


def _installed(package: Parts, command: str, cwd: Path) -> bool:
    """Tell whether npx would take a program of the project instead of the registry's."""
    return (cwd / "node_modules" / ".bin" / (command or package[-1])).exists()


def _uvx(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    return _pypi(read(words, _UV), "--from", cwd)


def _pipx(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    return _pypi(read(words[1:], _PIPX), "--spec", cwd) if words[:1] in _RUN else None


def _pypi(found: Read | None, origin: str, cwd: Path) -> list[Parts] | None:
    if found is None or not found.rest or found.values("--directory", "--project"):
        return None
    command = found.rest[0]
    given = found.values(origin)
    named = _PYPI.fullmatch(given[0] if given else command)
    if named is None or len(given) > 1:
        return None
    package = _normal(named[1])
    own = [command] if given and _normal(command) != package else []
    return [["pypi", package, *own], *_places(found), *told(found.rest[1:], cwd)]


def _normal(name: str) -> str:
    """Return a name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _uv(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    first = read(words, _UV)
    if first is None or not first.rest:
        return None
    if first.rest[:2] == ("tool", "run"):
        return _pypi(_joined(first, read(first.rest[2:], _UV)), "--from", cwd)
    found = _joined(first, read(first.rest[1:], _UV)) if first.rest[0] == "run" else None
    if found is None:
        return None
    moved = found.values("--directory")
    base = cwd / moved[-1] if moved else cwd
    at = found.values("--project")
    project = ["in", *_steps(at[-1] if at else ".", base)]
    modules = found.values("-m", "--module")
    if modules:
        return [["python", modules[-1]], project, *told(found.rest, base)]
    if not found.rest:
        return None
    if found.rest[0].endswith(".py") or "/" in found.rest[0]:
        return [["script", *_steps(found.rest[0], base)], *told(found.rest[1:], base)]
    inner = started(found.rest, base)
    if inner is not None:
        return [*inner, project]
    return [["uv", found.rest[0]], project, *told(found.rest[1:], base)]


def _joined(first: Read, second: Read | None) -> Read | None:
    return None if second is None else Read((*first.options, *second.options), second.rest)


def _docker(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    verbs = list(words[:2])
    after = 1 if verbs[:1] == ["run"] else 2 if verbs == ["container", "run"] else 0
    found = read(words[after:], _DOCKER) if after else None
    if found is None or not found.rest:
        return None
    named = _IMAGE.fullmatch(found.rest[0])
    if named is None:
        return None
    image = named[1].lower().removeprefix("docker.io/").removeprefix("library/")
    entry = found.values("--entrypoint")
    inner = started(found.rest[1:], Path("/")) if found.rest[1:] else None
    own = [["runs", *entry]] if entry else []
    rest = inner if inner is not None else told(found.rest[1:], Path("/"))
    return [["image", *image.split("/")], *own, *rest]


def _env(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    found = read(words, _ENV)
    if found is None or found.values("-C", "--chdir"):
        return None
    rest = list(found.rest)
    while rest and _VARIABLE.fullmatch(rest[0]):
        del rest[0]
    return started(rest, cwd) if rest else None


def _cmd(program: str, words: Words, cwd: Path) -> list[Parts] | None:
    slash_c = bool(words) and words[0].lower() == "/c"
    return started(words[1:], cwd) if slash_c and len(words) > 1 else None


def told(words: Words, cwd: Path) -> list[Parts]:
    """Return the group of what a program is told: secrets left out, paths from here made whole.

    Which words are secrets may not change from one pktui to the next: the name changes with it.
    """
    kept: Parts = []
    secret = False
    for word in words:
        option, equals, _ = word.partition("=")
        if secret and not word.startswith("-"):
            secret = False
            continue
        named = word.startswith("-") and bool(_SECRET.search(option))
        secret = named and not equals
        kept.append(option if named else _whole(word, cwd))
    return [[TOLD, *kept]] if kept else []


def _whole(word: str, cwd: Path) -> str:
    if word.startswith(("-", "/")) or "://" in word or "\0" in word or not word:
        return word
    try:
        here = (cwd / word).exists()
    except OSError:  # too long for a path
        return word
    return os.path.normpath(cwd / word) if here else word


def _places(found: Read) -> Iterator[Parts]:
    """Yield where packages come from, where that was said."""
    for place in found.values(*_PLACES):
        yield ["from", place]


def _steps(path: str, cwd: Path) -> Parts:
    """Return the parts of a path from the root, without following links."""
    whole = os.path.normpath(cwd / Path(path).expanduser())
    return [part for part in Path(whole).parts if part != "/"] or ["/"]


_Reader = Callable[[str, Words, Path], list[Parts] | None]
_LAUNCHERS: Final[tuple[tuple[str, _Reader], ...]] = (
    (r"node|nodejs|tsx|ts-node", _node),
    (r"bun", _bun),
    (r"deno", _deno),
    (r"(?:python|pypy)[0-9.]*", _python),
    (r"sh|bash|dash|zsh|ksh|ash", _shell),
    (r"ruby|perl|php|lua|Rscript|fish|pwsh", _plain),
    (r"java", _java),
    (r"npx|bunx|pnpx", _npx),
    (r"npm|pnpm|yarn", _npm),
    (r"uvx", _uvx),
    (r"uv", _uv),
    (r"pipx", _pipx),
    (r"docker|podman|nerdctl", _docker),
    (r"env", _env),
    (r"cmd", _cmd),
)
