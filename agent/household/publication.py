"""The page as files in memory, for the router's own web server: a document a language, how fresh they are, and who used
how much. Written by daemon/tasks/page.py; read by the web server's script, which needs no Python
(firmware-config/openwrt/modem-agent/files/modem-agent.page).

    fr.html …   replaced in one step, and only when what they show has changed
    alive       seconds since boot at which the numbers were true, and the language where the browser asks for none
    devices     a line an address: the address, its device's GB, the others', those of nobody known; `-` for a stranger
"""

from __future__ import annotations

import contextlib
import grp
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from agent.household.page import page
from agent.household.page_texts import LANGUAGES
from agent.household.page_view import View, amount

FOLDER, ALIVE, DEVICES = "page", "alive", "devices"
# The web server's own (systemd/modem-agent.sysusers); on OpenWrt it runs as root, and there is no such group.
GROUP = "modem-agent-page"
COMMA = ","

Shares = tuple[int, int, int]  # tenths of a GB: this device's, the others', nobody's that is known


class Publication:
    """The files of one folder. Raises OSError: a full memory, a read-only one."""

    def __init__(self, run_dir: Path) -> None:
        self.folder = run_dir / FOLDER
        self._shown: object = None
        self._shares: object = None

    def publish(self, shown: View, devices: Sequence[tuple[str, int]] | None, *, count: bool) -> bool:
        """Write the documents if they show anything new; whether they did."""
        new = (shown, devices, count)
        if new == self._shown:
            return False
        self._make_folder()
        for language in LANGUAGES:
            self._replace(f"{language}.html", page(shown, language, devices, count=count))
        self._shown = new
        return True

    def share(self, shares: Iterable[tuple[str, Shares]]) -> None:
        """Write who used how much; `-` is the address of whoever is not among them. Nobody: take it away."""
        lines = [" ".join((address, *(amount(tenths, COMMA) for tenths in parts))) for address, parts in shares]
        if lines != self._shares:
            if lines:
                self._replace(DEVICES, "".join(f"{line}\n" for line in lines))
            else:
                (self.folder / DEVICES).unlink(missing_ok=True)
            self._shares = lines

    def confirm(self, boot_s: float, language: str) -> None:
        """The numbers are true now."""
        self._replace(ALIVE, f"{int(boot_s)} {language}\n")

    def remove(self) -> None:
        """Nobody wants the page any more."""
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o750, exist_ok=True)
        self.folder.chmod(0o750)
        _give(self.folder)

    def _replace(self, name: str, text: str) -> None:
        path = self.folder / name
        side = path.with_name(f"{name}.new")
        descriptor = os.open(side, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o640)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o640)
            file.write(text)
        _give(side)
        os.replace(side, path)


def _give(path: Path) -> None:
    """To the web server's group, where there is one and we are its member; otherwise root alone reads it."""
    with contextlib.suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)
