"""Every file below a folder, whatever lies in the way: links, loops, pipes, closed folders, odd names."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from overread.imaging.found import RefusedFile

LEFT_OUT = "__MACOSX"  # what a Mac adds to an archive
KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Walk:
    """One walk through a folder; nothing is opened, so nothing can block.

    refused  what could not be looked at: closed folders, broken links, pipes, names that are not UTF-8
    hidden   files and folders that begin with a dot; they are not looked into
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.refused: list[RefusedFile] = []
        self.hidden = 0
        self._entered: set[tuple[int, int]] = set()

    def files(self) -> Iterator[tuple[str, str]]:
        """(path with forward slashes relative to the folder, stamp) of every ordinary file, in no fixed order.

        Each folder is entered once. Linked folders come last, so that a file keeps its own path where it has one.
        """
        waiting, linked = deque([""]), deque[str]()
        while waiting or linked:
            below = waiting.popleft() if waiting else linked.popleft()
            try:
                if self._is_new(below):
                    yield from self._entries(below, waiting, linked)
            except OSError as error:
                reason = f"The folder {below or self.folder.name} cannot be opened: {error.strerror or error}."
                self.refused.append(RefusedFile(below or ".", "unreadable", reason))

    def _is_new(self, below: str) -> bool:
        state = os.stat(self.folder / below)
        key = (state.st_dev, state.st_ino)
        if key in self._entered:
            return False
        self._entered.add(key)
        return True

    def _entries(self, below: str, waiting: deque[str], linked: deque[str]) -> Iterator[tuple[str, str]]:
        folders: list[tuple[str, bool]] = []
        with os.scandir(self.folder / below) as entries:
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                if entry.name.startswith(".") or entry.name == LEFT_OUT:
                    self.hidden += 1
                elif not is_utf8(entry.name):
                    self._refuse_name(path)
                elif (stamp := self._look(entry, path, folders)) is not None:
                    yield path, stamp
        for path, is_link in sorted(folders):
            (linked if is_link else waiting).append(path)

    def _look(self, entry: os.DirEntry[str], path: str, folders: list[tuple[str, bool]]) -> str | None:
        """The stamp of an ordinary file; a folder goes to `folders`, anything else is refused."""
        try:
            state = entry.stat()
        except OSError as error:
            self.refused.append(_gone(entry, path, error))
            return None
        if stat.S_ISDIR(state.st_mode):
            folders.append((path, entry.is_symlink()))
            return None
        kind = special(state.st_mode)
        if kind:
            self.refused.append(RefusedFile(path, "special-file", f"{entry.name} is {kind}, not a file."))
            return None
        return stamp_of(state)

    def _refuse_name(self, path: str) -> None:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        reason = f"The name {shown.rpartition('/')[2]} is not UTF-8; rename it (convmv -f latin1 -t utf8 does so for a folder)."
        self.refused.append(RefusedFile(shown, "name-not-utf8", reason))


def is_utf8(name: str) -> bool:
    """Whether a name can be written into a table; Python marks other bytes by lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def special(mode: int) -> str:
    """What a file is that is no ordinary one, in words; "" for an ordinary file. To open a pipe would block."""
    return "" if stat.S_ISREG(mode) else next((words for is_kind, words in KINDS if is_kind(mode)), "no ordinary file")


def stamp_of(state: os.stat_result) -> str:
    """Changes when the file does; the inode tells two files apart that changed places and are equal in size and time."""
    return f"{state.st_size}/{state.st_mtime_ns}/{state.st_ino}"


def _gone(entry: os.DirEntry[str], path: str, error: OSError) -> RefusedFile:
    if error.errno == errno.ELOOP or entry.is_symlink():
        target = "itself" if error.errno == errno.ELOOP else "something that is not there"
        return RefusedFile(path, "broken-link", f"{entry.name} is a link to {target}.")
    if error.errno == errno.ENOENT:
        return RefusedFile(path, "missing-file", f"{entry.name} vanished during the scan.")
    return RefusedFile(path, "unreadable", f"{entry.name} cannot be looked at: {error.strerror or error}.")
