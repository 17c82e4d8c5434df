"""Holds a serial port and reads from it: the second process on the line. Started by Running.steal()."""

from __future__ import annotations

import os
import select
import sys


def main(device: str) -> None:
    """Until killed, or until the port goes away."""
    port = os.open(device, os.O_RDWR | os.O_NOCTTY)
    print("holding", flush=True)
    line = select.poll()
    line.register(port, select.POLLIN)
    try:
        # An empty read is no end: the other reader was quicker, and may have set the line not to wait (VMIN 0).
        while not line.poll()[0][1] & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            os.read(port, 256)
    except OSError:
        return


if __name__ == "__main__":
    main(sys.argv[1])
