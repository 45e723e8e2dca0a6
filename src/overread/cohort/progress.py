"""How long work tells how far it is; the caller decides whether that becomes a bar or a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from overread.record.workers import in_order

Item = TypeVar("Item")
Result = TypeVar("Result")


class Progress(Protocol):
    def start(self, total: float | None, text: str) -> None: ...
    def advance(self, n: float = 1, note: str = "") -> None: ...
    def finish(self) -> None: ...


def counted(items: Iterable[Item], total: int, text: str, progress: Progress | None) -> Iterator[Item]:
    """Pass the items on and count them."""
    if progress is None:
        yield from items
        return
    progress.start(total, text)
    for item in items:
        yield item
        progress.advance()
    progress.finish()


def work_through(
    work: Callable[[Item], Result], items: Sequence[Item], text: str, progress: Progress | None = None
) -> Iterator[Result]:
    """`work(item)` for every item, in order and counted; in several processes where it takes long, to which both travel."""
    yield from counted(in_order(work, items, text[:1].lower() + text[1:]), len(items), text, progress)


@contextmanager
def stage(progress: Progress | None, text: str) -> Iterator[Callable[[int, int], None] | None]:
    """A stage for a worker that calls back with (done, in all)."""
    if progress is None:
        yield None
        return
    before, announced = 0, -1

    def tell(done: int, total: int) -> None:
        nonlocal before, announced
        if total != announced:  # the first word, or more was found on the way
            progress.start(total, text)
            before, announced = 0, total
        progress.advance(done - before)
        before = done

    yield tell
    progress.finish()


@contextmanager
def in_shares(progress: Progress | None, text: str) -> Iterator[Callable[[float, str], None]]:
    """Work that tells which share of it is done, 0 to 1, and a note."""
    done = 0.0

    def tell(share: float, note: str) -> None:
        nonlocal done
        if progress is not None:
            progress.advance(max(0.0, share - done), note)
            done = max(done, share)

    if progress is not None:
        progress.start(1.0, text)
    yield tell
    if progress is not None:
        progress.finish()
