"""This device's certificate and key: those of the configuration, or renewed ones that the broker has accepted.

All of it is files below the state folder, each put there whole by a rename, so that a cut leaves the one or the other:

    request.key   a key made on this device, whose certificate is asked for
    trial.pem     that key and the chain that came for it, until the broker has taken it or refused it
    device.pem    the same once the broker took the subscription and a report
    refused       why the last trial ended without that

The old pair stays until then, and is used again between the attempts of a trial that fails: a certificate that the
broker does not take never locks the device out. `device.pem` counts while operator.cert_file is the one it replaced, so
that a certificate that a technician puts there counts at once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from agent.config import OperatorSettings
from agent.errors import ConfigError
from agent.mqtt import tls
from agent.store.files import sync_folder

log = logging.getLogger(__name__)

ATTEMPTS = 3  # of a trial in a row, then one with the old pair: if that one is taken, the trial has failed
FOLDER = "certificate"  # below device.state_dir
REQUEST, TRIAL, CURRENT, REFUSED = "request.key", "trial.pem", "device.pem", "refused"
BEGINS = "-----BEGIN CERTIFICATE-----"
REPLACES = "replaces "  # and the digest of operator.cert_file, on the first line: PEM readers skip it (RFC 7468, 5.2)


class Credentials:
    """What the session connects with. Without a folder it is what the configuration says."""

    def __init__(self, settings: OperatorSettings, folder: Path | None = None) -> None:
        self._cert_file, self._folder = settings.cert_file, folder if settings.cert_file else None
        self._failed = 0  # attempts of the trial in a row
        self._trying = False  # in this attempt
        self.ends: str | None = None  # until when what was used last is valid

    def applied(self, settings: OperatorSettings) -> OperatorSettings:
        """The settings for the next attempt. Reads files; for a worker thread."""
        trial = self._place(TRIAL)
        self._trying = trial is not None and self._failed < ATTEMPTS
        pair = trial if self._trying else self.current()
        used = settings if pair is None else replace(settings, cert_file=str(pair), key_file="")
        ends = tls.ends(used.cert_file) if used.cert_file else None
        self.ends = f"{ends:%Y-%m-%dT%H:%M:%SZ}" if ends else None
        return used

    def current(self) -> Path | None:
        """The renewed pair, where it counts."""
        place = self._place(CURRENT)
        if place is None:
            return None
        with place.open(encoding="ascii", errors="replace") as file:
            return place if file.readline().strip() == REPLACES + digest(self._cert_file) else None

    def _place(self, name: str) -> Path | None:
        place = None if self._folder is None else self._folder / name
        return place if place is not None and place.exists() else None

    @property
    def waiting(self) -> str:
        """Why a session is to begin anew: there is a trial that this one does not use."""
        waits = not self._trying and self._failed < ATTEMPTS and self._place(TRIAL) is not None
        return "a new certificate is to be tried" if waits else ""

    def proved(self) -> None:
        """The broker took the subscription and a report."""
        self._failed = 0
        if self._folder is None or self._place(TRIAL) is None:
            return
        if not self._trying:
            give_up(self._folder, "the broker takes the old certificate, and did not take this one")
            return
        os.replace(self._folder / TRIAL, self._folder / CURRENT)
        sync_folder(self._folder)
        self._trying = False
        log.info("the new certificate is in use, until %s", self.ends or "a time that cannot be read")

    def over(self, reason: str) -> None:
        """The attempt, or the session, has ended."""
        if self._trying:
            self._failed += 1
            log.warning("the new certificate was not taken: %s", reason)
        elif self._failed >= ATTEMPTS:
            self._failed = 0  # the old one is not taken either: the line is down, or only the new one is right


def digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def stage(folder: Path, chain: str, cert_file: str, now: datetime | None) -> None:
    """A chain for the key of the last request is to be tried. Raises ConfigError; nothing has changed then."""
    request = folder / REQUEST
    if BEGINS not in chain:
        raise ConfigError("chain", "", "not a certificate", allowed="certificates in PEM, this device's first")
    if not request.exists():
        raise ConfigError("chain", "", "no key was made for it", allowed="the answer to the last csr")
    text = f"{REPLACES}{digest(cert_file)}\n{request.read_text('ascii').strip()}\n{chain.strip()}\n"
    fresh = folder / f"{TRIAL}.new"
    _write(fresh, text)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(fresh)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("chain", "", f"not for the key of the last request: {error}") from error
    if now is not None and (problem := tls.file_problem(str(fresh), now)):
        raise ConfigError("chain", "", problem)
    (folder / REFUSED).unlink(missing_ok=True)
    os.replace(fresh, folder / TRIAL)
    request.unlink()
    sync_folder(folder)


def give_up(folder: Path, reason: str) -> None:
    """The trial ends, and the old pair stays."""
    _write(folder / REFUSED, reason)
    (folder / TRIAL).unlink(missing_ok=True)
    sync_folder(folder)
    log.warning("the new certificate is given up: %s", reason)


def verdict(folder: Path, chain: str) -> tuple[bool, str] | None:
    """Whether this chain is in use, else why not; None while it is on trial."""
    if (folder / TRIAL).exists():
        return None
    current = folder / CURRENT
    if current.exists() and chain.strip() in current.read_text("ascii", errors="replace"):
        return True, ""
    refused = folder / REFUSED
    return False, refused.read_text() if refused.exists() else "it is not on trial any more"


def _write(place: Path, text: str) -> None:
    """On the flash, for this user alone."""
    place.unlink(missing_ok=True)
    with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
