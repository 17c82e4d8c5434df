"""Signing what is sent: by the key of an issuer, of this desk's or derived for the device from a master key."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from agent.commands.authority import cosign, sign
from agent.commands.keys_file import Issuer, load
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.command_schema import Request

Sign = Callable[["Request"], Mapping[str, object]]


def signer(path: str | None, second: str | None = None) -> Sign:
    """What makes an envelope one that is signed, by a `second` issuer too; without a keys file it stays as it is.

    It raises ConfigError.
    """
    if second is not None and path is None:
        raise ConfigError(second, "", "a second signature without a first one", allowed="--cosign beside --sign")

    def signed(envelope: Request) -> Mapping[str, object]:
        if path is None:
            return envelope
        issuer = _issuer(path, envelope["aud"])
        # No two desks take the same millisecond; where this clock is far behind, the nonce of the session counts.
        body = {**envelope, "iss": issuer.name, "ctr": time.time_ns() // 1_000_000}
        once = sign(body, issuer.key_id, issuer.key)
        if second is None:
            return once
        other = _issuer(second, envelope["aud"])
        return cosign(once, other.key_id, other.key)

    return signed


def _issuer(path: str, device: str) -> Issuer:
    issuers = list(load(path, desk_of=device).values())
    if len(issuers) != 1:
        raise ConfigError(path, "", f"{len(issuers)} issuers; a command is signed by one")
    return issuers[0]
