"""The lean guest: run one command on a Debian kernel, on the host's own files, and have its output and exit code.

Called by tests and benches that need what the host's kernel lacks (cake, fq_codel, netem, jffs2, a USB gadget) or must
not touch (modules, power cuts). It is up in some 4 s under TCG and gone when the command ends or its time is over.
"""

from __future__ import annotations

import compileall
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from simulator.qemu.cache import find_tool
from simulator.qemu.errors import GuestError, GuestUnavailable
from simulator.qemu.initramfs import SHARE, boot_archive, stage_script
from simulator.qemu.kernel import find_kernel
from simulator.qemu.machine import Hardware, Machine


@dataclass(frozen=True)
class Result:
    """What the command left: its exit code, both its outputs as one text, and the guest's console."""

    exit_code: int
    output: str
    console: str = ""


class Guest:
    """A lean guest that may be watched, unplugged from power or waited for. Use as a context manager."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        modules: Sequence[str] = (),
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        memory_mb: int = 512,
        cpus: int = 1,
        disks: Sequence[Path] = (),
        rtc: str = "utc",
        extra: Sequence[str] = (),
        append: str = "",
        share: Path | None = None,
    ) -> None:
        self.command = list(command)
        kernel = find_kernel()
        words = ["env", *(f"{key}={value}" for key, value in (environment or {}).items()), *command]
        _compile(folder or Path.cwd())
        self._own_share = share is None
        self._machine: Machine | None = None
        if share is None:
            share = Path(tempfile.mkdtemp(prefix="modem-agent-share-"))
        self.share = share  # the guest sees it as /run/guest, writable
        (share / "stage").write_text(stage_script(kernel, words, folder or Path.cwd(), modules))
        for left in ("output", "exit"):
            (share / left).unlink(missing_ok=True)
        self._machine = Machine(
            Hardware(
                kernel=kernel.image,
                initramfs=[boot_archive(kernel)],
                append=append,
                memory_mb=memory_mb,
                cpus=cpus,
                disks=disks,
                shares={"hostroot": (Path("/"), False), "share": (share, True)},
                rtc=rtc,
                extra=extra,
            )
        )

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def machine(self) -> Machine:
        assert self._machine is not None
        return self._machine

    @property
    def output(self) -> str:
        """What the command has said so far."""
        path = self.share / "output"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, timeout_s: float) -> Result:
        """The result once the command has ended. GuestError if it does not in time, or if the guest does not boot."""
        ended = self.machine.wait(timeout_s)
        code = self.share / "exit"
        if ended and code.exists() and code.read_text().strip():
            return Result(int(code.read_text()), self.output, self.machine.console())
        self.machine.power_cut()
        problem = "ended without a result" if ended else f"was not done after {timeout_s:g} s"
        raise GuestError(
            f"guest {problem}: {shlex.join(self.command)}\n"
            f"-- output --\n{_tail(self.output)}\n-- console --\n{self.machine.last_lines()}"
        )

    def close(self) -> None:
        if self._machine is not None:
            self._machine.close()
        if self._own_share:
            shutil.rmtree(self.share, ignore_errors=True)


def _compile(folder: Path) -> None:
    """Bytecode for what the guest will import: what it compiled itself would be in memory, and gone with it."""
    for package in ("agent", "simulator", "tests"):
        if (folder / package / "__init__.py").exists():
            compileall.compile_dir(str(folder / package), quiet=2)


def _tail(text: str, count: int = 15) -> str:
    return "\n".join(text.splitlines()[-count:])


def run(
    command: Sequence[str],
    *,
    timeout_s: float = 120,
    modules: Sequence[str] = (),
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    memory_mb: int = 512,
    cpus: int = 1,
    disks: Sequence[Path] = (),
    rtc: str = "utc",
    extra: Sequence[str] = (),
    share: Path | None = None,
) -> Result:
    """Run `command` in a lean guest as root, in `folder` (the current one), on the host's files (read-only, changes
    kept in memory). Modules that the kernel asks for load by themselves; `modules` are for the others, parameters
    included ("nandsim first_id_byte=0x20"). What the command writes to /run/guest is in `share` afterwards."""
    with Guest(
        command,
        modules=modules,
        folder=folder,
        environment=environment,
        memory_mb=memory_mb,
        cpus=cpus,
        disks=disks,
        rtc=rtc,
        extra=extra,
        share=share,
    ) as guest:
        return guest.wait(timeout_s)


def unavailable() -> str:
    """Why no guest can run on this machine, with what to do about it; empty when one can."""
    try:
        find_tool("qemu-system-x86_64", "qemu-system-x86")
        boot_archive(find_kernel())
    except GuestUnavailable as error:
        return str(error)
    return ""


__all__ = ["SHARE", "Guest", "Result", "run", "unavailable"]
