"""Holds a serial port and reads from it: the second process on the line. Started by Running.steal()."""

from __future__ import annotations

import os
import sys


def main(device: str) -> None:
    """Until killed, or until the port goes away."""
    port = os.open(device, os.O_RDWR | os.O_NOCTTY)
    print("holding", flush=True)
    try:
        while os.read(port, 256):
            pass
    except OSError:
        return


if __name__ == "__main__":
    main(sys.argv[1])
