"""Engine throughput against python-gsmmodem-new's reader, on the same recorded stream, in one run; prints the ratio.

    python -m tests.bench.at_throughput [REPEATS]

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
from tests.bench.rows import Bench

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
    """A raw pseudo-terminal's near end, and a thread that will write the stream to the far one.

    It is started when the near end is open for good: to open it anew throws away what came before.
    """
    far, near = pty.openpty()
    tty.setraw(near)

    def write() -> None:
        for start in range(0, len(data), 512):
            os.write(far, data[start : start + 512])

    return near, threading.Thread(target=write, daemon=True)


def engine_terminal_s(data: bytes) -> float:
    """Seconds for the engine behind os.read, as the agent's port reads; the whole stream as one long answer."""
    near, writer = _terminal(data)
    engine, got = Engine(find), 0
    writer.start()
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
    writer.start()
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
    print(f"engine, one byte a read:  {len(data) / single[0] / 1e6:8.3f} MB/s")
    bench = Bench("at_throughput", 3)
    what, target = f"a recorded stream of {len(data)} bytes, {len(exchanges)} exchanges", f"at least {TARGET:g} times"
    try:
        other = min((other_s(data) for _ in range(ROUNDS)), key=lambda found: found[0])
    except ImportError as error:
        bench.row(what, target, f"not measured: python-gsmmodem-new is not installed ({error})", None)
        return bench.finish()
    ours_s = min(engine_terminal_s(data) for _ in range(ROUNDS))
    theirs_s = min(other_terminal_s(data) for _ in range(ROUNDS))
    for way, own, peer, promised in (
        ("through a terminal", ours_s, theirs_s, target),
        ("from memory, 512 bytes a read", ours[0], other[0], ""),
        ("from memory, one byte a read", single[0], other[0], ""),
    ):
        ratio = peer / own
        bench.row(
            f"{what}, {way}", promised, f"{ratio:.1f} times, {len(data) / own / 1e6:.2f} MB/s",
            ratio >= TARGET if promised else None, f"python-gsmmodem-new {len(data) / peer / 1e6:.3f} MB/s",
        )  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
