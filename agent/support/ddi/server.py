"""An update server as hawkBit's Direct Device Integration API has it, over one connection. Blocking; nothing is kept.

The API: eclipse.dev/hawkbit, "Direct Device Integration API"; gooseBit serves the same. Answers are read within the
bounds of `messages.py`, links are followed to this server alone, and its token goes nowhere else.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from agent.errors import OperatorError
from agent.support.ddi.artifact import Unusable
from agent.support.messages import LONGEST_BYTES, Fields, NotUnderstood, object_of

TIMEOUT_S = 30.0
ARTIFACT_BYTES = 50_000_000  # the largest `size` of agent.update
OVER = (404, 410)  # hawkBit: an action that is unknown, or no longer active
IDLE_S = 2.0  # shorter than a server keeps a quiet connection: uvicorn 5 s, Tomcat 60 s
_SLEEP = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d)")
SLEEP_S = 300.0  # hawkBit's own default, where a server names none


class ActionOver(OperatorError):
    """The server knows of no such action, or it is closed."""


@dataclass(frozen=True, slots=True)
class Base:
    """The answer to a poll: when to come again, and what there is to do."""

    sleep_s: float
    deployment: str | None = None
    cancel: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """One deployment: exactly one file, which is one version of the agent."""

    action: str
    wait: bool  # a maintenance window that is not open yet
    version: str
    file: str
    url: str
    size: int
    hashes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Feedback:
    """`execution` and `finished` as the API spells them."""

    execution: str
    finished: str
    detail: str
    percent: int | None = None

    def body(self, action: str) -> dict[str, object]:
        progress = {} if self.percent is None else {"progress": {"cnt": self.percent, "of": 100}}
        result = {"finished": self.finished, **progress}
        return {"id": action, "status": {"execution": self.execution, "result": result, "details": [self.detail]}}


class Server:
    """`with Server(base, ...) as server`: `base` is the tenant's address, https://HOST/TENANT.

    Methods raise OperatorError; Unusable and ActionOver are such.
    """

    def __init__(self, base: str, authorization: str, tls: ssl.SSLContext | None) -> None:
        parts = urlsplit(base)
        self._origin = (parts.scheme, parts.netloc)
        self._path, self._authorization = parts.path.rstrip("/"), authorization
        self._used_s = 0.0
        host, port = parts.hostname or "", parts.port
        self._connection = (
            http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
            if tls is None
            else http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=tls)
        )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _device(self, device: str) -> str:
        return f"{self._path}/controller/v1/{quote(device, safe='')}"

    def poll(self, device: str) -> Base:
        body = Fields(object_of(self._ask("GET", self._device(device))))
        links = body.fields("_links")
        sleep = _SLEEP.fullmatch(body.fields("config").fields("polling").text("sleep") or "")
        hours, minutes, seconds = map(int, sleep.groups()) if sleep else (0, 0, int(SLEEP_S))
        deployment, cancel = (self._link(links, name) for name in ("deploymentBase", "cancelAction"))
        return Base(3600.0 * hours + 60.0 * minutes + seconds, deployment, cancel)

    def _link(self, links: Fields, name: str) -> str | None:
        """A link's path here; None where there is none."""
        href = links.fields(name).address("href")
        if href is None:
            return None
        parts = urlsplit(href)
        if (parts.scheme, parts.netloc) != self._origin:
            raise OperatorError(f"the server's link {name} leads to {parts.netloc[:80]}, and not to itself")
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def offer(self, link: str) -> Offer:
        body = Fields(object_of(self._ask("GET", link)))
        action, deployment = body.text("id"), body.fields("deployment")
        if not action:
            raise NotUnderstood("a deployment without id")
        chunks = deployment.objects("chunks")
        files = [(chunk, file) for chunk in chunks for file in chunk.objects("artifacts")]
        wait = "skip" in (deployment.text("download"), deployment.text("update"))
        if len(files) != 1:
            return Offer(action, wait, "", "", "", 0, {})
        (chunk, file), *_ = files
        links, hashes = file.fields("_links"), file.fields("hashes")
        known = {name: value for name in ("sha256", "sha1") if (value := hashes.text(name))}
        url = self._link(links, "download") or self._link(links, "download-http") or ""
        return Offer(
            action, wait, chunk.text("version") or "", file.text("filename") or "", url,
            file.whole("size", least=0) or 0, known,
        )  # fmt: skip

    def artifact(self, offer: Offer) -> bytes:
        """The file, as long as the offer says and with its sum. Raises Unusable."""
        if not offer.url:
            raise Unusable("the server offers no file, or more than one; one package is wanted")
        if offer.size > ARTIFACT_BYTES:
            raise Unusable(f"{offer.file[:80]} has {offer.size} bytes; at most {ARTIFACT_BYTES}")
        if not offer.hashes:
            raise Unusable(f"{offer.file[:80]} has neither a sha256 nor a sha1")
        content = self._ask("GET", offer.url, most=offer.size)
        kind, expected = next(iter(offer.hashes.items()))
        if len(content) != offer.size or hashlib.new(kind, content).hexdigest() != expected.lower():
            raise Unusable(f"{offer.file[:80]} is not the file that the server names: another length or {kind}")
        return content

    def report(self, device: str, action: str, feedback: Feedback, kind: str = "deploymentBase") -> None:
        """Raises ActionOver where the server waits for no feedback any more."""
        path = f"{self._device(device)}/{kind}/{quote(action, safe='')}/feedback"
        self._ask("POST", path, feedback.body(action))

    def cancelled(self, link: str) -> str:
        """The action that is to be stopped."""
        body = Fields(object_of(self._ask("GET", link)))
        return body.fields("cancelAction").text("stopId") or body.text("id") or ""

    def report_attributes(self, device: str, attributes: Mapping[str, str]) -> None:
        self._ask("PUT", f"{self._device(device)}/configData", {"mode": "merge", "data": dict(attributes)})

    def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, most: int = LONGEST_BYTES
    ) -> bytes:  # fmt: skip
        """The answer's body. Raises OperatorError, ActionOver."""
        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._authorization:
            headers["Authorization"] = self._authorization
        now_s = time.monotonic()
        if now_s - self._used_s > IDLE_S:  # the server may be closing it at this moment
            self._connection.close()
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer = self._connection.getresponse()
            content = answer.read(most + 1)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise OperatorError(f"{self._origin[1]}: {error or type(error).__name__}") from error
        self._used_s = time.monotonic()
        if len(content) > most:
            self._connection.close()
            raise OperatorError(f"{method} {path[:200]}: more than {most} bytes")
        if answer.status in (401, 403):
            raise OperatorError(f"{self._origin[1]}: not permitted ({answer.status}); is the token right?")
        if answer.status in OVER:
            raise ActionOver(f"{method} {path[:200]}: the server says {answer.status}")
        if answer.status != 200:
            raise OperatorError(f"{method} {path[:200]}: the server says {answer.status}")
        return content
