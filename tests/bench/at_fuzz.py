"""Feeds the decoder a million damaged, spliced and random replies and prints what came of it.

    python -m tests.bench.at_fuzz [COUNT] [SEED]

To raise, to take longer than a quarter of a second, or to give what is no JSON is a fault. The inputs follow from the
seed alone.
"""

from __future__ import annotations

import json
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from agent.at import COMMANDS, decode
from tests.bench.rows import Bench

DATA = Path(__file__).parents[1] / "at" / "data" / "at-captures.jsonl"
NEWS = (
    b'\r\n+CMTI: "ME",1\r\n',
    b"\r\n+CREG: 2\r\n",
    b"\r\nRING\r\n",
    b"\r\nNO CARRIER\r\n",
    b"\r\n^RSSI:13\r\n",
    b"\0\0\xff",
)
ALPHABET = b'+^#:,"()\r\nOKERCMSG 0123456789ABCDEFabcdef-./?=@_\x00\x1a\x1b\xff\xc3'
SLOW_S = 0.25


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 20261122)
    rows = [json.loads(line) for line in DATA.read_text("utf-8").splitlines()]
    commands = [row["command"] for row in rows] + [f"AT{row.name}{_form(row.kinds[0])}" for row in COMMANDS]
    outcome: Counter[str] = Counter()
    begun = time.perf_counter()
    for number in range(count):
        row = chance.choice(rows)
        kind, reply = damaged(chance, row["reply"].encode())
        command = row["command"] if chance.random() < 0.7 else chance.choice(commands)
        outcome[f"input {kind}"] += 1
        outcome.update(judged(command, reply))
        if (number + 1) % 250_000 == 0:
            print(f"{number + 1} inputs, {(number + 1) / (time.perf_counter() - begun):.0f} a second", flush=True)
    for name, times in sorted(outcome.items()):
        print(f"{name:<24} {times}")
    faults = sum(times for name, times in outcome.items() if name.startswith("fault"))
    bench = Bench("at_fuzz", 3)
    took_s, read = time.perf_counter() - begun, outcome["read"]
    measured = f"{faults} faults; {read} gave a reading; {took_s:.0f} s"
    bench.row(f"{count} damaged replies decoded", "0 exceptions, none slow", measured, not faults, exact=True)
    return bench.finish()


def _form(kind: str) -> str:
    return {"read": "?", "test": "=?", "set": "=1", "execute": ""}[kind]


def damaged(chance: random.Random, original: bytes) -> tuple[str, bytes]:
    """One input of a random kind."""
    kind = chance.choice(("noise", "grammar", "cut", "changed", "spliced", "doubled", "kept"))
    reply = bytearray(original)
    at = chance.randrange(len(reply) + 1)
    if kind == "noise":
        return kind, chance.randbytes(chance.randrange(200))
    if kind == "grammar":
        return kind, bytes(chance.choices(ALPHABET, k=chance.randrange(200)))
    if kind == "cut":
        del reply[at : at + chance.randrange(1, 20)]
    elif kind == "changed":
        for _ in range(chance.randrange(1, 6)):
            reply[chance.randrange(len(reply))] = chance.choice(ALPHABET)
    elif kind == "spliced":
        reply[at:at] = chance.choice(NEWS)
    elif kind == "doubled":
        reply[at:at] = reply[: chance.randrange(len(reply) + 1)]
    return kind, bytes(reply)


def judged(command: str, reply: bytes) -> list[str]:
    """What happened to one input."""
    begun = time.thread_time()  # its own work, not the wait for a busy processor
    try:
        found = decode(command, reply)
        json.dumps(found)
    except Exception:  # any class is a fault, that is what is looked for
        traceback.print_exc()
        print(f"command {command!r} reply {reply!r}", file=sys.stderr)
        return ["fault exception"]
    if time.thread_time() - begun > SLOW_S:
        print(f"slow: command {command!r} reply {reply!r}", file=sys.stderr)
        return ["fault slow"]
    return ["read" if found["reading"] is not None else "not read"]


if __name__ == "__main__":
    sys.exit(main())
