"""`modem-agent bundle`: all that a ticket needs, redacted, in one file; works with the agent dead."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli import exits, screen
from agent.cli.language import _, spoken
from agent.cli.verb import Call, verb
from agent.errors import NotPermitted

if TYPE_CHECKING:
    from agent.doctor.bundle import Entry


@verb("modem-agent bundle", "modem-agent bundle --out /tmp/ticket-4711.tar.gz", "modem-agent bundle --out - > b.tar.gz")
@click.option("--out", metavar="FILE", help="Where to write it; - is standard output. Default: a name with the time.")
def command(call: Call, out: str | None) -> int:
    """Collect all that a ticket needs, redacted, in one file.

    Configuration, doctor's report, last day of readings, events, usage, the kernel's view of links and queues,
    versions and log; identifiers masked, secrets left out, 2 MB at most. Works with the agent dead.
    """
    from agent.cli.evidence import examine, salvaged
    from agent.cli.progress import Steps
    from agent.doctor.bundle import make, write
    from agent.doctor.bundle_files import collectors
    from agent.doctor.diagnosis import diagnose

    if out == "-" and sys.stdout.isatty():
        raise click.UsageError(_("a bundle is no text: say --out FILE, or lead standard output into a file"))
    with Steps(quiet=call.json) as steps:
        config = salvaged(call)[0]
        evidence = examine(call, steps.tell)
        if evidence.agent_refused:
            raise NotPermitted(evidence.agent_problem)  # what could be collected is not worth a ticket
        database = Path(config.device.state_dir) / "agent.db"
        files = collectors(config, database, evidence.status, diagnose(evidence).to_dict())
        data, entries = make(files, lambda percent, what: steps.tell(what, percent))
    if out == "-":
        sys.stdout.buffer.write(data)
        return exits.OK
    path = Path(out or f"modem-agent-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.tar.gz")
    write(data, path)
    if call.json:
        rows = [{"file": e.file, "ok": e.ok, "bytes": e.size_bytes, "note": e.problem} for e in entries]
        screen.print_json({"v": 1, "bundle": str(path.absolute()), "bytes": len(data), "files": rows})
        return exits.OK
    print("\n".join(lines(path, len(data), entries)))
    return exits.OK


def lines(path: Path, size_bytes: int, entries: Sequence[Entry]) -> list[str]:
    """What was written, and what could not be collected and why."""
    missing = [entry for entry in entries if not entry.ok]
    said = [screen.clean(_("without {file}: {problem}", file=e.file, problem=spoken(e.problem))) for e in missing]
    number = len(entries) - len(missing)
    return [
        screen.clean(_("{path}: {size}, {number} files", path=path, size=screen.size(size_bytes), number=number)),
        *("  " + line for text in said for line in screen.wrap(text, screen.width() - 2, indent="  ")),
    ]
