"""The runner's table and the report's page, the page in a real browser too (`make report-check`)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape
from pathlib import Path
from typing import Any

import pytest

from agent import SUPPORTED_UNTIL
from tests.bench import all as runner
from tests.bench import report, report_decision, results, rows, table
from tests.bench.report_plots import Source

CAMPAIGN = {
    "date": "2026-11-29T00:00:00+00:00", "seed": 1, "simulated_days": 3.0,
    "faults": {"power cut": 12, "link re-created": 30, "disk full": 4},
    "kinds": {"link": 30, "power": 12, "disk": 4},
    "violations": [], "lost_bytes": 1_000_000, "phantom_bytes": 0,
    "usage": [[0, 0, 0], [1, 10**9, 10**9], [3, 4 * 10**9, 4 * 10**9 - 10**6]],
}  # fmt: skip
# The page in a frame of the width of a window: Chromium's own window is never narrower than 500 pixels.
SIZES = """<script>
addEventListener('load', () => {
  const seen = [...document.querySelectorAll('svg.plot')].filter(p => p.getBoundingClientRect().width > 0);
  const plots = seen.map(p => [p.id.replace('-narrow', ''), Math.round(p.getBoundingClientRect().width)]);
  const texts = seen.flatMap(p => [...p.querySelectorAll('text')]);
  const out = texts.filter(t => {
    const a = t.getBoundingClientRect(), b = t.closest('svg').getBoundingClientRect();
    return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
  }).map(t => t.textContent);
  const sizes = texts.map(t => parseFloat(getComputedStyle(t).fontSize)
    * t.closest('svg').getBoundingClientRect().width / t.closest('svg').viewBox.baseVal.width);
  parent.document.documentElement.dataset.seen = JSON.stringify({plots, out, smallest: Math.min(...sizes),
    page: document.documentElement.scrollWidth, window: innerWidth,
    decided: document.querySelector('.verdict').getBoundingClientRect().bottom});
});
</script></body>"""


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which some benches left rows and others did not."""
    folder = tmp_path / "report" / "bench"
    for module in (rows, table, runner, report, results):
        monkeypatch.setattr(module, "REPORT", folder)
    monkeypatch.setattr(results, "KEPT", tmp_path / "results.json")
    results.KEPT.write_text(results.written({"scripts": [], "benches": {}, "campaign": None}))
    bench = rows.Bench("shaping_line", 5)
    bench.row("Linux: agent: tbf, down, IPv4", "p95 ≤ 75 ms", "link down 511, ping 13/24/25 ms, lost 0 %", True)
    bench.row("Linux: tc: htb, default FIFO, down | up", "", "link down 487, ping 4200/6061/6114 ms", None)
    assert bench.finish() == 0
    bench = rows.Bench("operator_day", 6)
    bench.row("a day of a typical household, TLS", "at most 100 kB on the wire", "112.0 kB, 140 messages", False)
    bench.curve("on the wire, kB", [(hour / 100, hour / 21) for hour in range(2400)])
    assert bench.finish() == rows.MISSED
    bench = rows.Bench("footprint", 9)
    bench.curve("64 bit, MB", [(second, 20 + second / (second + 3)) for second in range(90)])
    assert bench.finish() == 0
    return tmp_path


PLOTS = ["rings", "rate", "ping", "usage", "faults", "memory", "wire"]


@pytest.fixture
def demo(measured: Path) -> Path:
    folder = measured / "demo"
    folder.mkdir()
    marks = [{"s": s / 2, "down_bps": 5e6 if s < 40 else 5.12e5, "up_bps": 1e5} for s in range(120)]
    (folder / "rate.json").write_text(json.dumps({"rate": marks, "events": [[20, "40 GB crossed"]]}))
    (folder / "promises.md").write_text("| a | b | c | |\n|---|---|---|---|\n| <full> | x | y | **missed** |\n")
    return folder


def collected() -> table.Rows:
    return table.collect(runner.scripts(), {})


def test_the_table_says_what_was_kept_missed_and_not_run(measured: Path) -> None:
    stopped = runner.troubles([runner.Run("ledger_flaps", 3.0, "out of time", "stopped after 3 s")])
    found = table.collect(runner.scripts(), stopped)
    table.write(found)
    text = (measured / "report" / "bench.md").read_text()
    assert "1 of 2 numbers kept, 1 missed" in text
    assert text.index("## Shaping (") < text.index("## The operator's side (") < text.index("## Not measured")
    assert "| kept |" in text
    assert "| **missed** |" in text
    assert re.search(r"\| ledger_flaps \|.*stopped after 3 s.*\| not measured \|", text)
    assert re.search(r"\| at_fuzz \|.*not run.*\| not measured \|", text)
    assert "down \\| up" in text  # a bar in a cell would break the table
    assert json.loads((measured / "report" / "bench.json").read_text()) == found


def test_what_was_measured_in_the_short_form_only_says_so(measured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rows.SHORT, "1")
    bench = rows.Bench("simulator_fleet", 8)
    bench.row("devices", "at least 2000", "100", True)
    bench.finish()
    text = table.markdown(collected())
    assert "| 100 |  | kept, short form |" in text
    assert "some in the short form only" in text


def test_every_script_of_the_rooms_is_found_and_no_library_of_theirs() -> None:
    found = runner.scripts()
    assert {"at_fuzz", "ledger_flaps", "operator_day", "shaping_line", "simulator_modems", "cli_startup"} <= set(found)
    assert not {"rows", "all", "report", "shaping_plot", "operator_ledger", "ledger_line"} & set(found)
    assert set(runner.PLANS) <= set(found)  # no plan for a script that is gone


WRITES = "import pathlib; pathlib.Path('report/bench/at_probe.json').write_text('{}')\n"


@pytest.mark.parametrize(("kept", "exact", "status"), [
    ((True, None), True, rows.KEPT), ((True, False), False, rows.MISSED), ((False, True), True, rows.FAULT),
])  # fmt: skip
def test_a_slow_machine_is_told_from_a_fault(
    measured: Path, kept: tuple[bool | None, ...], exact: bool, status: int
) -> None:
    bench = rows.Bench("at_probe", 3)
    for one in kept:
        bench.row("what", "0", "1", one, exact=exact)
    assert bench.finish() == status


@pytest.mark.parametrize(("body", "outcome"), [
    ("import sys; print('broke here'); sys.exit(3)", "failed"),
    ("import time; time.sleep(60)", "out of time"),
    ("print('no rows')", "failed"),
    ("raise SystemExit(0)", "failed"),
    (WRITES + "raise SystemExit(0)", "ok"),
    (WRITES + "raise SystemExit(3)", "missed"),
    (WRITES + "raise SystemExit(1)", "fault"),
    (WRITES + "raise SystemExit(139)", "failed"),
])  # fmt: skip
def test_what_becomes_of_a_script(measured: Path, monkeypatch: pytest.MonkeyPatch, body: str, outcome: str) -> None:
    package = measured / "tests" / "bench"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "at_probe.py").write_text(body)
    monkeypatch.chdir(measured)
    with runner.Runner(short=False, budget_s=60.0) as running:
        done = running.run("at_probe", limit_s=3.0)
    assert done.outcome == outcome
    assert done.took_s < 30
    if "broke here" in body:
        assert "broke here" in done.detail


def test_those_that_measure_time_come_first_and_what_is_beyond_the_budget_is_told(
    measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def run(self: runner.Runner, name: str, limit_s: float) -> runner.Run:
        order.append(name)
        return runner.Run(name, 1.0, "ok")

    monkeypatch.setattr(runner.Runner, "run", run)
    names = runner.scripts()
    with runner.Runner(short=False, budget_s=60.0) as running:
        done = running.all(names)
    assert [one.name for one in done] == names
    alone = [name for name, plan in runner.PLANS.items() if plan.alone]
    assert set(order[: len(alone)]) == set(alone)
    assert "footprint" not in order
    with runner.Runner(short=True, budget_s=1.0) as running:
        assert {one.outcome for one in running.all(names)} == {"not run"}


def drawn(folder: Path, campaign: dict[str, Any] | None = CAMPAIGN) -> Source:
    benches = results.documents(folder)
    return Source(benches, table.rows_of(runner.scripts(), benches, {}), campaign)


def test_a_page_without_any_measurement_says_how_to_get_one() -> None:
    made = report.page(Source({}, [], None))
    assert "Not known: nothing was measured." in made
    for command in ("make demo", "make bench-shaping", "make campaign", "make bench"):
        assert command in made


def test_the_page_is_self_contained_and_escapes(demo: Path) -> None:
    made = report.page(drawn(demo))
    assert not re.search(r"<(script|link|img|iframe)|https?://|url\(", made)
    assert "&lt;full&gt;" in made
    assert "<h2>What was missed</h2>" in made
    twice = [twin for name in PLOTS for twin in (name, f"{name}-narrow")]
    assert re.findall(r'<svg id="([\w-]+)"', made) == twice


def test_what_was_not_run_here_is_shown_with_the_day_of_its_last_whole_run(measured: Path) -> None:
    assert "The rate was not measured yet" in report.page(drawn(measured / "demo"))
    kept = {
        "bench": "demo", "issue": 2, "arguments": [], "short": False, "date": "2026-03-04T00:00:00+00:00",
        "machine": "there", "marks": [], "curves": {"download, kbit/s": [[0, 1], [1, 2]]},
        "rows": [{"what": "kept row", "target": "1", "measured": "1", "kept": True, "peer": "", "exact": False}],
    }  # fmt: skip
    results.KEPT.write_text(results.written({"scripts": [], "benches": {"demo": kept}, "campaign": CAMPAIGN}))
    made = report.page(drawn(measured / "demo", results.campaign()))
    assert "From the demo of 2026-03-04" in made
    assert "kept row" in made
    assert "was not measured yet: <code>make campaign" not in made


# -- the decision --------------------------------------------------------------------------------------------------

JARGON = re.compile(
    r"MQTT|QEMU|p95|PSS|tbf|cake|qdisc|\bAT\b|TLS|TCP|PUBACK|[kK]ernel|[dD]aemon|goodput|kbit|RSRP|outbox|[sS]hap|bench\b"
)


def row(bench: str, what: str, measured: str, kept: bool | None = True, *, exact: bool = False) -> dict[str, Any]:
    common = {"issue": 6, "arguments": [], "short": False, "date": "2026-11-29T00:00:00+00:00", "machine": "here"}
    return {
        "bench": bench,
        "what": what,
        "target": "x",
        "measured": measured,
        "kept": kept,
        "peer": "",
        "exact": exact,
        **common,
    }


ALL = [
    row("campaign", "600 faults of 9 kinds", "0 violations", exact=True),
    row("ledger_cuts", "power cuts at random writes, in order", "500 sound", exact=True),
    row("ledger_cuts", "power cuts at random writes, some lost", "500 sound", exact=True),
    row("simulator_power", "100 of 100 power cuts at random moments", "at most 38.96 MB lost", exact=True),
    row("operator_commands", "10000 signed commands", "0 violations", exact=True),
    row("operator_cuts", "10010 real cuts", "0 violations", exact=True),
    row("at_storm", "longest wait for a reading", "61 s, 785 failed openings and polls"),
    row("update_judge", "20 updates with 1 or 2 power cuts at random instants", "0 faults", exact=True),
    row("at_fuzz", "1000000 damaged replies decoded", "0 faults", exact=True),
]  # fmt: skip


@pytest.mark.parametrize(("found", "answer"), [
    ([], "Not known: nothing was measured."),
    (ALL[1:], "Not yet. Not all that decides was measured"),
    (ALL, "Not yet into all 12,000 homes at once. Yes into a pilot of 100"),
    ([*ALL, row("a", "slow", "9", False)], "Not yet into all 12,000 homes at once. Yes into a pilot of 100"),
    ([*ALL, row("a", "a byte too many", "1", False, exact=True)], "No. Something was counted, sent or done wrongly"),
])  # fmt: skip
def test_the_verdict_follows_from_the_rows(found: table.Rows, answer: str) -> None:
    assert report_decision.verdict(found).startswith(answer)


def test_a_miss_is_a_reason_against() -> None:
    assert not any("targets were missed" in reason for reason in report_decision.reasons(ALL))
    (said,) = [one for one in report_decision.reasons([*ALL, row("a", "slow", "9", False)]) if "were missed" in one]
    assert "1 targets were missed (1 under “The operator's side”)" in said


@pytest.mark.parametrize(("bench", "found", "words"), [
    ("ledger_cuts", ALL, "Below 1 in 333.</b> It did not happen in 1,000 power cuts"),
    ("operator_cuts", ALL, "Below 1 in 3,336."),
    ("at_storm", ALL, "Below 1 in 261.</b> It did not happen in 785 failures"),
    ("operator_cuts", [], "Not known.</b> Nothing tried"),
    ("update_judge", [row("update_judge", "3 updates with 1 or 2 power cuts", "0 faults")], "Not known.</b> 3 tried"),
    ("campaign", [row("campaign", "600 faults", "1 violations", False, exact=True)], "It happened."),
])  # fmt: skip
def test_how_likely_by_the_rule_of_three(bench: str, found: table.Rows, words: str) -> None:
    (risk,) = [one for one in report_decision.RISKS if one.bench == bench]
    assert words in report_decision.likelihood(risk, found)


def test_the_cost_in_bytes_memory_and_euro() -> None:
    found = [
        row("operator_day", "a day of a typical household, TLS", "90.0 kB, 110 messages"),
        row("footprint", "steady memory (PSS), 64 bit", "27.3 MB"),
        row("footprint", "steady memory (PSS), 32 bit", "23.2 MB", False),
    ]
    made = report_decision.cost(found)
    assert "2.7 MB a month, not charged to the household; at most 0.003 euro a month" in made
    assert "32 GB and at most 36 euro a month" in made
    assert "23 MB to 27 MB" in made
    assert made.count("Not measured.") == 2


def test_the_first_screen_has_no_jargon_and_the_promises_are_those_of_the_security_page() -> None:
    assert JARGON.findall(re.sub("<[^>]+>", "", report_decision.decision(ALL) + report.ABOUT)) == []
    assert "public advisory" in report_decision.promises() or "at most 90 days" in report_decision.promises()
    assert SUPPORTED_UNTIL in report_decision.promises()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1200, 600, 390])
def test_a_browser_shows_every_plot_whole(demo: Path, width: int) -> None:
    """Laid out by Chromium: each plot has its width, no word leaves its plot, the page does not scroll sideways."""
    seen, picture = look(report.page(drawn(demo)), demo, width)
    assert [name for name, _ in seen["plots"]] == PLOTS
    assert all(wide > 0.6 * min(width, 1000) for _, wide in seen["plots"])
    assert seen["out"] == []
    assert seen["smallest"] >= 7
    assert seen["page"] <= seen["window"] == width
    assert seen["decided"] <= 844  # the verdict and its reasons are on a phone's first screen of 390 by 844
    assert picture.stat().st_size > 20_000


@pytest.mark.browser
def test_a_browser_shows_the_report_that_was_made(tmp_path: Path) -> None:
    """report/index.html as `make report` left it; its picture is kept beside it for people."""
    index = Path("report/index.html")
    if not index.exists():
        pytest.skip("report: none was made; make report")
    seen, picture = look(index.read_text(), tmp_path, 1200)
    assert seen["out"] == []
    assert seen["page"] <= seen["window"]
    shutil.copy(picture, index.with_name("screenshot.png"))


def look(made: str, folder: Path, width: int) -> tuple[dict[str, Any], Path]:
    """What the browser made of a page: the sizes of its plots, and a picture of the window."""
    if not shutil.which("chromium"):
        pytest.skip("chromium: not installed")
    file, picture = folder / "page.html", folder / "page.png"
    frame = f'style="border:0;width:{width}px;height:5200px" srcdoc="{escape(made.replace("</body>", SIZES))}"'
    file.write_text(f'<!doctype html><html><body style="margin:0"><iframe {frame}></iframe></body></html>')
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={max(width, 500)},5200",
    ]  # fmt: skip
    command = ["chromium", *flags, f"--screenshot={picture}", "--dump-dom", file.as_uri()]
    run = subprocess.run(command, capture_output=True, timeout=100, check=True)
    hit = re.search(r'data-seen="([^"]*)"', run.stdout.decode())
    assert hit, run.stderr.decode()[-500:]
    return json.loads(hit[1].replace("&quot;", '"')), picture
