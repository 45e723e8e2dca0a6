"""How the process keeps memory between training steps."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # names of glibc's malloc.h
_PAD = 256 * 2**20


def keep_freed_memory() -> bool:
    """Keep freed memory in the process instead of giving it back to the system after every layer.

    Each step frees and asks again for the same large arrays; without this the system clears every page anew, which took
    a fifth to a third of a step on a processor. The peak stays the same. Returns whether the C library could be told so
    (glibc can); call it once, before training.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # another C library, musl for one, has no such switch
        return False
    told = [library.mallopt(_M_MMAP_MAX, 0), library.mallopt(_M_TRIM_THRESHOLD, -1), library.mallopt(_M_TOP_PAD, _PAD)]
    return all(told)
