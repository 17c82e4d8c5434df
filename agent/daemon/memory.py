"""After the start: what only the start needed is given back to the system, and what stays is not looked at again.

Called once by app.py, when the module is read, the line shaped and the broker told.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

MADV_DONTNEED = 4  # asm-generic/mman-common.h; the same on x86, Arm, MIPS and RISC-V
SMAPS = Path("/proc/self/smaps")  # proc_pid_smaps(5); a kernel may be built without it


def settle() -> None:
    """Collect the rubbish of all the imports, exempt the rest from later collections, hand free pages back."""
    gc.collect()
    gc.freeze()  # 60 000 objects that live as long as the process need not be walked by every full collection
    libc = ctypes.CDLL(None)
    trim = getattr(libc, "malloc_trim", None)  # glibc; musl gives back by itself
    if trim is not None:
        trim(0)
    with suppress(OSError):
        _give_back(libc, unwritten(SMAPS.read_text().splitlines()))


def _give_back(libc: ctypes.CDLL, spans: Iterable[tuple[int, int]]) -> None:
    """Unmap program text and tables; what is called again comes back from the page cache, or from the file.

    Parsing and unmarshalling, for example, are not called again: 4 MB less after a day on 32 bit, 6 on 64
    (`make bench-footprint`). A kernel short of memory finds such pages unmapped and takes them first.
    """
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, size in spans:
        libc.madvise(start, size, MADV_DONTNEED)


def unwritten(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Address and bytes of each private, read-only mapping of a file that holds no page of its own.

    Only there is nothing lost by MADV_DONTNEED: a page that the linker has written to (relocations, which it then makes
    read-only) is counted as Anonymous, or as Swap when it is out, and its mapping left alone.
    """
    start = size = 0
    for line in smaps:
        words = line.split()
        if not words[0].endswith(":"):  # address, permissions, offset, device, inode, path
            ends = [int(end, 16) for end in words[0].split("-")]
            from_file = len(words) > 5 and words[5].startswith("/") and words[1] in {"r-xp", "r--p"}
            start, size = (ends[0], ends[1] - ends[0]) if from_file else (0, 0)
        elif words[0] in {"Anonymous:", "Swap:"} and words[1] != "0":
            size = 0
        elif words[0] == "VmFlags:" and size:  # the last line of each mapping
            yield start, size
