"""Error numbers of 27.007 clause 9.2 (+CME) and 27.005 clause 3.2.5 (+CMS), and the texts vendors send for them.

Called by `finals` to give a verbose error its number, and by the decoder and the recovery ladder to say what it means.
"""

from __future__ import annotations

import re

CME: dict[int, str] = {
    0: "phone failure",
    1: "no connection to phone",
    2: "phone-adaptor link reserved",
    3: "operation not allowed",
    4: "operation not supported",
    5: "PH-SIM PIN required",
    6: "PH-FSIM PIN required",
    7: "PH-FSIM PUK required",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    15: "SIM wrong",
    16: "incorrect password",
    17: "SIM PIN2 required",
    18: "SIM PUK2 required",
    20: "memory full",
    21: "invalid index",
    22: "not found",
    23: "memory failure",
    24: "text string too long",
    25: "invalid characters in text string",
    26: "dial string too long",
    27: "invalid characters in dial string",
    30: "no network service",
    31: "network timeout",
    32: "network not allowed - emergency calls only",
    40: "network personalization PIN required",
    41: "network personalization PUK required",
    42: "network subset personalization PIN required",
    43: "network subset personalization PUK required",
    44: "service provider personalization PIN required",
    45: "service provider personalization PUK required",
    46: "corporate personalization PIN required",
    47: "corporate personalization PUK required",
    48: "hidden key required",
    49: "EAP method not supported",
    50: "incorrect parameters",
    51: "command implemented but currently disabled",
    52: "command aborted by user",
    53: "not attached to network due to MT functionality restrictions",
    54: "modem not allowed - MT restricted to emergency calls only",
    55: "operation not allowed because of MT functionality restrictions",
    56: "fixed dial number only allowed",
    57: "temporarily out of service due to other MT usage",
    58: "language/alphabet not supported",
    59: "unexpected data value",
    60: "system failure",
    61: "data missing",
    62: "call barred",
    63: "message waiting indication subscription failure",
    100: "unknown",
    103: "illegal MS",
    106: "illegal ME",
    107: "GPRS services not allowed",
    108: "GPRS services and non-GPRS services not allowed",
    109: "MS identity cannot be derived by the network",
    110: "implicitly detached",
    111: "PLMN not allowed",
    112: "location area not allowed",
    113: "roaming not allowed in this location area",
    114: "GPRS services not allowed in this PLMN",
    115: "no suitable cells in location area",
    116: "MSC temporarily not reachable",
    117: "network failure",
    118: "CS domain not available",
    119: "ESM failure",
    122: "congestion",
    126: "insufficient resources",
    127: "missing or unknown APN",
    128: "unknown PDP address or PDP type",
    129: "user authentication failed",
    130: "request rejected by Serving GW or PDN GW",
    131: "request rejected, unspecified",
    132: "service option not supported",
    133: "requested service option not subscribed",
    134: "service option temporarily out of order",
    136: "regular deactivation",
    143: "unknown PDP context",
    148: "unspecified GPRS error",
    149: "PDP authentication failure",
    150: "invalid mobile class",
    171: "last PDN disconnection not allowed",
    177: "operator determined barring",
    178: "maximum number of PDP contexts reached",
    179: "requested APN not supported in current RAT and PLMN combination",
    192: "PDN type IPv4 only allowed",
    193: "PDN type IPv6 only allowed",
    196: "PDN type IPv4v6 only allowed",
    515: "please wait, init or command processing in progress",
}

CMS: dict[int, str] = {
    # 24.011 annex E-2: what the network says
    1: "unassigned (unallocated) number",
    8: "operator determined barring",
    10: "call barred",
    21: "short message transfer rejected",
    22: "memory capacity exceeded",
    27: "destination out of service",
    28: "unidentified subscriber",
    29: "facility rejected",
    30: "unknown subscriber",
    38: "network out of order",
    41: "temporary failure",
    42: "congestion",
    47: "resources unavailable, unspecified",
    50: "requested facility not subscribed",
    69: "requested facility not implemented",
    81: "invalid short message transfer reference value",
    95: "invalid message, unspecified",
    96: "invalid mandatory information",
    97: "message type non-existent or not implemented",
    98: "message not compatible with short message protocol state",
    99: "information element non-existent or not implemented",
    111: "protocol error, unspecified",
    127: "interworking, unspecified",
    300: "ME failure",
    301: "SMS service of ME reserved",
    302: "operation not allowed",
    303: "operation not supported",
    304: "invalid PDU mode parameter",
    305: "invalid text mode parameter",
    310: "SIM not inserted",
    311: "SIM PIN required",
    312: "PH-SIM PIN required",
    313: "SIM failure",
    314: "SIM busy",
    315: "SIM wrong",
    316: "SIM PUK required",
    317: "SIM PIN2 required",
    318: "SIM PUK2 required",
    320: "memory failure",
    321: "invalid memory index",
    322: "memory full",
    330: "SMSC address unknown",
    331: "no network service",
    332: "network timeout",
    340: "no +CNMA acknowledgement expected",
    500: "unknown error",
}

# Wordings seen for the same thing, folded to letters and digits.
_CME_ALIASES = {
    "no SIM": 10,
    "SIM card not inserted": 10,
    "PIN required": 11,
    "PUK required": 12,
    "no network": 30,
    "emergency calls only": 32,
    "unknown error": 100,
    "operation not support": 4,
    "not supported": 4,
    "invalid parameters": 50,
    "command disabled": 51,
    "command aborted": 52,
    "not attached restricted": 53,
    "modem not allowed emergency only": 54,
    "operation not allowed restricted": 55,
    "service option not subscribed": 133,
    "memory failed": 23,
    "phone-adaptor link reserved": 2,
    "PDP authentication error": 149,
    "activation rejected by GGSN, Serving GW or PDN GW": 130,
    "activation rejected, unspecified": 131,
    "init or command processing in progress": 515,
}
_CMS_ALIASES = {"SMSC (service center) address unknown": 330, "service center address unknown": 330, "no network": 331}
_NOT_WORD = re.compile(r"[^a-z0-9]+")
# Spellings of one word.
_SYNONYMS = (
    ("usim", "sim"),
    ("personalisation", "personalization"),
    ("necessary", "required"),
    ("adapter", "adaptor"),
    ("parameters", "parameter"),
    ("calls", "call"),
)


def _folded(text: str) -> str:
    folded = _NOT_WORD.sub("", text.lower())
    for found, word in _SYNONYMS:
        folded = folded.replace(found, word)
    return folded


_CME_TEXTS = {_folded(text): code for code, text in CME.items()} | {_folded(t): c for t, c in _CME_ALIASES.items()}
_CMS_TEXTS = {_folded(text): code for code, text in CMS.items()} | {_folded(t): c for t, c in _CMS_ALIASES.items()}


def cme_number(text: str) -> int | None:
    """The number of a verbose +CME error, None when the wording is unknown."""
    return _CME_TEXTS.get(_folded(text))


def cms_number(text: str) -> int | None:
    """The number of a verbose +CMS error."""
    return _CMS_TEXTS.get(_folded(text))


def meaning(name: str, code: int | str | None) -> str:
    """A final error code in words, for a technician."""
    table = CME if name == "CME" else CMS if name == "CMS" else {}
    if isinstance(code, int):
        return table.get(code, f"{name} error {code}" if name in ("CME", "CMS") else f"{name} {code}")
    return str(code) if code else name
