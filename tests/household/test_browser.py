"""The household's page in a real browser: every state, language and width, under axe-core's rules for accessibility.

axe-core comes with PyPI's axe-core-python, or from the file that AXE_JS names (npm's axe-core, axe.min.js). What the
browser made of it is kept in report/household/ for people to look at.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from agent.household import statement_page, statement_texts
from agent.household.page import AGE, OLD_LINE, OTHERS, OWN, UNKNOWN, UNKNOWN_LINE, page
from agent.household.page_texts import LANGUAGES
from agent.household.sheet import sheet
from agent.store import Database

from .test_page import STATES
from .test_statement import Month, live

WIDTHS = (320, 360, 768)
KEPT = Path(__file__).parents[2] / "report/household"
# Rules of WCAG 2.2 A and AA, and axe's own good practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

LOOK = """<script id="axe" type="text/plain">AXE</script><script>
const found = [];
async function look(frame) {
  const inner = frame.contentWindow, root = inner.document.documentElement;
  inner.eval(document.getElementById('axe').textContent);
  const axe = await inner.axe.run(inner.document, {runOnly: RULES});
  const cut = [...inner.document.querySelectorAll('body *')].filter(e => {
    const b = e.getBoundingClientRect(); return b.width && (b.left < -1 || b.right > root.clientWidth + 1); });
  const small = [...inner.document.querySelectorAll('a')].filter(a => a.getBoundingClientRect().height < 24);
  const scripted = [...inner.document.querySelectorAll('script, img, link, iframe')];
  found.push({name: frame.title, wide: root.scrollWidth - root.clientWidth, cut: cut.length, small: small.length,
    fetched: inner.performance.getEntriesByType('resource').length, scripted: scripted.length,
    checked: axe.passes.length, violations: axe.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' '))});
}
addEventListener('load', async () => {
  for (const frame of document.querySelectorAll('iframe')) await look(frame);
  document.documentElement.dataset.seen = encodeURIComponent(JSON.stringify(found));
});
</script>"""


def axe() -> str:
    """axe-core's own source."""
    given = os.environ.get("AXE_JS")
    if given:
        return Path(given).read_text("utf-8")
    package = importlib.util.find_spec("axe_core_python")
    if package is None or not package.submodule_search_locations:
        pytest.skip("axe-core-python: not installed")
    return Path(package.submodule_search_locations[0], "axe.min.js").read_text("utf-8")


def read(document: str, *, old: bool) -> str:
    """A document as the web server's script hands it out, old or fresh; an old one knows of nobody's use too."""
    dropped = () if old else (OLD_LINE, UNKNOWN_LINE)
    lines = [line for line in document.splitlines() if not line.startswith(dropped)]
    for mark, value in ((AGE, "7" if old else "1"), (OWN, "1,5"), (OTHERS, "13,7"), (UNKNOWN, "0,3")):
        lines = [line.replace(mark, value) for line in lines]
    return "\n".join(lines)


def framed(documents: dict[str, tuple[int, str]]) -> str:
    """A page of pages, each in a window of its own width. Their policy forbids scripts, axe's too: it is taken off."""
    frames = [
        f'<iframe title="{name}" width="{width}" height="1300" srcdoc="'
        + escape(re.sub(r"<meta http-equiv[^>]*>", "", document))
        + '"></iframe>'
        for name, (width, document) in documents.items()
    ]
    script = LOOK.replace("RULES", json.dumps(RULES)).replace("AXE", axe().replace("</script", "<\\/script"))
    head = "<!DOCTYPE html><html><head><meta charset=utf-8></head><body style='margin:0'>"
    return f"{head}{''.join(frames)}{script}</body></html>"


def chromium(folder: Path, *flags: str) -> subprocess.CompletedProcess[bytes]:
    if not shutil.which("chromium"):
        pytest.skip("chromium: not installed")
    KEPT.mkdir(parents=True, exist_ok=True)
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--hide-scrollbars", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", *flags,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, timeout=280, check=True)


def look(documents: dict[str, tuple[int, str]], folder: Path, name: str) -> list[dict[str, Any]]:
    """What the browser and axe found in each; the picture stays in KEPT."""
    file = folder / "pages.html"
    file.write_text(framed(documents), "utf-8")
    width = sum(width + 8 for width, _ in documents.values()) // 2 + 800
    run = chromium(
        folder, "--virtual-time-budget=60000", f"--window-size={width},2650", f"--screenshot={KEPT / name}.png",
        "--dump-dom", file.as_uri(),
    )  # fmt: skip
    hit = re.search(r'data-seen="([^"]*)"', run.stdout.decode())
    assert hit, run.stderr.decode()[-500:]
    found: list[dict[str, Any]] = json.loads(unquote(hit[1]))
    assert [one["name"] for one in found] == list(documents)
    return found


def judge(found: list[dict[str, Any]]) -> None:
    for one in found:
        assert one["violations"] == [], one["name"]
        assert one["checked"] > 10, one["name"]  # axe did look
        assert (one["wide"], one["cut"], one["small"], one["fetched"], one["scripted"]) == (0, 0, 0, 0, 0), one


@pytest.mark.browser
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_is_whole_and_accessible_at_every_width(language: str, tmp_path: Path) -> None:
    documents = {
        f"{language} {state} {width}": (width, read(page(shown, language, count=True), old=state == "broken"))
        for state, shown in STATES.items()
        for width in WIDTHS
    }
    judge(look(documents, tmp_path, language))


@pytest.mark.browser
def test_the_sheet_is_whole_and_accessible(tmp_path: Path) -> None:
    judge(look({"sheet": (768, sheet(["192.168.8.1"]))}, tmp_path, "sheet"))


@pytest.mark.browser
@pytest.mark.parametrize("language", statement_texts.LANGUAGES)
def test_a_statement_is_one_sheet_of_a5(language: str, tmp_path: Path) -> None:
    """With all that it can name, as the browser prints it."""
    made, file = KEPT / f"statement-{language}.pdf", tmp_path / "statement.html"
    with Database.open(tmp_path / "agent.db") as database:
        live(month := Month(database))
        file.write_text(statement_page.page(month.answer(), language), "utf-8")
    chromium(tmp_path, f"--print-to-pdf={made}", "--no-pdf-header-footer", file.as_uri())
    printed = made.read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    (box,) = re.findall(rb"/MediaBox\s*\[0 0 ([0-9.]+) ([0-9.]+)\]", printed)
    # A5 is 148 x 210 mm (ISO 216); a point is 1/72 inch.
    assert [round(float(points) / 72 * 25.4) for points in box] == [148, 210]


@pytest.mark.browser
def test_axe_is_heard_when_something_is_wrong(tmp_path: Path) -> None:
    """A picture without a text, and words in a grey that nobody reads."""
    bad = '<!DOCTYPE html><html><body><img src="data:,"><p style="color:#ccc">pale</p></body></html>'
    (one,) = look({"bad": (320, bad)}, tmp_path, "bad")
    assert {found.partition(":")[0] for found in one["violations"]} >= {"image-alt", "color-contrast", "html-has-lang"}
    (KEPT / "bad.png").unlink()
