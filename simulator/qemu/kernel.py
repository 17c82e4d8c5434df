"""The guest's kernel: Debian's own package, unpacked into the cache with an index of its modules.

Called by the initramfs and image builders. The `cloud` flavour is not used: it lacks USB serial.
"""

from __future__ import annotations

import lzma
import re
import shutil
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from simulator.qemu.cache import apt_download, cache_dir, entry, find_tool, unpack
from simulator.qemu.errors import GuestUnavailable
from simulator.qemu.foreign import foreign_root

# Two thirds of the package that no test of a modem, a router or a file system needs.
_UNUSED = (
    *(f"*/drivers/{name}" for name in ("gpu", "media", "iio", "hwmon", "infiniband", "staging", "comedi", "scsi")),
    *("*/drivers/platform", "*/drivers/bluetooth", "*/drivers/net/ethernet", "*/drivers/net/wireless", "*/sound"),
    "./usr",
)


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package: boot/vmlinuz-RELEASE and lib/modules/RELEASE below `root`."""

    root: Path
    release: str

    @property
    def architecture(self) -> str:
        """Debian's word for it, which ends the release: amd64, arm64."""
        return self.release.rsplit("-", 1)[-1]

    @property
    def image(self) -> Path:
        unpacked = self.root / "boot" / f"vmlinux-{self.release}"
        return unpacked if unpacked.exists() else self.root / "boot" / f"vmlinuz-{self.release}"

    @property
    def modules(self) -> Path:
        return self.root / "lib/modules" / self.release

    @cached_property
    def _dependencies(self) -> dict[str, list[str]]:
        """Module file -> module files it needs, as depmod wrote them (the needed ones last first)."""
        lines = (self.modules / "modules.dep").read_text().splitlines()
        return {path: needed.split() for path, _, needed in (line.partition(":") for line in lines)}

    @cached_property
    def _files(self) -> dict[str, str]:
        return {_module_name(path): path for path in self._dependencies}

    @cached_property
    def _builtin(self) -> set[str]:
        return {_module_name(line) for line in (self.modules / "modules.builtin").read_text().splitlines()}

    def closure(self, names: Iterable[str]) -> list[Path]:
        """The files of these modules and of all they need, in an order in which insmod takes them."""
        ordered: list[str] = []

        def add(path: str) -> None:
            for needed in self._dependencies[path]:
                if needed not in ordered:
                    add(needed)
            if path not in ordered:
                ordered.append(path)

        for name in names:
            key = name.replace("-", "_")
            if key in self._files:
                add(self._files[key])
            elif key not in self._builtin:
                raise GuestUnavailable(f"kernel {self.release} has no module {name}")
        return [self.modules / path for path in ordered]


def _module_name(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".ko")[0].replace("-", "_")


def find_kernel(architecture: str = "amd64") -> Kernel:
    """The newest kernel in the cache, else the one that Debian's linux-image-amd64 stands for, fetched now."""
    held = sorted((cache_dir() / "kernel").glob(f"[0-9]*-{architecture}"), key=_version)
    if held:
        return _kernel(held[-1])
    return fetch_kernel() if architecture == "amd64" else _from_root(foreign_root(architecture))


def _from_root(root: Path) -> Kernel:
    """The kernel that came with an unpacked root."""
    release = next((root / "boot").glob("vmlinuz-*")).name.removeprefix("vmlinuz-")

    def build(folder: Path) -> None:
        for place in (f"boot/vmlinuz-{release}", f"lib/modules/{release}"):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / f"boot/vmlinuz-{release}", folder / "boot")
        unused = {Path(pattern).name for pattern in _UNUSED}
        modules = f"lib/modules/{release}"
        shutil.copytree(root / modules, folder / modules, ignore=lambda _, names: unused & set(names))
        _index(folder, release)

    return _kernel(entry(f"kernel/{release}", build))


def fetch_kernel(package: str | None = None) -> Kernel:
    """Fetch and unpack a kernel package (70 MB; some ten seconds)."""
    package = package or _newest_package()
    release = package.removeprefix("linux-image-")
    return _kernel(entry(f"kernel/{release}", lambda folder: _build(package, release, folder)))


def simulated_radios(kernel: Kernel) -> Path:
    """The driver of radios that are not there (mac80211_hwsim), fetched by itself: no other wireless driver is kept."""

    def build(folder: Path) -> None:
        archive = apt_download(f"linux-image-{kernel.release}", folder)
        unpack(archive, folder, "--wildcards", "*/mac80211_hwsim.ko")
        archive.unlink()
        next(folder.rglob("mac80211_hwsim.ko")).rename(folder / "mac80211_hwsim.ko")

    return entry(f"radios/{kernel.release}", build) / "mac80211_hwsim.ko"


def _kernel(root: Path) -> Kernel:
    return Kernel(root, root.name)


def _version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _newest_package() -> str:
    command = [find_tool("apt-cache", "apt"), "depends", "linux-image-amd64"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = re.search(r"Depends: (linux-image-[0-9][\w.+-]*-amd64)", listed.stdout)
    if found is None:
        raise GuestUnavailable("apt-cache knows no linux-image-amd64; run: sudo apt-get update (on Debian)")
    return found[1]


def _build(package: str, release: str, folder: Path) -> None:
    archive = apt_download(package, folder)
    unpack(archive, folder, "--wildcards", *(f"--exclude={pattern}" for pattern in _UNUSED))
    archive.unlink()
    _decompress(folder / "boot" / f"vmlinuz-{release}")
    _index(folder, release)


def _index(folder: Path, release: str) -> None:
    (folder / "lib/modules" / release / "modules.symbols").unlink(missing_ok=True)
    busybox = find_tool("busybox", "busybox-static")
    subprocess.run([busybox, "depmod", "-b", str(folder), release], check=True, timeout=120, capture_output=True)


def _decompress(image: Path) -> None:
    """Write the ELF kernel beside its compressed image: QEMU boots it too (PVH), and unpacking 66 MB of xz under TCG
    takes 5 of a boot's 9 seconds. An image packed otherwise than Debian 12's is left alone and boots as it is."""
    content = image.read_bytes()
    sectors = content[0x1F1] or 4  # kernel: Documentation/x86/boot.rst, setup_sects
    offset, length = struct.unpack_from("<II", content, 0x248)  # payload_offset, payload_length
    payload = content[(sectors + 1) * 512 + offset :][:length]
    if payload.startswith(b"\xfd7zXZ"):
        # The four bytes after the stream are its length, hence a decompressor that stops at the stream's end.
        image.with_name(image.name.replace("vmlinuz", "vmlinux")).write_bytes(
            lzma.LZMADecompressor().decompress(payload)
        )
