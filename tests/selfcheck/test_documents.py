"""The documents say what is there: links, commands, sizes, the support period, the shape of the change log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent import SUPPORTED_UNTIL, __version__

PROJECT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(PROJECT).as_posix()
    for path in PROJECT.rglob("*.md")
    if not any(part.startswith(".") or part in ("report", "out") for part in path.relative_to(PROJECT).parts)
)
README, CONTRIBUTING, CHANGES = ((PROJECT / f"{n}.md").read_text() for n in ("README", "CONTRIBUTING", "CHANGELOG"))
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(#[^)\s]*)?\)")
TARGET = re.compile(r"(?<![\w/.-])make ([a-z][a-z0-9-]*)")
NOT_OURS = {"menuconfig", "package"}  # OpenWrt's
README_BYTES = 9000
CHANGE_LENGTH = 220  # one line a visible change; what it takes to say more belongs into a README


def anchors(text: str) -> set[str]:
    """GitHub's names of the headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target, anchor in LINK.findall((PROJECT / name).read_text()):
        file = (PROJECT / name).parent / target if target else PROJECT / name
        assert file.exists(), f"{name}: {target}"
        assert not anchor or anchor in anchors(file.read_text()), f"{name}: {target}{anchor}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    code = re.findall(r"```.*?```|`[^`]+`", (PROJECT / name).read_text(), re.DOTALL)
    named = {word for piece in code for word in TARGET.findall(piece)} - NOT_OURS
    assert named <= targets


def test_every_target_of_the_makefile_is_explained() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    assert targets - set(TARGET.findall(CONTRIBUTING)) == {"clean"}


def test_every_file_that_contributing_names_exists() -> None:
    example = re.compile(r"acme|NAME|xx\.py")
    for word in re.findall(r"`((?:agent|simulator|tests|systemd|firmware-config)/[\w./-]+)`", CONTRIBUTING):
        place = PROJECT / word
        assert place.exists() or (example.search(word) and place.parent.is_dir()), word
    for module in re.findall(r"python -m (tests\.[\w.]+)", CONTRIBUTING):
        path = PROJECT / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), module


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.endswith("/README.md")])
def test_every_file_that_a_rooms_readme_lists_exists(name: str) -> None:
    """Tables headed "file" or "folder", and indented lists of which one name is a file there."""
    room, text = (PROJECT / name).parent, (PROJECT / name).read_text()
    for table in re.findall(r"^\| (?:file|folder)[^|]*\|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE):
        for row in table.splitlines():
            for word in re.findall(r"`([\w/.-]+)`", row.split("|")[1]):
                assert there(room, word), f"{name}: {word}"
    for block in re.findall(r"(?:^    [a-z_].*\n)+", text, re.MULTILINE):
        lists = (re.match(r"    ([a-z_][a-z_./]*(?:, [a-z_./]+)*)  +\S", line) for line in block.splitlines())
        words = [word for found in lists if found for word in found[1].split(", ")]
        if any(there(room, word) for word in words):
            assert [word for word in words if not there(room, word)] == []


def there(room: Path, word: str) -> bool:
    """A file as it is named, a module by its name, or by one of its functions (`counters.advance`)."""
    bare = word.rstrip("/")
    names = (bare, f"{bare}.py", f"{bare.partition('.')[0]}.py")
    return any((room / name).exists() or any(room.glob(f"*/{name}")) for name in names)


def test_the_readme_is_short_and_has_what_a_newcomer_looks_for() -> None:
    assert len(README.encode()) <= README_BYTES
    what, _, rest = README.partition("```sh")
    assert len(re.findall(r"\.(?=\s|$)", what.partition("\n\n")[2])) == 3, "what it is, in three sentences"
    assert rest.partition("```")[0].count("make ") == 2
    install = README.partition("## Install")[2].partition("\n## ")[0]
    blocks = re.findall(r"\*\*.+?\*\* \(\[.+?\]\(.+?\).*?\):\n```\n(.+?)\n```", install, re.DOTALL)
    assert [len(block.splitlines()) for block in blocks] == [4, 4, 4]
    for word in ("licence", "support", "security", "status"):
        assert re.search(rf"^\| {word} \| .+ \|$", README, re.MULTILINE)
    assert f"**{SUPPORTED_UNTIL}**" in README
    assert f"| status | {__version__}" in README


def test_the_change_log_has_one_line_a_change() -> None:
    versions = re.split(r"^## ", CHANGES, flags=re.MULTILINE)[1:]
    assert versions[0].startswith(__version__)
    for version in versions:
        headings = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert headings == [name for name in ("Added", "Changed", "Fixed") if name in headings]
        lines = [line for line in version.splitlines()[1:] if line and not line.startswith("### ")]
        assert [line for line in lines if not line.startswith("- ") or len(line) > CHANGE_LENGTH] == []
