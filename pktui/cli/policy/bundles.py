"""Signed bundles of managed policies: made for a web server, and fetched from it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pktui.cli import output
from pktui.cli.commands import Argument, Option
from pktui.cli.time_options import until_us
from pktui.errors import PolicyError, UsageError
from pktui.settings import Paths

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_KEY_CURE = "Make one with: openssl genpkey -algorithm ed25519 -out key.pem"


def bundle(
    directory: Annotated[Path, Argument(metavar="DIR", help="The managed policies.")],
    key: Annotated[Path, Option("--key", help="The Ed25519 private key, PEM.")],
    target: Annotated[Path, Option("--output", "-o", help="The file for the web server.")],
    expires: Annotated[
        str, Option("--expires", metavar="WHEN", help="30d, 12h or a date.")
    ] = "30d",
) -> None:
    """Sign the policies of a directory as one bundle, for machines that fetch it by URL."""
    from pktui.files import write_whole
    from pktui.policy.bundle import sealed
    from pktui.policy.denied_paths import FILE, read_denied
    from pktui.policy.document.policy import load_policy, read_bytes
    from pktui.policy.managed import SOURCE
    from pktui.times import now_us

    files = sorted(file for file in directory.glob("*.json") if file.name != SOURCE)
    if not files:
        raise UsageError(f"there are no policies in {directory}", "Name a directory with NAME.json")
    for file in files:
        if file.name != FILE:
            load_policy(file)
        elif problem := read_denied(read_bytes(file), file).problem:
            raise PolicyError(problem)
    private, now = _read_key(key), now_us()
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    until = until_us("--expires", expires)
    if until <= now:
        raise UsageError(f"--expires: {output.moment(until)} is past", "Write 30d, or a later date")
    serial = max(now, _serial_of(target, public) + 1)
    write_whole(target, sealed(files, private, serial=serial, expires_us=until), mode=0o644)
    names = ", ".join(file.name for file in files)
    output.note(f"Written: {target}, until {output.moment(until)}: {names}")
    output.note(f'In _bundle.json of the machines: "public_key": "{public}"')


def fetch() -> None:
    """Look for the bundle that managed policies name; gateways and hooks do so by themselves."""
    from pktui.gateway.enforcement.bundle_fetch import fetch as look
    from pktui.policy import managed
    from pktui.policy.bundle import last_good, read_fetched, read_source
    from pktui.times import now_us

    paths, source = Paths.from_environment(), read_source(managed.DIRECTORY / managed.SOURCE)
    if source is None:
        output.note(f"{managed.DIRECTORY / managed.SOURCE} names no bundle.")
        return
    problem = look(paths, now_us())
    found = last_good(read_fetched(paths.bundle_file), source)
    if problem or found is None:
        held = "The last good bundle stays in force" if found else "Every call is denied until then"
        raise PolicyError(problem or f"{paths.bundle_file} was changed", held)
    names = ", ".join(found.files)
    output.note(f"In force until {output.moment(found.expires_us)}: {names}")


def _serial_of(file: Path, public_key: str) -> int:
    """Return the serial of the bundle that is to be replaced, 0 where there is none of this key.

    Machines take none that is older, whatever the clock says that it is made by.
    """
    from pktui.policy.bundle import opened

    try:
        return opened(file.read_bytes(), public_key).serial
    except (OSError, PolicyError):
        return 0


def _read_key(file: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{file} cannot be used as a key: {error}", _KEY_CURE) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise UsageError(f"{file} is no Ed25519 key", _KEY_CURE)
    return found
