"""Check that the statements of a device are those whose hashes it reported, month by month.

    python3 statement_chain.py STATEMENTS EVENTS

STATEMENTS has one answer of `usage.statement` (or `modem-agent usage --statement MONTH --json`) a line, EVENTS one
message of `e/statement` a line, as the broker took it. Exit status 1 if one does not fit. Needs Python alone.
"""

import hashlib
import json
import sys
from pathlib import Path


def problems(answers, events):
    """What does not fit, a sentence each."""
    told = {event["n"]: event for event in events}
    for n, event in sorted(told.items()):
        if n - 1 in told and event["before"] != told[n - 1]["hash"]:
            yield f"{n} was reported to follow {event['before'][:12]}, {n - 1} is {told[n - 1]['hash'][:12]}"
    for answer in answers:
        text = json.dumps(answer["statement"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        found = hashlib.sha256(text.encode()).hexdigest()
        event = told.get(answer["n"])
        if event is None:
            yield f"{answer['n']} was never reported"
        elif found != event["hash"] or answer["statement"]["before"] != event["before"]:
            yield f"{answer['n']} is not what was reported: {found[:12]}, not {event['hash'][:12]}"


if __name__ == "__main__":
    rows = [[json.loads(line) for line in Path(name).read_text("utf-8").splitlines()] for name in sys.argv[1:3]]
    found = list(problems(*rows))
    print("\n".join(found) or f"{len(rows[0])} statements are as they were reported")
    sys.exit(bool(found))
