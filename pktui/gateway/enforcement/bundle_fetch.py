"""Fetching the bundle of managed policies, by its ETag, now and then and never in a call's way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.errors import PolicyError
from pktui.files import make_private_directory, write_whole
from pktui.policy import managed
from pktui.policy.bundle import MAX_BYTES, last_good, newer, read_fetched, read_source

if TYPE_CHECKING:
    from pktui.policy.bundle import Fetched, Source
    from pktui.settings import Paths

_TIMEOUT_SECONDS: Final = 10.0
_WHOLE_SECONDS: Final = 60.0
# Until the first is there, and after a look that failed.
_AGAIN_SECONDS: Final = 30.0


def is_due(paths: Paths) -> bool:
    """Tell whether a bundle is named and it is time to look for it."""
    if not (managed.DIRECTORY / managed.SOURCE).exists():
        return False
    try:
        source = read_source(managed.DIRECTORY / managed.SOURCE)
        age = time.time() - paths.bundle_file.stat().st_mtime
    except FileNotFoundError:
        return True
    except (OSError, PolicyError):
        return False  # whoever decides calls says so
    if source is None:
        return False
    kept = read_fetched(paths.bundle_file)
    wait = _AGAIN_SECONDS if kept.problem else source.minutes * 60
    return kept.source != source or not 0 <= age < wait


def fetch_soon(paths: Paths) -> None:
    """Let a process of its own look for the bundle, where it is time; raises `OSError`."""
    if not is_due(paths):
        return
    places = {"PKTUI_CONFIG_DIR": str(paths.config_dir), "PKTUI_DATA_DIR": str(paths.data_dir)}
    nothing = subprocess.DEVNULL
    subprocess.Popen(
        [sys.executable, "-m", "pktui", "policy", "fetch"],
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        env=os.environ | places,
        start_new_session=True,
    )


def fetch(paths: Paths, now_us: int) -> str:
    """Look for the bundle that is named and keep the last good one; say what is wrong, or nothing.

    Raises `PolicyError` where what names it cannot be used, `OSError` where nothing can be kept.
    """
    source = read_source(managed.DIRECTORY / managed.SOURCE)
    if source is None:
        return ""
    kept = read_fetched(paths.bundle_file)
    found = msgspec.structs.replace(_asked(source, kept, now_us), source=source)
    make_private_directory(paths.data_dir)
    write_whole(paths.bundle_file, msgspec.json.encode(found))
    return found.problem


def _asked(source: Source, kept: Fetched, now_us: int) -> Fetched:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    last = last_good(kept, source)
    same = kept.source == source and last is not None
    known = {"If-None-Match": kept.etag} if kept.etag and same else {}
    try:
        request = Request(source.url, headers={"Accept": "application/json", **known})  # noqa: S310
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  root names it
            envelope = _read(answer)
            etag = answer.headers.get("ETag", "")
    except HTTPError as error:
        with error:
            if error.code != 304 or last is None:
                return _failed(kept, source, f"it answers {error.code}")
        if last.expires_us <= now_us:
            return _failed(kept, source, f"the bundle expired at {last.expires}")
        return msgspec.structs.replace(kept, problem="")
    except URLError as error:
        return _failed(kept, source, str(error.reason))
    except (OSError, HTTPException, ValueError) as error:
        return _failed(kept, source, str(error))
    if len(envelope) > MAX_BYTES:
        return _failed(kept, source, f"the bundle is larger than {MAX_BYTES} bytes")
    return newer(kept, envelope, etag, source, now_us)


def _read(answer: Any) -> bytes:
    """Return the body, or its beginning where it is too large; raises `TimeoutError`.

    The time-out of a connection is for each piece alone.
    """
    body, ends = bytearray(), time.monotonic() + _WHOLE_SECONDS
    while len(body) <= MAX_BYTES and (piece := answer.read1(MAX_BYTES + 1 - len(body))):
        body += piece
        if time.monotonic() > ends:
            raise TimeoutError(f"it was not read within {_WHOLE_SECONDS:.0f} seconds")
    return bytes(body)


def _failed(kept: Fetched, source: Source, why: str) -> Fetched:
    return msgspec.structs.replace(kept, problem=f"{source.url}: {why}")
