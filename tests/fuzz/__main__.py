"""`make fuzz`: each target for a fixed time, from its corpus on; what breaks one is kept in the corpus.

python -m tests.fuzz [--seconds S] [--seed N] [--only TARGET…]
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from pathlib import Path

from tests.bench.rows import Bench
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
TOKENS = (
    b"\r\n", b"\0", b"\xff", b'"', b"'", b",", b"{", b"}", b"[" * 50, b"=", b"\\u0000", b"OK\r\n", b"+CREG: 2\r\n",
    b"1e999", b"NaN", b"-1", b"9" * 400, b"\n", b"config", b"option", b"[plan]\n", b"true", b"null", b"\xc3\x28",
)  # fmt: skip
LONGEST = 20_000
SLOW_S = 5.0


def seeds(target: str) -> list[bytes]:
    """The corpus of a target, and what has no file: nothing."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())] or [b""]


def mutated(data: bytes, others: list[bytes], dice: random.Random) -> bytes:
    """Bytes flipped, cut, repeated, spliced with another of the corpus, and words of the formats put in."""
    made = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        place = dice.randrange(len(made) + 1)
        match dice.randrange(6):
            case 0 if made:
                made[place % len(made)] = dice.randrange(256)
            case 1:
                del made[place : place + dice.randrange(1, 20)]
            case 2:
                made[place:place] = dice.choice(TOKENS)
            case 3:
                made[place:place] = made[: dice.randrange(1, 200)]
            case 4:
                other = dice.choice(others)
                made[place:] = other[dice.randrange(len(other) + 1) :]
            case _:
                made[place:place] = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 6)))
    return bytes(made[:LONGEST])


def fuzz(target: str, seconds: float, dice: random.Random) -> tuple[int, list[str]]:
    """Inputs tried, and the findings, each kept as a file that repeats it."""
    pool, found, tried = seeds(target), [], 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        data = mutated(dice.choice(pool), pool, dice)
        began, wrong = time.process_time(), ""
        try:
            TARGETS[target](data)
        except Exception as error:
            wrong = f"{type(error).__name__}: {str(error)[:120]}"
        if time.process_time() - began > SLOW_S:
            wrong = wrong or f"took {time.process_time() - began:.1f} s of processor"
        if wrong:
            kept = CORPUS / target / f"finding-{hashlib.sha256(data).hexdigest()[:12]}"
            kept.write_bytes(data)
            found.append(f"{kept.name}: {wrong}")
            if len(found) >= 5:
                break
        tried += 1
    return tried, found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--only", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    options = parser.parse_args()
    bench = Bench("fuzz", 10)
    for target in options.only:
        tried, found = fuzz(target, options.seconds, random.Random(f"{options.seed} {target}"))
        for sentence in found:
            print(f"  FINDING {target}: {sentence}")
        what = f"{target}: {options.seconds:g} s from a corpus of {len(seeds(target))} (seed {options.seed})"
        bench.row(what, "no finding", f"{tried} inputs, {len(found)} findings", not found, exact=True)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
