"""The bundle: nothing that identifies leaves the device, a collector that hangs or fails costs nothing but itself."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config, parse
from agent.doctor import bundle
from agent.doctor.bundle import Collector, make, write
from agent.doctor.bundle_files import collectors
from agent.plan import Ledger, Moment, Plan, Trust
from agent.redact import redact
from agent.store import Database

IMEI, IMSI, ICCID, NUMBER = "990000862471854", "206010000000017", "8932010000000000017", "+32470123456"


def unpacked(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {}
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            files[member.name.removeprefix("modem-agent/")] = file.read()
        return files


def quiet(percent: int, what: str) -> None:
    """Nobody follows."""


def test_what_identifies_is_masked_by_name_and_by_form() -> None:
    found: dict[str, object] = {
        "imei": IMEI,
        "deep": [{"imsi": IMSI, "msisdn": NUMBER, "ok": 1.5}],
        "text": f"AT+CIMI -> {IMSI}, SIM {ICCID}, device imei::{IMEI}, SMS to {NUMBER}, AT+CPIN=1234",
        "iccid": None,
        "count": 990000862471854,
    }
    text = json.dumps(redact(found))
    for secret in (f'"{IMEI}"', IMSI, ICCID, NUMBER, f"::{IMEI}", "1234,"):
        assert secret not in text
    assert redact(found)["iccid"] is None
    assert redact(found)["deep"] == [{"imsi": "***", "msisdn": "***", "ok": 1.5}]


def test_one_that_fails_and_one_that_hangs_leave_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def failing() -> Any:
        raise ValueError(f"no such {IMSI}")

    def hanging() -> Any:
        release.wait(30)

    steps: list[str] = []
    try:
        data, entries = make(
            (
                Collector("bad.json", 1.0, failing),
                Collector("slow.json", 0.2, hanging),
                Collector("good.json", 5.0, lambda: {"a": 1}),
            ),
            lambda percent, what: steps.append(f"{percent} {what}"),
        )
    finally:
        release.set()
    files = unpacked(data)
    assert sorted(files) == ["good.json", "index.json"]
    index = {row["file"]: row for row in json.loads(files["index.json"])["files"]}
    assert index["slow.json"]["note"] == "not done within 0.2 s"
    assert index["slow.json"]["seconds"] < 5
    assert index["bad.json"]["note"].startswith("ValueError: no such 206010")
    assert IMSI not in files["index.json"].decode()
    assert [entry.ok for entry in entries] == [False, False, True]
    assert steps == ["0 collecting bad.json", "33 collecting slow.json", "66 collecting good.json"]


def test_the_size_is_bounded_and_the_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"line {number}\n" for number in range(100_000))
    data, _ = make((Collector("log.txt", 5.0, lambda: lines),), quiet)
    files = unpacked(data)
    assert len(files["log.txt"]) <= bundle.FILE_BYTES
    assert files["log.txt"].endswith(b"line 99999\n")
    assert files["log.txt"].startswith(b"line ")
    monkeypatch.setattr(bundle, "BUNDLE_BYTES", 300_000)
    many = tuple(Collector(f"{n}.txt", 5.0, lambda: lines) for n in range(4))
    total = sum(len(file) for name, file in unpacked(make(many, quiet)[0]).items() if name != "index.json")
    assert total <= 300_000


def test_it_is_written_whole_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    write(b"abc", path)
    assert path.read_bytes() == b"abc"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(OSError, match="No such file"):
        write(b"abc", tmp_path / "absent" / "b.tar.gz")
    assert os.listdir(tmp_path) == ["b.tar.gz"]


def test_every_collector_of_a_real_device(tmp_path: Path) -> None:
    """On this machine, with a store and an agent that does not run: what cannot be had is named, the rest is there."""
    text = f'[device]\nrun_dir = "{tmp_path}"\n[wan]\ninterfaces = ["lo"]\n[household]\nsms_to = "{NUMBER}"\n'
    config = parse(text, meaning=False)  # the one link that every machine has
    path = tmp_path / "agent.db"
    from datetime import datetime, timezone

    moment = Moment(datetime(2026, 11, 22, tzinfo=timezone.utc), 100.0, "boot", Trust.SYNC)
    with Database.open(path) as database, database.transaction():
        database.keep(Ledger.new(Plan(), moment))
        database.events.add("boot", {"imei": IMEI}, moment)
    (tmp_path / "readings.jsonl").write_text('{"time":"now"}\n')
    data, entries = make(collectors(config, path, None, {"cause": "none"}), quiet)
    problems = {entry.file: entry.problem for entry in entries if not entry.ok}
    assert set(problems) <= {"log.txt", "qdiscs.json"}, problems  # a machine without either log, or without netlink
    text = b"".join(unpacked(data).values()).decode()
    assert IMEI not in text
    assert NUMBER not in text
    assert '"charged"' in text or "received_bytes" in text
    assert isinstance(config, Config)
