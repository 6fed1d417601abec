"""A signed bundle of managed policies: one file that holds a directory of them, and until when.

It is a DSSE envelope (github.com/secure-systems-lab/dsse) with one Ed25519 signature. The payload
has a serial that only ever grows, so that an older bundle never takes the place of a newer one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from pktui.errors import PolicyError
from pktui.policy.document.policy import read_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_BYTES: Final = 8 * 1024 * 1024
_TYPE: Final = "application/vnd.pktui.policies+json"
_SOURCE_CURE: Final = 'Write {"version": "1", "url": "https://…", "public_key": "BASE64"}'


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`_bundle.json`: where the bundle is, and the Ed25519 key (32 bytes, base64) it is signed by.

    `minutes` are between two looks for a newer one.
    """

    version: str
    url: str
    public_key: str
    minutes: Annotated[float, msgspec.Meta(ge=1)] = 15


class Bundle(msgspec.Struct, frozen=True):
    """A payload whose signature holds: texts by the names of files, `expires` an ISO time."""

    version: str
    serial: int
    expires: str
    files: dict[str, str]

    @property
    def expires_us(self) -> int:
        """When it ends, in microseconds since the epoch."""
        return round(datetime.fromisoformat(self.expires).timestamp() * 1_000_000)


class Fetched(msgspec.Struct, frozen=True):
    """What is kept of the last good bundle: its envelope and ETag, and how the last look went.

    `source` is what named the bundle at that look.
    """

    envelope: str = ""
    etag: str = ""
    problem: str = ""
    source: Source | None = None


class _Signature(msgspec.Struct, frozen=True):
    sig: str
    keyid: str = ""


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    payload_type: str
    payload: str
    signatures: list[_Signature]


def read_source(file: Path) -> Source | None:
    """Return where the file says that a bundle is to be had, None where it is not there.

    Raises `PolicyError` where that cannot be told.
    """
    if not (file.exists() or file.is_symlink()):
        return None
    try:
        source = msgspec.json.decode(read_bytes(file), type=Source)
        if source.version != "1" or len(_bytes_of(source.public_key)) != 32:
            raise PolicyError(f"{file}: its version is not 1, or its key no Ed25519 key")
    except ValueError as error:
        raise PolicyError(f"{file} cannot be used: {error}", _SOURCE_CURE) from error
    return source


def read_fetched(file: Path) -> Fetched:
    """Return what is kept; nothing where that cannot be read, so that it is fetched again."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Fetched)
    except (OSError, msgspec.DecodeError):
        return Fetched()


def opened(envelope: bytes, public_key: str) -> Bundle:
    """Return the bundle of an envelope that the key has signed; raises `PolicyError`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        found = msgspec.json.decode(envelope.decode(), type=_Envelope)
        payload = _bytes_of(found.payload)
        key = Ed25519PublicKey.from_public_bytes(_bytes_of(public_key))
        signed = _to_sign(payload)
        if found.payload_type != _TYPE or not any(
            _holds(key, one.sig, signed, InvalidSignature) for one in found.signatures
        ):
            raise PolicyError("the bundle is not signed by the key in _bundle.json")
        bundle = msgspec.json.decode(payload, type=Bundle)
        if bundle.version != "1" or bundle.expires_us <= 0:
            raise PolicyError("the bundle's version is not 1")
    except (ValueError, OverflowError) as error:
        raise PolicyError(f"the bundle cannot be read: {error}") from error
    return bundle


def sealed(files: Iterable[Path], key: Ed25519PrivateKey, *, serial: int, expires_us: int) -> bytes:
    """Return the envelope of these files, signed."""
    expires = datetime.fromtimestamp(expires_us / 1_000_000, UTC).isoformat()
    texts = {file.name: read_bytes(file).decode() for file in files}
    payload = msgspec.json.encode(Bundle("1", serial, expires, texts))
    signature = _Signature(base64.b64encode(key.sign(_to_sign(payload))).decode())
    envelope = _Envelope(_TYPE, base64.b64encode(payload).decode(), [signature])
    return msgspec.json.encode(envelope) + b"\n"


def newer(kept: Fetched, envelope: bytes, etag: str, source: Source, now_us: int) -> Fetched:
    """Return what to keep once a server has given an envelope: it, or the last good one.

    Where it is the last good one, `problem` says why.
    """
    try:
        found = opened(envelope, source.public_key)
    except PolicyError as error:
        return msgspec.structs.replace(kept, problem=f"{source.url}: {error.what}")
    last, why = last_good(kept, source), ""
    if found.expires_us <= now_us:
        why = f"the bundle expired at {found.expires}"
    elif last is not None and found.serial < last.serial:
        why = f"the bundle has serial {found.serial}, and {last.serial} is in force"
    if why:
        return msgspec.structs.replace(kept, problem=f"{source.url}: {why}")
    return Fetched(envelope.decode(), etag)


def last_good(kept: Fetched, source: Source) -> Bundle | None:
    """Return the bundle that is kept, None where there is none that the key has signed."""
    try:
        return opened(kept.envelope.encode(), source.public_key) if kept.envelope else None
    except PolicyError:
        return None


def _to_sign(payload: bytes) -> bytes:
    """Return what a signature is over: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %b %d %b" % (len(_TYPE), _TYPE.encode(), len(payload), payload)


def _holds(key: Any, signature: str, signed: bytes, invalid: type[Exception]) -> bool:
    try:
        key.verify(_bytes_of(signature), signed)
    except (invalid, ValueError):
        return False
    return True


def _bytes_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def texts_of(bundle: Bundle) -> Mapping[str, bytes]:
    """Return the files of a bundle by their names."""
    return {name: text.encode() for name, text in bundle.files.items()}
