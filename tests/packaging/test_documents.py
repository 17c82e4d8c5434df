"""What the Debian package has for readers and shells: each key, verb and shell, as man and the shells take them."""

from __future__ import annotations

import gzip
import runpy
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from .conftest import PROJECT

MADE = runpy.run_path(str(PROJECT / "firmware-config/debian/documents.py"))
DOCUMENTS: dict[str, bytes] = MADE["documents"]()
PAGES = [place for place in DOCUMENTS if "/man/" in place]
comments: Callable[[Any], dict[str, str]] = MADE["comments"]
KEYS = [
    (section, cls, f.name) for section, cls, _ in MADE["sections"]() for f in fields(cls) if f.name not in ("steps",)
]


def page(name: str) -> str:
    return gzip.decompress(next(DOCUMENTS[place] for place in PAGES if f"/{name}." in place)).decode()


@pytest.mark.parametrize(("section", "cls", "name"), KEYS, ids=[f"{section}.{name}" for section, _, name in KEYS])
def test_every_key_of_the_configuration_is_explained(section: str, cls: type[Any], name: str) -> None:
    assert comments(cls)[name], "a comment behind the field says what it is"
    chapter = page("modem-agent.toml").partition(f'.SH "[{section}]"')[2].partition(".SH ")[0]
    assert f".B {name}\n" in chapter
    assert "; default " in chapter


def test_the_desks_page_has_its_verbs_and_options() -> None:
    text = page("modem-support")
    for word in ("watch", "send", "fleet", "ask\\-rebirth"):
        assert f'.SS "{word} ' in text
    assert ".B \\-\\-broker URL" in text


@pytest.mark.parametrize("place", PAGES)
def test_man_reads_every_page_without_a_warning(place: str) -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff: not installed")
    done = subprocess.run(
        [groff, "-man", "-Tutf8", "-ww"], input=gzip.decompress(DOCUMENTS[place]), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("program", ["modem-agent", "modem-support"])
def test_each_shell_finds_its_completion(program: str, tmp_path: Path) -> None:
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    for place in (
        f"usr/share/bash-completion/completions/{program}",
        f"usr/share/zsh/vendor-completions/_{program}",
        f"usr/share/fish/vendor_completions.d/{program}.fish",
    ):
        assert variable in DOCUMENTS[place].decode()
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "script").write_bytes(DOCUMENTS[f"usr/share/bash-completion/completions/{program}"])
    subprocess.run([bash, "-n", str(tmp_path / "script")], check=True)


def test_the_technicians_guide_is_in_the_documents() -> None:
    guide = gzip.decompress(DOCUMENTS["usr/share/doc/modem-agent/technician.md.gz"])
    assert guide == (PROJECT / "agent/cli/README.md").read_bytes()
