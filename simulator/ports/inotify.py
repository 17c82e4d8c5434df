"""Who opens and closes a terminal, as inotify(7) tells it: a pty does not, while this program itself holds it open too.

One descriptor for all terminals of a process: by default the kernel allows a user 128 (max_user_instances).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable

# inotify(7), <sys/inotify.h>
_CLOSE_WRITE, _CLOSE_NOWRITE, _OPEN = 0x08, 0x10, 0x20
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_READ_SIZE = 65_536


class Opens:
    """watch() paths, and call readable() when `descriptor` is: a callback gets True for an open, False for a close."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._done(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._callbacks: dict[int, Callable[[bool], None]] = {}

    @staticmethod
    def _done(result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    def watch(self, path: str, changed: Callable[[bool], None]) -> int:
        mask = _OPEN | _CLOSE_WRITE | _CLOSE_NOWRITE
        watch = self._done(self._libc.inotify_add_watch(self.descriptor, os.fsencode(path), mask))
        self._callbacks[watch] = changed
        return watch

    def forget(self, watch: int) -> None:
        if self._callbacks.pop(watch, None) is not None:
            self._done(self._libc.inotify_rm_watch(self.descriptor, watch))

    def readable(self) -> None:
        try:
            data = os.read(self.descriptor, _READ_SIZE)
        except BlockingIOError:
            return
        while data:
            watch, mask, _, length = _EVENT.unpack_from(data)
            data = data[_EVENT.size + length :]
            changed = self._callbacks.get(watch)
            if changed is not None and mask & (_OPEN | _CLOSE_WRITE | _CLOSE_NOWRITE):
                changed(bool(mask & _OPEN))

    def close(self) -> None:
        os.close(self.descriptor)
