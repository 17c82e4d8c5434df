"""A key made on this device, and the request for its certificate (PKCS #10), by openssl(1): one process each, no shell.

The key never leaves the device. Blocking; for a worker thread.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from agent.errors import AgentError
from agent.mqtt.credentials import REQUEST
from agent.store.files import sync_folder

LIMIT_S = 60.0  # a key of P-256 takes a fraction of a second on the slowest board
# What a device without /etc/ssl/openssl.cnf needs said (req(1)); the name is what certificates.sh gives.
CONFIGURATION = """[req]
prompt = no
distinguished_name = name
req_extensions = more
[name]
CN = {device}
[more]
subjectAltName = URI:{device}
"""


def new_request(folder: Path, device: str) -> str:
    """The request in PEM; the key of an earlier one is forgotten. Raises AgentError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, fresh, settings = folder / REQUEST, folder / f"{REQUEST}.new", folder / "request.cnf"
    try:
        settings.write_text(CONFIGURATION.format(device=device), "ascii")
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(fresh))
        request = _openssl("req", "-new", "-sha256", "-key", str(fresh), "-config", str(settings))
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(fresh, key)
        sync_folder(folder)
    except OSError as error:
        raise AgentError(f"{folder}: {error.strerror or error}") from error
    finally:
        settings.unlink(missing_ok=True)
    return request


def _openssl(*words: str) -> str:
    try:
        done = subprocess.run(
            ["openssl", *words], capture_output=True, text=True, timeout=LIMIT_S, umask=0o077, check=False
        )
    except FileNotFoundError:
        raise AgentError("openssl is not installed here (package openssl-util on OpenWrt, openssl elsewhere)") from None
    except subprocess.TimeoutExpired:
        raise AgentError(f"openssl {words[0]}: no end within {LIMIT_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["failed"]
        raise AgentError(f"openssl {words[0]}: {said[-1][:200]}")
    return done.stdout
