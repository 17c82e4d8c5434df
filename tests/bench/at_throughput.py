"""Engine throughput against python-gsmmodem-new's reader, on the same recorded stream, in one run; prints the ratio.

    pip install python-gsmmodem-new; python tests/bench/at_throughput.py [REPEATS]

Twice: through a pseudo-terminal, as in the field, where each reads in its own way (that reader one byte at a time from
pyserial, this one what is there), and from memory, where no kernel is measured and the engine gets 512 bytes a piece,
what one read of a USB port brings. The terminal's ratio counts: the byte-wise read is part of that reader.
"""

from __future__ import annotations

import json
import os
import pty
import sys
import threading
import time
import tty
from pathlib import Path

from agent.at import Engine, Response, find

DATA = Path(__file__).parents[1] / "at" / "data" / "at-captures.jsonl"
TARGET = 10.0
ROUNDS = 3


def stream(repeats: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Every recorded reply to a command, with its line ends and a final OK: the bytes, and the exchanges they make."""
    exchanges: list[tuple[str, bytes]] = []
    for line in DATA.read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["command"].startswith("AT") and row["kind"] not in ("final", "error_code"):
            body = [part for part in row["reply"].replace("\r", "\n").split("\n") if part and part != "OK"]
            wire = "".join(f"\r\n{part}\r\n" for part in [*body, "OK"]).encode()
            exchanges.append((row["command"], wire))
    exchanges *= repeats
    return b"".join(wire for _, wire in exchanges), exchanges


def engine_s(exchanges: list[tuple[str, bytes]], size: int) -> tuple[float, int]:
    """Seconds that the engine takes, and how many commands it ended."""
    engine, ended = Engine(find), 0
    begun = time.perf_counter()
    for command, wire in exchanges:
        engine.submit(command)
        for start in range(0, len(wire), size):
            engine.receive(wire[start : start + size])
        while (event := engine.next_event()) is not None:
            ended += isinstance(event, Response)
    return time.perf_counter() - begun, ended


class _Memory:
    """A serial object that gives a stream byte by byte, then fails as a port does that was unplugged."""

    def __init__(self, data: bytes, error: type[Exception]) -> None:
        self._data, self._at, self._error = data, 0, error

    def inWaiting(self) -> int:  # pyserial's old name, which that reader calls
        return len(self._data) - self._at

    def read(self, size: int = 1) -> bytes:
        if self._at >= len(self._data):
            raise self._error("end of stream")
        self._at += size
        return self._data[self._at - size : self._at]


def other_s(data: bytes) -> tuple[float, int]:
    """Seconds that the other reader takes, and how many lines it handed on."""
    import serial
    from gsmmodem.serial_comms import SerialComms

    lines = 0

    def count(found: list[str]) -> None:
        nonlocal lines
        lines += len(found)

    reader = SerialComms("memory", notifyCallbackFunc=count, fatalErrorCallbackFunc=lambda error: None)
    reader.serial = _Memory(data, serial.SerialException)
    reader.alive = True
    begun = time.perf_counter()
    reader._readLoop()
    return time.perf_counter() - begun, lines


def _terminal(data: bytes) -> tuple[int, threading.Thread]:
    """A raw pseudo-terminal whose far end writes the stream and leaves; the near end's descriptor."""
    far, near = pty.openpty()
    tty.setraw(near)

    def write() -> None:
        for start in range(0, len(data), 512):
            os.write(far, data[start : start + 512])

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    return near, writer


def engine_terminal_s(data: bytes) -> float:
    """Seconds for the engine behind os.read, as the agent's port reads; the whole stream as one long answer."""
    near, writer = _terminal(data)
    engine, got = Engine(find), 0
    begun = time.perf_counter()
    while got < len(data):
        chunk = os.read(near, 4096)
        got += len(chunk)
        engine.receive(chunk)
        while engine.next_event() is not None:
            pass
    took = time.perf_counter() - begun
    writer.join()
    os.close(near)
    return took


def other_terminal_s(data: bytes) -> float:
    """Seconds for the other reader behind pyserial on a terminal of the same kind."""
    import serial
    from gsmmodem.serial_comms import SerialComms

    near, writer = _terminal(data)
    port = serial.Serial(os.ttyname(near), timeout=1)
    end = len(data)

    class _Counted:
        """The port, which ends the reader's loop behind the last byte."""

        def __init__(self) -> None:
            self.left = end

        def read(self, size: int = 1) -> bytes:
            if not self.left:
                raise serial.SerialException("end of stream")
            found: bytes = port.read(size)
            self.left -= len(found)
            return found

        def inWaiting(self) -> int:  # pyserial's old name, which that reader calls
            return int(port.in_waiting)

        def close(self) -> None:
            port.close()

    reader = SerialComms("terminal", notifyCallbackFunc=lambda lines: None, fatalErrorCallbackFunc=lambda error: None)
    reader.serial = _Counted()
    reader.alive = True
    begun = time.perf_counter()
    reader._readLoop()
    took = time.perf_counter() - begun
    writer.join()
    port.close()
    os.close(near)
    return took


def main() -> int:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    data, exchanges = stream(repeats)
    print(f"stream: {len(data)} bytes, {len(exchanges)} exchanges")
    ours = min((engine_s(exchanges, 512) for _ in range(ROUNDS)), key=lambda found: found[0])
    single = min((engine_s(exchanges, 1) for _ in range(ROUNDS)), key=lambda found: found[0])
    assert ours[1] == single[1] == len(exchanges), (ours, single, len(exchanges))
    print(f"engine, 512 bytes a read: {len(data) / ours[0] / 1e6:8.3f} MB/s ({ours[1]} commands ended)")
    print(f"engine, one byte a read:  {len(data) / single[0] / 1e6:8.3f} MB/s")
    try:
        other = min((other_s(data) for _ in range(ROUNDS)), key=lambda found: found[0])
    except ImportError as error:
        print(f"python-gsmmodem-new is not installed ({error}); no ratio")
        return 1
    print(f"python-gsmmodem-new:      {len(data) / other[0] / 1e6:8.3f} MB/s ({other[1]} lines handed on)")
    print(f"from memory: ratio {other[0] / ours[0]:.1f}, byte by byte {other[0] / single[0]:.1f}")
    ours_s = min(engine_terminal_s(data) for _ in range(ROUNDS))
    other_s_ = min(other_terminal_s(data) for _ in range(ROUNDS))
    print(
        f"through a terminal: engine {len(data) / ours_s / 1e6:.3f} MB/s, other {len(data) / other_s_ / 1e6:.3f} MB/s"
    )
    print(f"ratio {other_s_ / ours_s:.1f} (at least {TARGET:g} is asked)")
    return 0 if other_s_ / ours_s >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
