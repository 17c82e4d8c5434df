"""The Debian package: what is in it, that the same source gives the same bytes, and its scripts."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PROJECT

DEBIAN = PROJECT / "firmware-config/debian"


@pytest.fixture(scope="module")
def build() -> Callable[..., Path]:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb: not installed")
    maker: Callable[..., Path] = runpy.run_path(str(DEBIAN / "build.py"))["build"]
    return maker


@pytest.fixture(scope="module")
def package(build: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="module")
def unpacked(package: Path) -> Path:
    root = package.parent / "root"
    subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    return root


def test_the_same_source_gives_the_same_bytes(build: Callable[..., Path], package: Path, tmp_path: Path) -> None:
    assert build(tmp_path).read_bytes() == package.read_bytes()


def test_every_module_of_the_agent_is_in_it_and_no_simulator(unpacked: Path) -> None:
    shipped = {path.relative_to(unpacked / "usr/lib/modem-agent") for path in unpacked.rglob("agent/**/*.py")}
    assert shipped == {path.relative_to(PROJECT) for path in (PROJECT / "agent").rglob("*.py")}
    assert not list(unpacked.rglob("simulator"))
    assert not list(unpacked.rglob("*.pyc"))


def test_data_files_of_the_agent_are_in_it(unpacked: Path) -> None:
    ours = {p.relative_to(PROJECT) for p in (PROJECT / "agent").rglob("*") if p.suffix in (".json", ".toml", ".typed")}
    assert ours
    for path in ours:
        assert (unpacked / "usr/lib/modem-agent" / path).is_file(), path


def test_the_screens_languages_are_in_it_compiled(unpacked: Path) -> None:
    locale = unpacked / "usr/lib/modem-agent/agent/cli/locale"
    found = {str(path.relative_to(locale)): path.read_bytes() for path in locale.rglob("*") if path.is_file()}
    assert found == runpy.run_path(str(PROJECT / "firmware-config/catalogues.py"))["compiled"]()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "fr_BE.UTF-8", "PYTHONPATH": str(locale.parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "config", "check", "--config", "/nowhere"],
        capture_output=True, text=True, env=environment, cwd=unpacked, timeout=60,
    )  # fmt: skip
    assert done.stderr == "modem-agent: /nowhere : ne peut pas être lu : No such file or directory\n"


def test_the_executable_runs_from_where_it_is_installed(unpacked: Path, tmp_path: Path) -> None:
    launcher = (
        (unpacked / "usr/bin/modem-agent")
        .read_text()
        .replace("/usr/lib/modem-agent", f"{unpacked}/usr/lib/modem-agent")
    )
    (tmp_path / "modem-agent").write_text(launcher)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    config = unpacked / "usr/share/modem-agent/config.toml"
    done = subprocess.run(
        [sys.executable, str(tmp_path / "modem-agent"), "config", "check", "--config", str(config)],
        capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout


def test_files_are_roots_and_the_units_are_where_systemd_looks(package: Path) -> None:
    listing = subprocess.run(["dpkg-deb", "-c", str(package)], capture_output=True, text=True, check=True).stdout
    assert all(" root/root " in line for line in listing.splitlines())
    for place in (
        "./lib/systemd/system/modem-agent.service",
        "./lib/systemd/system/modem-agent-page.service",
        "./usr/lib/modem-agent/www/cgi-bin/index.cgi",
        "./lib/systemd/system/modem-agent-reboot.path",
        "./lib/systemd/system/modem-agent-dnsmasq.path",
        "./lib/systemd/system/modem-agent-dnsmasq.service",
        "./usr/lib/sysusers.d/modem-agent.conf",
        "./usr/lib/tmpfiles.d/modem-agent.conf",
        "./usr/lib/modules-load.d/modem-agent.conf",
        "./lib/udev/rules.d/70-modem-agent.rules",
        "./usr/share/polkit-1/rules.d/modem-agent.rules",
        "./usr/share/man/man1/modem-agent.1.gz",
    ):
        assert place in listing, place


def test_shellcheck_has_nothing_to_say(shellcheck: str) -> None:
    scripts = [DEBIAN / name for name in ("postinst", "prerm", "postrm", "unshape")]
    scripts += [PROJECT / "firmware-config" / name for name in ("raspberry-pi/setup.sh", "broker/certificates.sh")]
    scripts += [*(PROJECT / "simulator/qemu/inside").glob("*.sh")]
    result = subprocess.run([shellcheck, *scripts], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
