"""A router as far as the init script looks at it: rc.common and procd recorded, uci, ubus and netifd played.

What the stand-ins keep to is OpenWrt's own: rc.common and procd.sh call what HARNESS calls, in that order; procd
restarts a running instance only if one of SAME or a file's sum has changed; uci (libuci's file.c) names line and byte
of a syntax error on stderr, says nothing with -q, and its export has neither the file's comments nor its lines. Not
imitated: procd's triggers, locking, jails; uci's staged changes, lists that are merged, and `;`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from .conftest import OPENWRT, PROJECT

HARNESS = r"""
logger() { while [ "${1#-}" != "$1" ]; do case $1 in -t|-p) shift;; esac; shift; done; echo "logged: $*"; }
procd_open_instance() { echo "instance"; }
procd_set_param() { echo "param $*"; }
procd_close_instance() { echo "close"; }
procd_add_reload_trigger() { echo "reload on $*"; }
procd_add_interface_trigger() { echo "trigger $*"; }
start() { start_service; service_started; }
stop() { service_stopped; }
. "$INIT"
"$@"
"""
SAME = ("command", "env", "data", "limits")

UCI = """#!{python}
import re, shlex, sys
from pathlib import Path
root = Path("{root}")
words = sys.argv[1:]
quiet = words[0] == "-q"
action, name = words[quiet:][:2]


def refuse(sentence):
    quiet or print("uci: " + sentence, file=sys.stderr)
    sys.exit(1)


def sections(package):
    file = root / "etc/config" / package
    file.exists() or refuse("Entry not found")
    found = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        try:
            kind, *rest = shlex.split(line, comments=True) or ["#"]
        except ValueError:
            refuse(f"Parse error (EOF with unterminated ') at line {{number}}, byte {{len(line)}}")
        if kind not in ("#", "config", "option", "list", "package"):
            refuse(f"Parse error (invalid command) at line {{number}}, byte 0")
        if len(rest) > 2:
            refuse(f"Parse error (too many arguments) at line {{number}}, byte {{len(line)}}")
        if kind in ("option", "list") and not re.fullmatch("[A-Za-z0-9_]+", rest[0]):
            refuse(f"Parse error (invalid character in name field) at line {{number}}, byte 9")
        if kind == "config":
            found.append((rest[0], rest[1] if len(rest) > 1 else "", []))
        elif kind in ("option", "list"):
            found[-1][2].append((kind, *rest))
    return found


quoted = lambda value: "'" + value.replace("'", "'\\\\''") + "'"
if action == "export":
    text = f"package {{name}}\\n"
    for kind, own, options in sections(name):
        text += f"\\nconfig {{kind}}" + (" " + quoted(own) if own else "") + "\\n"
        text += "".join(f"\\t{{k}} {{option}} {{quoted(value)}}\\n" for k, option, value in options)
    print(text)
elif action == "show":
    print(name, sections(name))
elif action == "get":
    package, wanted, option = name.split(".")
    for kind, own, options in sections(package):
        values = [value for _, key, value in options if key == option]
        if wanted in (own, f"@{{kind}}[0]") and values:
            print(*values)
            sys.exit(0)
    refuse("Entry not found")
"""
UBUS = """#!/bin/sh
cat "{root}/up/${{3#network.interface.}}" 2>/dev/null || exit 4
"""
AGENT = """#!/bin/sh
echo "agent $*" >> "{root}/calls"
exec "{python}" -m agent.cli "$@"
"""
PYTHON3 = """#!/bin/sh
echo "python3 $*" >> "{root}/calls"
"""


class Router:
    """A root with the files that the package installs."""

    def __init__(self, root: Path, busybox: str) -> None:
        self.root, self._busybox = root, busybox
        for folder in ("etc/config", "usr/lib/modem-agent", "up"):
            (root / folder).mkdir(parents=True)
        (root / "usr/lib/modem-agent/render.awk").write_text((OPENWRT / "render.awk").read_text())
        self.program("usr/bin/modem-agent", AGENT)
        self.program("bin/python3", PYTHON3)
        self.conf = root / "etc/modem-agent/config.toml"
        self.refused = root / "var/run/modem-agent/config.refused"

    def program(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text.format(root=self.root, python=sys.executable))
        (self.root / path).chmod(0o755)

    def with_uci(self) -> Router:
        """With uci, ubus and jsonfilter, as a router has them; without, the init script reads the file itself."""
        self.program("bin/uci", UCI)
        self.program("bin/ubus", UBUS)
        self.program("bin/jsonfilter", "#!/bin/sh\ncat\n")
        return self

    def uci(self, text: str, package: str = "modem-agent") -> None:
        (self.root / "etc/config" / package).write_text(text)

    def up(self, network: str, link: str) -> None:
        (self.root / "up" / network).write_text(link)

    def down(self, network: str) -> None:
        (self.root / "up" / network).unlink(missing_ok=True)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "ROOT": str(self.root),
            "INIT": str(OPENWRT / "modem-agent.init"),
            "PYTHONPATH": str(PROJECT),
        }
        return subprocess.run(
            [self._busybox, "ash", "-c", HARNESS, "rc", *words],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def instance(self, *words: str) -> tuple[str, ...]:
        """What procd compares after this call; an instance that differs from the running one is a restart."""
        lines = self.call(*words).stdout.splitlines()
        assert "instance" in lines
        files = [Path(line.split()[2]) for line in lines if line.startswith("param file ")]
        sums = [hashlib.md5(file.read_bytes()).hexdigest() for file in files]
        return *(line for line in lines if line.startswith(tuple(f"param {name} " for name in SAME))), *sums

    @property
    def calls(self) -> list[str]:
        calls = self.root / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    @property
    def checks(self) -> int:
        return len([call for call in self.calls if call.startswith("agent ")])
