"""The signed apt repository: apt itself installs from it by the README's own lines, and refuses what was changed."""

from __future__ import annotations

import functools
import gzip
import os
import re
import runpy
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .conftest import PROJECT

SCRIPT = PROJECT / "firmware-config/debian/repository.sh"
README = (PROJECT / "firmware-config/README.md").read_text()
URI, KEYRING = "https://packages.example/apt", "/usr/share/keyrings/modem-agent.gpg"


class Operator:
    """Whoever has the keys; gpg-agent's socket wants a short path (unix(7): 108 bytes)."""

    def __init__(self, home: Path) -> None:
        self.environment = {"PATH": os.environ["PATH"], "GNUPGHOME": str(home), "LC_ALL": "C"}

    def key(self, address: str) -> None:
        words = ["--batch", "--passphrase", "", "--quick-generate-key", address, "ed25519", "sign"]
        subprocess.run(["gpg", *words], env=self.environment, check=True, capture_output=True)

    def publish(self, folder: Path, key: str, *packages: Path) -> subprocess.CompletedProcess[str]:
        words = [str(SCRIPT), str(folder), key, *map(str, packages)]
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def operator() -> Iterator[Operator]:
    for program in ("gpg", "gpg-agent", "reprepro", "dpkg-deb", "apt-get"):
        if shutil.which(program) is None:
            pytest.skip(f"{program}: not installed")
    home = Path(tempfile.mkdtemp(prefix="repo-keys-"))
    operator = Operator(home)
    operator.key("packages@example.org")
    operator.key("stranger@example.org")
    yield operator
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = runpy.run_path(str(PROJECT / "firmware-config/debian/build.py"))["build"](tmp_path_factory.mktemp("d"))
    return made


def small(folder: Path, name: str, version: str, content: str = "") -> Path:
    """A package with a name and a version, for what the real one is too large for."""
    root = folder / f"{name}-{version}-root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "content").write_text(content)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nSection: net\nPriority: optional\n"
        "Maintainer: M <m@example.org>\nDescription: x\n"
    )
    file = folder / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", root, file], check=True, capture_output=True)
    return file


class Device:
    """An apt of its own, with no package installed; its sources, key and preferences as the README has them."""

    def __init__(self, root: Path, repository: Path, uri: str) -> None:
        self.root = root
        for name in ("etc/apt/apt.conf.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial", "var/lib/dpkg"):
            (root / name).mkdir(parents=True)
        for name in ("var/cache/apt/archives/partial", "usr/share/keyrings"):
            (root / name).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        shutil.copy(repository / "modem-agent.gpg", root / KEYRING[1:])
        for place, text in re.findall(r"sudo tee (\S+) <<'TEXT'\n(.*?)\nTEXT\n", README, re.DOTALL):
            (root / place[1:]).parent.mkdir(exist_ok=True)
            (root / place[1:]).write_text(text.replace(URI, uri).replace(KEYRING, f"{root}{KEYRING}") + "\n")

    def apt(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        # No sandbox: its user may not enter the tests' folders. Everything else is apt's own, gpgv included.
        options = [f"Dir={self.root}", f"Dir::State::status={self.root}/var/lib/dpkg/status", "APT::Sandbox::User=root"]
        command = [program, *(f"-o{option}" for option in options), *words]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def update(self) -> subprocess.CompletedProcess[str]:
        return self.apt("apt-get", "update")

    def candidate(self, package: str = "modem-agent") -> str:
        found = re.search(r"Candidate: (\S+)", self.apt("apt-cache", "policy", package).stdout)
        return found[1] if found else ""


@pytest.fixture
def repository(operator: Operator, package: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "apt"
    done = operator.publish(folder, "packages@example.org", package)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def device(repository: Path, tmp_path: Path) -> Device:
    return Device(tmp_path / "device", repository, f"file:{repository}")


def test_apt_takes_the_package_over_http(repository: Path, package: Path, tmp_path: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(repository))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        device = Device(tmp_path / "device", repository, f"http://127.0.0.1:{server.server_port}")
        updated = device.update()
        fetched = device.apt("apt-get", "download", "modem-agent")
        server.shutdown()
    assert (updated.returncode, updated.stderr) == (0, "")
    assert fetched.returncode == 0, fetched.stderr
    assert (device.root / package.name).read_bytes() == package.read_bytes()


def test_what_the_web_server_gives_out_holds_no_secret_and_no_database(repository: Path) -> None:
    assert {path.name for path in repository.iterdir()} == {"dists", "pool", "modem-agent.gpg"}
    shown = subprocess.run(
        ["gpg", "--batch", "--show-keys", "--with-colons", repository / "modem-agent.gpg"],
        env={"PATH": os.environ["PATH"], "GNUPGHOME": str(repository)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert [line.split(":")[0] for line in shown.splitlines() if line[:3] in ("pub", "sec")] == ["pub"]


def spoilt(file: Path) -> None:
    """One letter of its text changed, as long as before."""
    text = file.read_bytes()
    file.write_bytes(text.replace(b"odem", b"Odem", 1))
    assert file.read_bytes() != text


def spoilt_index(repository: Path) -> None:
    for folder in repository.glob("dists/stable/main/binary-*"):
        spoilt(folder / "Packages")
        (folder / "Packages.gz").write_bytes(gzip.compress((folder / "Packages").read_bytes()))


def spoilt_release(repository: Path) -> None:
    spoilt(repository / "dists/stable/InRelease")
    spoilt(repository / "dists/stable/Release")


def unsigned(repository: Path) -> None:
    (repository / "dists/stable/InRelease").unlink()
    (repository / "dists/stable/Release.gpg").unlink()


@pytest.mark.parametrize("change", [spoilt_release, spoilt_index, unsigned])
def test_an_index_that_was_changed_is_refused(repository: Path, device: Device, change: Callable[[Path], None]) -> None:
    change(repository)
    done = device.update()
    assert done.returncode != 0, done.stdout
    assert device.candidate() == ""


@pytest.mark.parametrize("signature", ["of another key", "none"])
def test_a_device_keeps_what_it_had_before(
    operator: Operator, repository: Path, device: Device, signature: str
) -> None:
    """Somebody else gives out a newer version under the same address."""
    assert device.update().returncode == 0
    before = device.candidate()
    shutil.rmtree(repository)
    shutil.rmtree(f"{repository}.reprepro")
    other = small(repository.parent, "modem-agent", "9.9")
    assert operator.publish(repository, "stranger@example.org", other).returncode == 0
    if signature == "none":
        unsigned(repository)
    assert "9.9" in next(repository.glob("dists/stable/main/binary-*/Packages")).read_text()
    assert device.update().stderr
    assert device.candidate() == before != "9.9"


def test_a_package_that_was_changed_is_refused(repository: Path, device: Device, package: Path) -> None:
    assert device.update().returncode == 0
    file = next(repository.rglob("*.deb"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    done = device.apt("apt-get", "download", "modem-agent")
    assert done.returncode != 0
    assert not (device.root / package.name).exists()


def test_it_may_bring_no_other_package(operator: Operator, repository: Path, device: Device, tmp_path: Path) -> None:
    assert operator.publish(repository, "packages@example.org", small(tmp_path, "bash", "99")).returncode == 0
    assert device.update().returncode == 0
    assert device.candidate("modem-agent") != "(none)"
    assert device.candidate("bash") == "(none)"


def test_a_new_version_joins_and_an_old_number_is_not_reused(
    operator: Operator, repository: Path, device: Device, tmp_path: Path
) -> None:
    newer = small(tmp_path, "modem-agent", "99.0")
    done = operator.publish(repository, "packages@example.org", newer)
    assert (done.returncode, "modem-agent 99.0" in done.stdout) == (0, True)
    device.update()
    assert device.candidate() == "99.0"
    again = tmp_path / "again"
    again.mkdir()
    done = operator.publish(repository, "packages@example.org", small(again, "modem-agent", "99.0", "other"))
    assert done.returncode == 1
    assert "stands there with another content" in done.stderr
    done = operator.publish(repository, "packages@example.org", small(again, "modem-agent", "98.0"))
    assert done.returncode == 1
    assert "or a newer one does" in done.stderr


@pytest.mark.parametrize(
    ("key", "said"),
    [("", "make repo KEY="), ("nobody@example.org", "no secret key 'nobody@example.org'"), ("example.org", "several")],
)
def test_without_one_key_nothing_is_made(
    operator: Operator, package: Path, tmp_path: Path, key: str, said: str
) -> None:
    done = operator.publish(tmp_path / "apt", key, package)
    assert done.returncode == 1
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_shellcheck_has_nothing_to_say(shellcheck: str) -> None:
    assert subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False).stdout == ""
