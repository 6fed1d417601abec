"""Anchors signed with Ed25519, by a key that lies apart from the ledger.

What is signed is the line as it is written, without its last member, `"signature"`, like a row's
hash. Anyone can check it: cut `,"signature":"…"` out of the line, and verify the rest with the
public key (32 bytes, base64).
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from pktui.errors import LedgerError
from pktui.files import OTHERS, new_file, write_whole
from pktui.ledger.chain.anchors.anchor import Read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pktui.ledger.chain.anchors.anchor import Anchor, Found

_MARK: Final = b',"signature":"'
_MAKE: Final = "Make one with: pktui audit key"


class SigningKey:
    """The private key; its public halves, one a line, are in the file of its name with `.pub`."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = _text(private.public_key())

    @classmethod
    def load(cls, file: Path) -> SigningKey:
        """Read the key; raises `LedgerError` where it cannot be used or others may read it."""
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & OTHERS:
                raise LedgerError(
                    f"the key {file} is open to others (mode {mode:04o})", f"Run chmod 600 {file}"
                )
            found = load_pem_private_key(file.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            why = getattr(error, "strerror", None) or error
            raise LedgerError(f"the key {file} cannot be used: {why}", _MAKE) from error
        if not isinstance(found, Ed25519PrivateKey):
            raise LedgerError(f"the key {file} is no Ed25519 key", _MAKE)
        return cls(found)

    @classmethod
    def make(cls, file: Path) -> SigningKey:
        """Make a key, mode 0600, and add its public half to those in `.pub`.

        Raises `PktuiError` where there is one already or it cannot be written.
        """
        private = Ed25519PrivateKey.generate()
        with new_file(file) as opened:
            opened.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key = cls(private)
        halves = "".join(f"{one}\n" for one in (*public_halves(file), key.public))
        write_whole(_beside(file), halves.encode(), mode=0o644)
        return key

    def sign(self, anchor: Anchor) -> bytes:
        """Return the anchor's line, signed."""
        body = msgspec.json.encode(msgspec.structs.replace(anchor, key=self.public))
        signature = base64.b64encode(self._private.sign(body))
        return b'%b%b%b"}' % (body[:-1], _MARK, signature)


def public_halves(file: Path) -> tuple[str, ...]:
    """Return the public halves of a key and of those before it, none where none was made."""
    try:
        return tuple(_beside(file).read_text().split())
    except (OSError, ValueError):
        return ()


def read_public(text: str) -> str:
    """Return a public key as it stands in anchors; raises `LedgerError` where it is none."""
    try:
        return _text(Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True)))
    except (ValueError, binascii.Error) as error:
        raise LedgerError(
            f"{text[:60]} is no public key", "Give what pktui audit key prints: 32 bytes, base64"
        ) from error


def checked(there: Read, known: Iterable[str]) -> Read:
    """Return the anchors whose signatures hold, and what is wrong with the others.

    `known` are the public keys that may sign; without any, each must hold by the key it names.
    Those before the first one of a store that is signed need no signature.
    """
    keys = frozenset(known)
    good: list[Found] = []
    findings = list(there.findings)
    signed: set[str] = set()
    for one in there.found:
        where = f"the anchor of {one.where} of {one.store}"
        if one.anchor.signature:
            signed.add(one.store)
            if problem := _fault(one, keys):
                findings.append(f"{where} {problem}")
                continue
        elif one.store in signed:
            findings.append(f"{where} is not signed, and those before it are")
            continue
        good.append(one)
    stores = {one.store for one in there.found}
    if keys:
        findings += [f"no anchor of {store} is signed" for store in sorted(stores - signed)]
    signers = sorted({one.anchor.key for one in good if one.anchor.signature and not keys})
    notes = [f"nothing here says whether {key} may sign anchors: see --key" for key in signers]
    return Read(tuple(good), tuple(findings), (*there.notes, *notes))


def _fault(found: Found, keys: frozenset[str]) -> str:
    anchor = found.anchor
    if keys and anchor.key not in keys:
        return f"is signed by another key, {anchor.key}"
    body, mark, rest = found.line.rpartition(_MARK)
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(anchor.key, validate=True))
        if not mark or rest != anchor.signature.encode() + b'"}':
            raise ValueError("the signature is not the last member")  # noqa: TRY301
        public.verify(base64.b64decode(anchor.signature, validate=True), body + b"}")
    except (InvalidSignature, ValueError):
        return "has a signature that does not hold"
    return ""


def _text(public: Ed25519PublicKey) -> str:
    return base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.pub")


def is_apart(file: Path, directory: Path) -> bool:
    """Tell whether a key's file lies outside the ledger's directory."""
    real = os.path.realpath
    return not real(file).startswith(real(directory) + os.sep)
