"""What is given back after the start: clean text of files only, and the process goes on as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys

from agent.daemon.memory import unwritten

SMAPS = """\
00400000-00460000 r--p 00000000 fd:00 77   /usr/bin/python3.11
Size:                384 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
00460000-00700000 r-xp 00060000 fd:00 77   /usr/bin/python3.11 (deleted)
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me sd
00900000-00a00000 rw-p 00500000 fd:00 77   /usr/bin/python3.11
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd wr mr mw me ac sd
00a00000-00a10000 r--p 00600000 fd:00 78   /usr/lib/libcrypto.so.3
Anonymous:            64 kB
Swap:                  0 kB
VmFlags: rd mr mw me ac sd
00a20000-00a30000 r--p 00600000 fd:00 78   /usr/lib/libssl.so.3
Anonymous:             0 kB
Swap:                 16 kB
VmFlags: rd mr mw me ac sd
00b00000-00b10000 r--s 00000000 fd:00 79   /var/lib/modem-agent/shared
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd sh mr mw me ms sd
00c00000-00d00000 r-xp 00000000 00:00 0    [vdso]
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me de sd
00e00000-00f00000 r--p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
7f0000000000-7f0000001000 r--p 00000000 fd:00 80   /usr/lib/locale/C.utf8/LC_CTYPE
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
"""

LIVE = """
import asyncio, hashlib, json, sqlite3, ssl
from agent.daemon import memory

def size(key):
    rows = (line.split() for line in open("/proc/self/smaps_rollup"))
    return next(int(words[1]) for words in rows if words[0] == key + ":")

def work():
    context = ssl.create_default_context()
    context.load_default_certs()
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE counted (octets INTEGER)")
        database.execute("INSERT INTO counted VALUES (40)")
        counted = database.execute("SELECT octets FROM counted").fetchone()
    async def paused():
        await asyncio.sleep(0)
        return json.loads(json.dumps({"counted": counted}))
    return asyncio.run(paused()), hashlib.sha256(b"modem").hexdigest()

before = work()
rss = size("Rss") - size("Anonymous")
memory.settle()
assert size("Rss") - size("Anonymous") < 0.8 * rss, (size("Rss") - size("Anonymous"), rss)
assert work() == before
memory.settle()
assert work() == before
"""


def test_only_clean_pages_of_private_files_are_given_back() -> None:
    assert list(unwritten(SMAPS.splitlines())) == [
        (0x400000, 0x60000),
        (0x460000, 0x2A0000),
        (0x7F0000000000, 0x1000),
    ]


def test_text_is_given_back_and_comes_again_when_it_is_called() -> None:
    done = subprocess.run([sys.executable, "-c", LIVE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
