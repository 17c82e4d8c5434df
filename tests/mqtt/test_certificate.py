"""A certificate is renewed on the device: by command, over a real mosquitto, and whatever is cut in between."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from agent.command_schema import Result
from agent.config import Config
from agent.errors import ConfigError
from agent.mqtt import credentials
from agent.mqtt.certificate_dates import CertificateDates, chain
from agent.mqtt.certificate_request import new_request
from agent.mqtt.credentials import Credentials
from agent.plan import Moment, Trust
from tests.commands.standin import DEVICE, StandIn, config_for, unlimited
from tests.commands.test_runner import Channel
from tests.mqtt.broker import Mosquitto
from tests.mqtt.pki import Pki

ACL = f"pattern readwrite modem-agent/v1/%u/#\nuser {DEVICE}\n"


class Authority(Pki):
    """Signs what devices ask for."""

    def sign(self, request: str, *, days: int = 2, name: str = DEVICE) -> str:
        (self.folder / "asked.csr").write_text(request)
        words = ["x509", "-req", "-in", "asked.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        self._run(*words, "-days", str(days), "-out", "signed.pem")
        return (self.folder / "signed.pem").read_text()

    def common_name(self, request: str) -> str:
        (self.folder / "asked.csr").write_text(request)
        words = ["openssl", "req", "-in", "asked.csr", "-noout", "-subject", "-verify"]
        return subprocess.run(words, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("pki"))
    made.issue("broker", "127.0.0.1", host="127.0.0.1")
    made.issue("device", DEVICE)
    for path in made.folder.iterdir():
        path.chmod(0o644)
    made.folder.chmod(0o755)
    (made.folder / "device.key").chmod(0o600)
    return made


def broker(folder: Path, pki: Pki) -> Mosquitto:
    (folder / "acl").write_text(ACL)
    tls = "".join(
        f"{key} {value}\n"
        for key, value in {
            "cafile": pki.path("ca.pem"),
            "certfile": pki.path("broker.pem"),
            "keyfile": pki.path("broker.key"),
            "require_certificate": "true",
            "use_identity_as_username": "true",
            "acl_file": folder / "acl",
        }.items()
    )
    return Mosquitto(folder, "", tls=tls)


def config(folder: Path, pki: Pki, url: str) -> Config:
    files = {name: pki.path(f"device.{end}") for name, end in (("cert_file", "pem"), ("key_file", "key"))}
    found = config_for(url.replace("mqtt://", "mqtts://"), ca_file=pki.path("ca.pem"), protocol="5", **files)
    return replace(found, device=replace(found.device, state_dir=str(folder / "state")), commands=unlimited(10_000))


async def renew(channel: Channel, pki: Authority, id: str, **sign: Any) -> Result:
    """Both steps; the last answer."""
    await channel.send("device.certificate", f"{id}-csr", {"csr": True})
    await channel.settle()
    request = str((await final(channel, f"{id}-csr"))["out"]["csr"])
    signed = pki.sign(request, **sign)
    channel.agent.clock.wall = datetime.now(timezone.utc)  # the authority's: it signs by it
    await channel.send("device.certificate", f"{id}-chain", {"chain": signed})
    await asyncio.wait_for(channel.settle(), 60)
    return await final(channel, f"{id}-chain")


async def final(channel: Channel, id: str) -> Result:
    """Of the journal: what the outbox had is delivered."""
    entry = await channel.agent.store.run(lambda db: db.journal.get(id))
    assert entry is not None
    return entry.answer


async def connected(agent: StandIn) -> None:
    for _ in range(3_000):
        if agent.session.state.proved:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(agent.session.state.last_error)


def test_renewals_without_an_outage(tmp_path: Path, pki: Authority) -> None:
    """Each certificate is in use before the next, and the device never fails to come back."""
    hours = 5

    async def story(agent: StandIn, serials: list[str]) -> None:
        channel = Channel(agent)
        for hour in range(hours):
            answer = await renew(channel, pki, f"h{hour}")
            assert (answer["state"], answer["out"]) == ("succeeded", {"v": 1, "result": "confirmed"})
            await connected(agent)
            serials.append((tmp_path / "state" / "certificate" / "device.pem").read_text())
        faults = agent.session.faults
        assert not {name for name in faults if "refused" in name or "unreachable" in name or "silent" in name}

    async def run() -> None:
        serials: list[str] = []
        with broker(tmp_path, pki) as server:
            async with StandIn(tmp_path, config(tmp_path, pki, server.url)) as agent:
                await connected(agent)
                await story(agent, serials)
        assert len(set(serials)) == hours

    asyncio.run(run())


def test_one_that_the_broker_does_not_take_leaves_the_old_one(tmp_path: Path, pki: Authority) -> None:
    stranger = Authority(tmp_path / "stranger")

    async def run() -> None:
        with broker(tmp_path, pki) as server:
            async with StandIn(tmp_path, config(tmp_path, pki, server.url)) as agent:
                await connected(agent)
                answer = await renew(Channel(agent), stranger, "bad")
                assert (answer["state"], answer["code"]) == ("failed", 7022)
                assert "the old certificate stays" in answer["reason"]
                await connected(agent)
                good = await renew(Channel(agent), pki, "good")
                assert good["state"] == "succeeded"

    asyncio.run(run())


def test_what_is_no_chain_for_the_key_is_refused_at_once(tmp_path: Path, pki: Authority) -> None:
    async def run() -> None:
        found = config(tmp_path, pki, "mqtt://127.0.0.1:1")
        with StandIn(tmp_path, found) as agent:
            await agent.outbox.open()
            channel = Channel(agent)

            async def code(id: str, args: dict[str, Any]) -> int:
                await channel.send("device.certificate", id, args)
                await channel.settle()
                return int((await channel.answers(id))[-1]["code"])

            assert await code("a", {"chain": pki.sign(new_request(tmp_path / "elsewhere", DEVICE))}) == 7012
            assert await code("b", {"csr": True}) == 0
            other = pki.sign(new_request(tmp_path / "elsewhere", DEVICE))
            assert await code("c", {"chain": other}) == 7012
            assert await code("d", {"chain": "-----BEGIN nonsense"}) == 7012
            assert await code("e", {}) == 7004
            assert await code("f", {"csr": True, "chain": other}) == 7004
            assert not (tmp_path / "state/certificate/trial.pem").exists()

    asyncio.run(run())


def test_the_request_bears_the_devices_name_and_its_key_stays(tmp_path: Path, pki: Authority) -> None:
    request = new_request(tmp_path / "c", DEVICE)
    assert DEVICE in pki.common_name(request)
    assert "PRIVATE" not in request
    key = tmp_path / "c" / "request.key"
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_text()
    assert new_request(tmp_path / "c", DEVICE) != request
    assert key.read_text() != before
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["request.key"]


class Cut(Exception):
    """The power."""


STEPS = ("unlink", "fsync", "replace", "fsync", "sync_folder")


@pytest.mark.parametrize("cut_at", range(24))
def test_a_cut_at_any_step_leaves_a_pair_that_fits(
    tmp_path: Path, pki: Authority, monkeypatch: pytest.MonkeyPatch, cut_at: int
) -> None:
    """Each file operation of a whole renewal is the last one once; what is there afterwards can always be used."""
    settings = config(tmp_path, pki, "mqtt://127.0.0.1:1").operator
    folder, left = tmp_path / "c", [cut_at]

    def cutting(module: Any, name: str) -> None:
        real = getattr(module, name)

        def step(*words: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Cut
            return real(*words, **more)

        monkeypatch.setattr(module, name, step)

    with monkeypatch.context():
        for module, name in ((os, "replace"), (os, "fsync"), (os, "open"), (Path, "unlink")):
            cutting(module, name)
        pair = Credentials(settings, folder)
        try:
            signed = pki.sign(new_request(folder, DEVICE))
            credentials.stage(folder, signed, settings.cert_file, None)
            used = pair.applied(settings)
            assert used.cert_file == str(folder / "trial.pem")
            pair.proved()
            done = True
        except Cut:
            done = False
        monkeypatch.undo()
    again = Credentials(settings, folder)
    from agent.mqtt import tls

    for _ in range(credentials.ATTEMPTS + 1):  # the trial, where there is one, and then the old pair
        tls.context(again.applied(settings), clock_trusted=True)
        again.over("test")
    if done:
        assert again.applied(settings).cert_file == str(folder / "device.pem")
    assert not done or cut_at > 8


def test_a_trial_that_fails_while_the_line_is_down_goes_on(tmp_path: Path, pki: Authority) -> None:
    settings = config(tmp_path, pki, "mqtt://127.0.0.1:1").operator
    folder = tmp_path / "c"
    credentials.stage(folder, pki.sign(new_request(folder, DEVICE)), settings.cert_file, None)
    pair, used = Credentials(settings, folder), []
    for _ in range(2 * (credentials.ATTEMPTS + 1)):
        used.append(Path(pair.applied(settings).cert_file).name)
        pair.over("no way there")
    assert used == [*["trial.pem"] * credentials.ATTEMPTS, "device.pem"] * 2
    pair.applied(settings)
    pair.proved()
    assert credentials.verdict(folder, "another") == (False, "it is not on trial any more")
    assert Path(pair.applied(settings).cert_file) == folder / "device.pem"


def test_a_certificate_that_a_technician_puts_there_counts_at_once(tmp_path: Path, pki: Authority) -> None:
    settings = config(tmp_path, pki, "mqtt://127.0.0.1:1").operator
    own = tmp_path / "own.pem"
    shutil.copy(settings.cert_file, own)
    settings = replace(settings, cert_file=str(own))
    folder = tmp_path / "c"
    credentials.stage(folder, pki.sign(new_request(folder, DEVICE)), settings.cert_file, None)
    pair = Credentials(settings, folder)
    pair.applied(settings)
    pair.proved()
    assert pair.applied(settings).cert_file == str(folder / "device.pem")
    own.write_text(own.read_text() + "\n")
    assert pair.applied(settings).cert_file == str(own)


def test_an_expired_chain_is_not_tried(tmp_path: Path, pki: Authority) -> None:
    signed = pki.sign(new_request(tmp_path / "c", DEVICE))
    with pytest.raises(ConfigError, match="valid until"):
        credentials.stage(tmp_path / "c", signed, "", datetime.now(timezone.utc) + timedelta(days=30))


def certificate(subject: str, issuer: str, *, ends: str = "Jan  1 00:00:00 2030 GMT") -> dict[str, Any]:
    named = {key: ((("commonName", name),),) for key, name in (("subject", subject), ("issuer", issuer))}
    return {**named, "notBefore": "Jan  1 00:00:00 2020 GMT", "notAfter": ends}


class Context:
    verify_flags = 0

    def __init__(self, *authorities: dict[str, Any], unjudged: bool = False) -> None:
        self.authorities = list(authorities)
        self.verify_flags = 0x200000 if unjudged else 0

    def get_ca_certs(self) -> list[dict[str, Any]]:
        return self.authorities


class Peer:
    def __init__(self, found: dict[str, Any] | None) -> None:
        self.found = found

    def peer_certificate(self) -> dict[str, Any] | None:
        return self.found


NOW = Moment(datetime(2026, 11, 30, tzinfo=timezone.utc), 100.0, "boot", Trust.SYNC)
OVER = "Jan  1 00:00:00 2026 GMT"


@pytest.mark.parametrize(
    ("context", "peer", "trust", "says"),
    [
        (Context(certificate("ca", "ca")), certificate("b", "ca"), Trust.SYNC, ""),
        (Context(certificate("ca", "ca", ends=OVER)), certificate("b", "ca"), Trust.SYNC, "the authority's"),
        (Context(certificate("ca", "ca", ends=OVER)), certificate("b", "ca"), Trust.UNSYNC, ""),
        (Context(certificate("ca", "ca", ends=OVER)), certificate("b", "other"), Trust.SYNC, ""),
        (Context(certificate("ca", "ca"), certificate("mid", "ca")), certificate("b", "mid"), Trust.SYNC, ""),
        (Context(certificate("ca", "ca", ends=OVER), certificate("mid", "ca")), certificate("b", "mid"), Trust.NITZ,
         "the authority's certificate"),
        (Context(certificate("ca", "ca")), certificate("b", "ca", ends=OVER), Trust.SYNC, "the broker's certificate"),
        (Context(certificate("ca", "ca"), unjudged=True), certificate("b", "sent along"), Trust.SYNC, "judged now"),
        (Context(certificate("ca", "ca"), unjudged=True), certificate("b", "ca"), Trust.SYNC, ""),
        (Context(), None, Trust.SYNC, ""),
    ],
)  # fmt: skip
def test_an_expired_authority_ends_the_session_once_the_clock_is_trusted(
    context: Any, peer: dict[str, Any] | None, trust: Trust, says: str
) -> None:
    problem = CertificateDates(context).problem(Peer(peer), replace(NOW, trust=trust))
    assert problem.startswith(says) or says in problem
    assert bool(problem) is bool(says)


def test_a_chain_that_runs_in_a_circle_ends() -> None:
    one, two = certificate("one", "two"), certificate("two", "one")
    assert len(chain(one, [one, two])) == 8
