"""The .ipk for a guest: what opkg finds in it."""

from __future__ import annotations

import gettext
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from simulator.qemu import ipk


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The files of control.tar.gz and data.tar.gz."""
    package = ipk.build(tmp_path_factory.mktemp("ipk"))
    return {name: unpacked(content) for name, content in unpacked(package.read_bytes()).items() if name.endswith(".gz")}


def unpacked(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member))}


def test_the_scripts_are_shell_and_call_what_base_files_have(
    parts: dict[str, dict[str, bytes]], busybox: str, tmp_path: Path
) -> None:
    control = parts["./control.tar.gz"]
    for name in ("postinst", "postinst-pkg", "prerm", "prerm-pkg", "postrm"):
        (tmp_path / name).write_bytes(control[f"./{name}"])
        assert subprocess.run([busybox, "ash", "-n", str(tmp_path / name)], check=False).returncode == 0
    assert b"default_prerm $0 $@" in control["./prerm"]
    assert b"agent.daemon.unshape" in control["./prerm-pkg"]
    assert b"rpcd reload" in control["./postrm"]
    assert b"$$" not in b"".join(control.values())
    assert b"Architecture: all\n" in control["./control"]


def test_the_operators_side_is_not_in_it(parts: dict[str, dict[str, bytes]]) -> None:
    data = parts["./data.tar.gz"]
    assert "./usr/lib/modem-agent/agent/daemon/unshape.py" in data
    assert not [name for name in data if "/support/" in name]


def test_it_has_the_screens_languages_compiled(parts: dict[str, dict[str, bytes]]) -> None:
    locale = {name: content for name, content in parts["./data.tar.gz"].items() if "/locale/" in name}
    assert sorted(name.split("/")[-3] for name in locale) == ["de", "fr", "nl"]
    for content in locale.values():
        assert gettext.GNUTranslations(io.BytesIO(content)).gettext("Nothing is wrong.") != "Nothing is wrong."
