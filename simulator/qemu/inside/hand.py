"""The host's hand in the guest: runs what arrives as JSON lines on a virtio port, answers with exit code and output.

Started by guest-hand.service. Test guests only: whoever holds the host's end is root here.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

PORT = Path("/dev/virtio-ports/hand")
_writing = threading.Lock()


def answer(port: int, request: dict[str, Any]) -> None:
    """Run one command to its end, in its own thread."""
    environment = {**os.environ, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        done = subprocess.run(
            request["command"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=request["timeout_s"], env=environment,
        )  # fmt: skip
        reply = {"id": request["id"], "exit_code": done.returncode, "output": done.stdout.decode(errors="replace")}
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")
        reply = {"id": request["id"], "exit_code": 124, "output": said}
    except OSError as error:
        reply = {"id": request["id"], "exit_code": 127, "output": str(error)}
    with _writing:
        write_all(port, json.dumps(reply).encode() + b"\n")


def write_all(port: int, data: bytes) -> None:
    while data:
        data = data[os.write(port, data) :]


def main() -> None:
    while not PORT.exists():
        time.sleep(0.05)
    port = os.open(PORT, os.O_RDWR)
    buffer = b""
    write_all(port, b'{"id": 0, "exit_code": 0, "output": "up"}\n')
    while True:
        received = os.read(port, 65536)
        if not received:  # the host has let go; it may take hold again
            time.sleep(0.1)
            continue
        buffer += received
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            threading.Thread(target=answer, args=(port, json.loads(line)), daemon=True).start()


if __name__ == "__main__":
    main()
