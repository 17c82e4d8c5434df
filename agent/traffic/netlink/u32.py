"""PURE. A u32 filter as the request that makes it, and the words of tc(8) for what it matches.

Used by netlink.py. pyroute2 takes 0.5 ms for each on a PC, twenty times that on a router; a tree with a tbf alone has
some thirty, and a line that is throttled when the agent starts waits for them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

RTM_NEWTFILTER = 44
NEW_AND_ANSWERED = 0x1 | 0x4 | 0x200 | 0x400  # NLM_F_REQUEST, ACK, EXCL, CREATE: what is there already is no answer
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_U32_CLASSID, TCA_U32_SEL = 1, 5
TC_U32_TERMINAL = 1
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_TCMSG = struct.Struct("=BxxxiIII")  # family, ifindex, handle, parent, info
_SELECTOR = struct.Struct("=BBBxHHhhI")  # tc_u32_sel: flags, a shift, the number of keys, and offsets that are not used
_MASKED = struct.Struct(">II")  # tc_u32_key: the mask and the value as they stand in the packet,
_OFFSET = struct.Struct("=ii")  # then where, and a mask for that


def info(prio: int, protocol: int) -> int:
    """tcmsg.info: the priority, and the protocol as it stands in a frame."""
    return (prio << 16) | ((protocol & 0xFF) << 8) | (protocol >> 8)


def request(parent: int, prio: int, protocol: int, keys: Sequence[str], target: int) -> bytes:
    """The whole message, for a link that is still to be named: a packet that every key matches belongs to `target`."""
    selector = _SELECTOR.pack(TC_U32_TERMINAL, 0, len(keys), 0, 0, 0, 0, 0) + b"".join(map(_key, keys))
    options = _attribute(TCA_U32_CLASSID, struct.pack("=I", target)) + _attribute(TCA_U32_SEL, selector)
    body = _TCMSG.pack(0, 0, 0, parent, info(prio, protocol))
    body += _attribute(TCA_KIND, b"u32\0") + _attribute(TCA_OPTIONS, options)
    return _HEADER.pack(_HEADER.size + len(body), RTM_NEWTFILTER, NEW_AND_ANSWERED, 0, 0) + body


def _attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)


def _key(text: str) -> bytes:
    """`value/mask+offset`, of one byte, two or four, as wide as the mask. The kernel compares whole words."""
    value, mask = (int(part, 16) for part in text.partition("+")[0].split("/"))
    offset = int(text.partition("+")[2])
    width = 1 if mask <= 0xFF else 2 if mask <= 0xFFFF else 4
    shift = (4 - width - offset % 4) * 8
    return _MASKED.pack(mask << shift, value << shift) + _OFFSET.pack(offset - offset % 4, 0)
