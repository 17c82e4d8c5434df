"""The packet data context that carries the household's traffic: is it the wanted one, and how is it set? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from agent.config import ModemSettings
from agent.modem.profiles import Profile

if TYPE_CHECKING:
    from agent.at import Reading as Answer
    from agent.status_schema import Context

FIRST_CID = 1  # the context of the default bearer on all but a few modules (27.007 10.1.0)
SERVICE_NAMES = frozenset({"ims", "sos", "xcap", "hos"})  # contexts of the network's own services (GSMA IR.88)
AUTH = {"none": 0, "pap": 1, "chap": 2}  # 27.007 10.1.31 <auth_prot>
_QUECTEL_TYPES = {"IP": 1, "IPV6": 2, "IPV4V6": 3}  # AT+QICSGP <context_type>


def contexts_of(answer: Answer | None) -> Sequence[Context]:
    """The contexts that a reading of +CGDCONT and its like lists."""
    return cast("Sequence[Context]", (answer or {}).get("contexts") or ())


def bearer(contexts: Sequence[Context]) -> Context:
    """The context that carries data: the lowest that is not a service's own; a fresh one where none is defined."""
    own = [c for c in contexts if plain_name(c.get("apn")) not in SERVICE_NAMES]
    fresh: Context = {"cid": FIRST_CID, "apn": None, "pdp_type": None}
    return min(own, key=lambda c: int(c["cid"]), default=fresh)


def plain_name(apn: object) -> str:
    """The network identifier alone: some modules append the operator's (.mnc001.mcc206.gprs, 23.003 9.1)."""
    return str(apn or "").lower().partition(".mnc")[0]


def differs(apn: str, contexts: Sequence[Context]) -> bool:
    """Whether the module would attach with another access point than the wanted one."""
    return bool(apn) and plain_name(bearer(contexts).get("apn")) != plain_name(apn)


def definition(
    settings: ModemSettings, profile: Profile, contexts: Sequence[Context], password: str
) -> tuple[str, ...]:
    """The commands that define the context; user and password after it, since some modules forget them with it."""
    context = bearer(contexts)
    cid, kind = context["cid"], str(context.get("pdp_type") or "IPV4V6").upper()
    define = f'AT+CGDCONT={cid},"{kind}","{settings.apn}"'
    if not settings.apn_user:
        return (define,)
    return define, profile.context_auth.format(
        cid=cid,
        apn=settings.apn,
        user=settings.apn_user,
        password=password,
        auth=AUTH[settings.apn_auth],
        type=_QUECTEL_TYPES.get(kind, 3),
    )
