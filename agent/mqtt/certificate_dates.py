"""Whether the certificates of a session that goes on are still valid, the authority's too. Pure.

A session may have begun while no clock was trusted, when no dates are judged (tls.py), or outlive a certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Protocol

from agent.mqtt.tls import NO_CHECK_TIME, Certificate, expired
from agent.plan.model import Moment

LONGEST = 8  # certificates of a chain


class Shown(Protocol):
    """What of a connection is looked at."""

    def peer_certificate(self) -> Certificate | None: ...


class CertificateDates:
    """Of one connection; the chain is looked up once, at the first judgement."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._chain: list[Certificate] | None = None

    def problem(self, connection: Shown, now: Moment) -> str:
        """Why the session must end; empty when it may go on."""
        peer = connection.peer_certificate()
        if self._context is None or not peer or not now.trusted:
            return ""
        if self._chain is None:
            self._chain = chain(peer, self._context.get_ca_certs())
        problems = [expired(self._chain[0], now.wall)]
        problems += [expired(one, now.wall, "the authority's certificate") for one in self._chain[1:]]
        if problem := next(filter(None, problems), ""):
            return problem
        # An intermediate authority that the broker sent is not known here: a new handshake judges it.
        unjudged = self._context.verify_flags & NO_CHECK_TIME and not is_root(self._chain[-1])
        return "the dates of the broker's certificates can be judged now" if unjudged else ""


def chain(peer: Certificate, authorities: Sequence[Certificate]) -> list[Certificate]:
    """A certificate and its issuers, as far as they are among these authorities."""
    found = [peer]
    by_subject = {one.get("subject"): one for one in authorities}
    while len(found) < LONGEST and not is_root(found[-1]):
        issuer = by_subject.get(found[-1].get("issuer"))
        if issuer is None:
            break
        found.append(issuer)
    return found


def is_root(certificate: Certificate) -> bool:
    return certificate.get("subject") == certificate.get("issuer")
