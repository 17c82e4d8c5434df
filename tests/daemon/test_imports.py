"""What the daemon may load: memory that a small board never gets back. An allow-list: a new one is a decision."""

from __future__ import annotations

import os
import subprocess
import sys

# The standard library as the agent uses it, with all that these import by themselves on each Python.
NEEDED = (
    "__future__, asyncio, base64, binascii, concurrent.futures.thread, contextlib, copy, ctypes, dataclasses, "
    "datetime, enum, errno, faulthandler, fnmatch, functools, gc, grp, hashlib, hmac, importlib.util, ipaddress, json, "
    "logging, pathlib, pkgutil, platform, pwd, queue, random, secrets, select, signal, socket, sqlite3, ssl, string, "
    "struct, subprocess, termios, threading, typing, urllib.parse, uuid, warnings, weakref, zlib, zoneinfo"
)
OURS = {"agent", "serial", "paho", "pyroute2", "tomllib", "tomli"}
# pyroute2 0.9 takes temporary folders for its namespaces, and shutil the compressors with them (_zstd: Python 3.14);
# array is pyserial's.
THEIRS = {
    "tempfile",
    "shutil",
    "bz2",
    "_bz2",
    "lzma",
    "_lzma",
    "_compression",
    "_zstd",
    "array",
    "compression",
    "zlib",
    "ctypes",
    "zipfile",
}
NEVER = {"click", "unittest", "http", "email", "multiprocessing", "tarfile", "argparse", "difflib", "psutil"}

SHOW = "\nimport sys; print(' '.join(sorted(sys.modules)))"
DAEMON = """
import agent.cli, agent.daemon.main, agent.daemon.app
from agent.traffic.netlink.route import Route, _trimmed
_trimmed("pyroute2.iproute.linux")  # the short way must do: the long one would be taken in silence
route = Route()
assert any(row.link.ifname == "lo" for row in route.links())
route.qdiscs()
"""


def loaded(code: str) -> set[str]:
    # -S and an explicit path: what a development environment puts into every interpreter is not the daemon's.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code + SHOW], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_daemon_loads_what_it_needs_and_no_more() -> None:
    got = {name for name in loaded(DAEMON) if name.partition(".")[0] not in OURS}
    extra = got - loaded(f"import {NEEDED}")
    assert not {name for name in extra if name.partition(".")[0] not in THEIRS}
    assert not {name.partition(".")[0] for name in got} & NEVER


def test_the_line_waits_for_no_module_that_it_has_no_use_for() -> None:
    """A small board takes longer to read these than all that the line needs (agent/daemon/startup.py)."""
    got = loaded("import agent.cli, agent.config, agent.daemon.main")
    others = ("at", "modem", "control", "mqtt", "commands.table", "net.probes", "daemon.app")
    assert not {name for name in got if name.startswith(tuple(f"agent.{room}" for room in others))}
    assert not {name.partition(".")[0] for name in got} & {"serial", "paho", "click", "email", "http"}


def test_what_is_held_back_while_importing_is_there_afterwards() -> None:
    after = (
        "import unittest.mock, urllib.request, multiprocessing; assert unittest.mock.Mock and urllib.request.urlopen"
    )
    assert "unittest.mock" in loaded(DAEMON + after)
