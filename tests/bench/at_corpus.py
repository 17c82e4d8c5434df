"""Every recorded reply against what its origin asserts, by the tests' own judges.

python -m tests.bench.at_corpus
"""

from __future__ import annotations

import sys

from tests.at import test_corpus as judges
from tests.bench.rows import Bench


def problems() -> list[str]:
    """The rows that read as something else, with their command."""
    found = []
    for row in judges.ROWS:
        judge = (
            judges.test_a_recorded_value_reads_as_its_origin_asserts
            if row["kind"] in judges._VALUES_ONLY
            else judges.test_a_recorded_reply_reads_as_its_origin_asserts
        )
        try:
            judge(row)
        except Exception as problem:
            found.append(f"{row['command']}: {type(problem).__name__}: {problem}"[:300])
    return found


def main() -> int:
    wrong = problems()
    print("\n".join(wrong))
    bench, count = Bench("at_corpus", 3), len(judges.ROWS)
    bench.row("recorded replies that read as their origin asserts", "all", f"{count - len(wrong)} of {count}",
              not wrong and count > 0, exact=True)  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
