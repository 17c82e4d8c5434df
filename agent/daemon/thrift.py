"""After the start: what only the start needed is given back to the system, and what stays is not looked at again.

Called once by assembly.py, when the module is read, the line shaped and the broker told.
"""

from __future__ import annotations

import ctypes
import gc


def settle() -> None:
    """Collect the rubbish of all the imports, exempt the rest from later collections, hand free pages back."""
    gc.collect()
    gc.freeze()  # 60 000 objects that live as long as the process need not be walked by every full collection
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc; musl gives back by itself
    if trim is not None:
        trim(0)
