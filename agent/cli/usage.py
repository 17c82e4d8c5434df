"""`modem-agent usage`: what was used this period, of how much, until when."""

from __future__ import annotations

from agent.cli import screen
from agent.cli.verb import Call, verb
from agent.cli.when import local


@verb("modem-agent usage", "modem-agent usage --json")
def command(call: Call) -> int:
    """What was used this period, by day or by month."""
    with call.client() as client:
        answer = client.call("usage")
    if call.json:
        screen.print_json(answer)
        return 0
    usage, period = answer.get("usage"), answer.get("period")
    if usage is None or period is None:
        print("nothing is counted yet")
        return 1
    rows: list[tuple[str, object]] = [
        ("Period", f"{local(period['start'])} to {local(period['end'])}"),
        ("Used", f"{screen.size(usage['charged_bytes'])} of {screen.size(usage['limit_bytes'])}"),
        ("", screen.bar(usage["percent"] / 100, min(50, screen.width() - 18)) + f" {usage['percent']:.1f} %"),
        ("Received", screen.size(usage["received_bytes"])),
        ("Sent", screen.size(usage["sent_bytes"])),
        ("Agent's own", screen.size(usage["management_bytes"])),
        ("Top-ups", screen.size(usage["topup_bytes"]) if usage["topup_bytes"] else None),
        ("Left", screen.size(max(0, usage["remaining_bytes"]))),
    ]
    for line in screen.pairs(rows):
        print(line)
    return 0
