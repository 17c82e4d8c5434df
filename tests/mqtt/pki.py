"""A certificate authority and certificates for tests, by openssl(1): P-256, as a device would have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


class Pki:
    """`ca.pem`, and for each name NAME.pem and NAME.key."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl: not installed")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key")
        self._run("req", "-x509", "-new", "-key", "ca.key", "-days", "2", "-subj", "/CN=test CA", "-out", "ca.pem")

    def _run(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def issue(self, name: str, common_name: str, *, days: int = 2, host: str = "") -> None:
        """A certificate. With 0 days it has expired: its last second is its first, and is over (X509_cmp_time(3)).

        OpenSSL 3.5 refuses days below zero.
        """
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        (self.folder / f"{name}.key").chmod(0o600)
        self._run("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={common_name}", "-out", f"{name}.csr")
        words = ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        words += ["-days", str(days), "-out", f"{name}.pem"]
        if host:
            (self.folder / f"{name}.ext").write_text(f"subjectAltName=IP:{host},DNS:localhost\n")
            words += ["-extfile", f"{name}.ext"]
        self._run(*words)

    def path(self, name: str) -> str:
        return str(self.folder / name)
