"""Where kernels and images are kept, and how they get there: Debian packages, fetched once by apt.

Called by the kernel and image builders. Each entry is made in a side folder and renamed when whole, under a lock of its
own, so that a killed build leaves nothing half done and two test runs do not build the same thing twice.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.qemu.errors import GuestUnavailable


def cache_dir() -> Path:
    """MODEM_AGENT_CACHE, else XDG's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(os.environ.get("MODEM_AGENT_CACHE") or Path(base) / "modem-agent")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def entry(name: str, build: Callable[[Path], None]) -> Path:
    """The cached folder `name`; `build(folder)` fills it when it does not exist yet."""
    place = cache_dir() / name
    if place.is_dir():
        os.utime(place)  # when it was last asked for
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.parent / f".lock-{place.name}"):
        if not place.is_dir():
            for left in place.parent.glob(f".building-{place.name}-*"):  # by a build that was killed
                shutil.rmtree(left, ignore_errors=True)
            side = Path(tempfile.mkdtemp(prefix=f".building-{place.name}-", dir=place.parent))
            try:
                build(side)
                side.chmod(0o755)
                side.rename(place)
            finally:
                shutil.rmtree(side, ignore_errors=True)
    return place


def forget_old(kind: str, unused_s: float) -> None:
    """Remove the entries of a kind that nobody has asked for in so long."""
    for place in (cache_dir() / kind).glob("[!.]*"):
        if time.time() - place.stat().st_mtime > unused_s:
            shutil.rmtree(place, ignore_errors=True)


def find_tool(name: str, package: str) -> str:
    """The path of a program, also where a user's PATH lacks sbin."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        raise GuestUnavailable(f"{name} not found; install it with: sudo apt-get install -y {package}")
    return found


def apt_download(package: str, folder: Path) -> Path:
    """Fetch one Debian package into `folder` without installing it."""
    apt = find_tool("apt-get", "apt")
    fetch = [apt, "-q", "-o", "APT::Sandbox::User=root", "download", package]
    result = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, timeout=300)
    if result.returncode != 0 and os.geteuid() == 0:
        # A fresh container has no package lists yet.
        subprocess.run([apt, "-q", "update"], capture_output=True, timeout=300, check=False)
        result = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, timeout=300)
    found = sorted(folder.glob(f"{package}_*.deb"))
    if result.returncode != 0 or not found:
        why = result.stderr.strip().splitlines()[-1:] or ["no package arrived"]
        raise GuestUnavailable(f"apt-get download {package}: {why[0]}")
    return found[0]


def unpack(package: Path, folder: Path, *options: str) -> None:
    """Unpack a Debian package's files into `folder`; `options` go to tar."""
    reader = [find_tool("dpkg-deb", "dpkg"), "--fsys-tarfile", str(package)]
    writer = [find_tool("tar", "tar"), "-x", "-C", str(folder), "--no-same-owner", *options]
    with subprocess.Popen(reader, stdout=subprocess.PIPE) as source:
        subprocess.run(writer, stdin=source.stdout, check=True, timeout=300)
    if source.returncode != 0:
        raise GuestUnavailable(f"{package.name} cannot be unpacked")
