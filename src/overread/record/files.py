"""Files are written beside their place and renamed, so that nothing is ever half-written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from overread.core.errors import OverreadError


class DiskFull(OverreadError):
    """No space is left where something was to be written."""


@contextmanager
def named_if_full(what: str, folder: Path) -> Iterator[None]:
    """Say of a full disk what could not be written, and where to free space.

    what  wins over what was said inside: whoever builds a folder knows better than whoever writes one of its files
    """
    try:
        yield
    except (DiskFull, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(f"The disk is full: {what}.", f"free space in {folder}, then run the same command again") from error


@contextmanager
def whole(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving without an error it becomes `path`.

    The temporary name keeps the suffix (writers look at it). A full disk is reported as such,
    and what stood at `path` before is untouched.

    mode  who may read it; at no moment is it readable by more
    """
    path = Path(path)
    with named_if_full(f"{path.name} could not be written; the earlier version, if any, is untouched", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix="".join(path.suffixes[-2:]))
        os.close(handle)
        beside = Path(name)
        try:
            yield beside
            _sync(beside)
            os.chmod(beside, mode)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder that appears under its name only when everything in it was written; an empty one may be there already."""
    with named_if_full(f"{folder.name} could not be written", folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing-"))
        try:
            yield beside
            beside.chmod(0o755)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    with whole(path, mode) as beside:
        beside.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    with whole(path) as beside:
        beside.write_bytes(content)


def write_with(path: Path, writer: Callable[[Path], Any]) -> None:
    """Let `writer` write to a temporary path, then move the result into place."""
    with whole(path) as beside:
        writer(beside)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a damaged one is named."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise OverreadError(f"{path} is damaged: {error}.", "restore it from a copy, or make it again") from error


def digest_bytes(parts: Iterable[bytes]) -> str:
    """SHA-256 over byte strings, as ``sha256:`` and 64 hex digits."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return "sha256:" + state.hexdigest()


def digest_file(path: Path) -> str:
    state = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return "sha256:" + state.hexdigest()


def digest_json(value: Any) -> str:
    """Digest of a JSON value, independent of key order and layout."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return digest_bytes([text.encode()])
