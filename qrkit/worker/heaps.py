"""How many heaps the C library keeps for the threads of a worker, which lives for months.

glibc gives each thread a heap of its own, up to eight for each processor, and what is free in one is of no use to the
others: the memory of a worker grows by that for a long time, though it holds no more. Two are enough where threads
wait for one another all the time anyway (measured: `docs/deployment.md`).
"""

from __future__ import annotations

import ctypes
import os
import platform

_M_ARENA_MAX = -8
"""As glibc's malloc.h has it."""

_HEAPS = 2


def keep_heaps_few() -> bool:
    """Have threads that begin from now on share a few heaps; say whether the C library does.

    What MALLOC_ARENA_MAX says in the environment is left as it is.
    """
    if platform.libc_ver()[0] != "glibc" or "MALLOC_ARENA_MAX" in os.environ:
        return False
    return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS))
