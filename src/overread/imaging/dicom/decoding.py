"""All frames of an image decoded into one array; compressed ones in processes of their own.

Decoders hold Python's lock, so threads do not help, and a damaged stream may end the whole process from within a
decoder's library. The array lies in shared memory from before the processes are forked; each fills its own slices,
and nothing is copied between them.
"""

from __future__ import annotations

import math
import mmap
import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from overread.core.errors import Refused
from overread.imaging.dicom.codecs import is_compressed
from overread.imaging.dicom.pixels import FrameSlot, PixelFile
from overread.record.workers import processors

if sys.platform != "win32":
    import resource

CPU_SECONDS, CPU_SECONDS_PER_PIXEL = 2.0, 5e-6  # a child that needs more is lost; real codecs need a fiftieth of it
BYTES, BYTES_PER_PIXEL = 2**30, 64  # and so is one that asks for more memory than this
WORTH_A_PROCESS = 2_000_000  # compressed pixels; fewer are decoded sooner than another process starts
MOST_PROCESSES = 8


def decode_all(slots: Sequence[FrameSlot], processes: int | None = None) -> np.ndarray:
    """(N, Y, X) stored grey values, in the order of `slots`.

    processes  beside this one; 0 decodes here. None decides by the codec, the number of pixels and of processors
    """
    shape = (len(slots), slots[0].header.rows, slots[0].header.columns)
    dtype = np.result_type(*{slot.file.dtype for slot in slots})  # slices of one series stored with and without sign
    count = processes if processes is not None else process_count(slots)
    if count == 0:
        stored = np.empty(shape, dtype)
        _fill(stored, slots, range(len(slots)))
        return stored
    shared = mmap.mmap(-1, int(np.prod(shape)) * dtype.itemsize)
    stored = np.frombuffer(shared, dtype).reshape(shape)
    shares = [range(k, len(slots), count) for k in range(min(count, len(slots)))]
    _in_children([lambda which=which: _fill(stored, slots, which) for which in shares], slots)  # type: ignore[misc]
    return stored


def decode_colour(slots: Sequence[FrameSlot]) -> np.ndarray:
    """(3, N, Y, X) red, green, blue."""
    if process_count(slots) == 0:
        return _colours(slots)
    (array,) = _in_children([lambda: _colours(slots)], slots)
    return array


def process_count(slots: Sequence[FrameSlot]) -> int:
    """0 where nothing is compressed, or where this process may not have children."""
    pixels = sum(slot.header.rows * slot.header.columns for slot in slots if is_compressed(slot.header.transfer_syntax))
    if pixels == 0 or not sys.platform.startswith("linux") or multiprocessing.current_process().daemon:
        return 0
    return max(1, min(processors(), MOST_PROCESSES, pixels // WORTH_A_PROCESS))


def _fill(stored: np.ndarray, slots: Sequence[FrameSlot], which: Sequence[int]) -> None:
    last: PixelFile | None = None
    try:
        for k in which:
            file = slots[k].file
            if last is not None and last is not file:
                last.close()
            last = file
            if file.dtype == stored.dtype:
                file.read_into(stored[k], slots[k].frame)
            else:
                stored[k] = file.frame(slots[k].frame)
    finally:
        if last is not None:
            last.close()


def _colours(slots: Sequence[FrameSlot]) -> np.ndarray:
    frames = []
    for slot in slots:
        with slot.file as file:
            frames.append(file.frame(slot.frame))
    return np.moveaxis(np.stack(frames), -1, 0)


def _in_children(tasks: Sequence[Callable[[], Any]], slots: Sequence[FrameSlot]) -> list[Any]:
    """What each task returns, each in a forked process; the first fault in the order of the tasks is raised here."""
    context = multiprocessing.get_context("fork")
    pixels = sum(slot.header.rows * slot.header.columns * slot.header.samples for slot in slots)
    children, receivers = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads; the children only decode
        for task in tasks:
            receiving, sending = context.Pipe(duplex=False)
            child = context.Process(target=_run, args=(task, pixels, sending), daemon=True)
            child.start()
            sending.close()
            children.append(child)
            receivers.append(receiving)
    try:
        answers = [_answer(receiving) for receiving in receivers]
    except BaseException:
        for child in children:
            child.terminate()
        raise
    finally:
        for child in children:
            child.join()
    return [_result(answer, slots) for answer in answers]


def _run(task: Callable[[], Any], pixels: int, sending: Connection) -> None:
    """In the child, where nothing goes to the error channel: libraries complain there of what is refused by name."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _limit(resource.RLIMIT_CPU, math.ceil(CPU_SECONDS + CPU_SECONDS_PER_PIXEL * pixels))
    with open("/proc/self/statm") as file:
        held = int(file.read().split()[0]) * mmap.PAGESIZE
    _limit(resource.RLIMIT_AS, held + BYTES + BYTES_PER_PIXEL * pixels)
    try:
        answer: tuple[str, Any] = ("done", task())
    except Refused as fault:
        answer = ("refused", (fault.code, fault.what, fault.next))
    except MemoryError:
        answer = ("crashed", None)
    except Exception:
        answer = ("bug", traceback.format_exc())
    sending.send(answer)


def _limit(what: int, most: int) -> None:
    """Lower a limit of this process; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(what, (most, most))


def _answer(receiving: Connection) -> tuple[str, Any]:
    try:
        return receiving.recv()
    except EOFError:
        return "crashed", None


def _result(answer: tuple[str, Any], slots: Sequence[FrameSlot]) -> Any:
    how, value = answer
    if how == "refused":
        raise Refused(*value)
    if how == "crashed":
        beside = f"one of the {len(slots)} slices beside {slots[0].header.name}" if len(slots) > 1 else slots[0].header.name
        raise Refused(
            "unreadable", f"A decoder crashed or ran away on {beside}: the compressed pixels are damaged.", "fetch it again"
        )
    if how == "bug":
        raise RuntimeError(str(value))
    return value
