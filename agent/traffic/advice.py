"""What to install or to do when the kernel cannot shape, in a technician's words. PURE.

Called by the shaper for `ShaperState.advice` and by doctor. Package names of OpenWrt (kmod-*) and Debian.
"""

from __future__ import annotations

import errno

from agent.traffic.model import Capabilities

_PACKAGES: dict[str, tuple[str, str]] = {
    "ifb": ("kmod-ifb", "the standard kernel image (linux-image-*, not -cloud-)"),
    "ingress": ("kmod-sched-core", "the standard kernel image (linux-image-*)"),
    "mirred": ("kmod-sched-core", "the standard kernel image (linux-image-*)"),
    "u32": ("kmod-sched-core", "the standard kernel image (linux-image-*)"),
    "tbf": ("kmod-sched-core", "the standard kernel image (linux-image-*)"),
    "cake": ("kmod-sched-cake", "the standard kernel image (linux-image-*)"),
    "fq_codel": ("kmod-sched-core", "the standard kernel image (linux-image-*)"),
}

NO_PRIVILEGE = "run the agent as root, or with AmbientCapabilities=CAP_NET_ADMIN in its systemd unit"


def for_missing(names: tuple[str, ...]) -> str:
    """One line that says what brings these kernel features."""
    if not names:
        return ""
    openwrt = " ".join(dict.fromkeys(_PACKAGES[n][0] for n in names))
    debian = ", ".join(dict.fromkeys(_PACKAGES[n][1] for n in names))
    return f"the kernel lacks {', '.join(names)}: OpenWrt: opkg install {openwrt}; Debian: {debian}"


def for_error(code: int | None, capabilities: Capabilities | None) -> str:
    """One line for an errno the kernel gave."""
    if code in (errno.EPERM, errno.EACCES):
        return NO_PRIVILEGE
    if code == errno.ENODEV:
        return "the interface went away; it is shaped again as soon as it is back"
    if capabilities is not None and capabilities.missing():
        return for_missing(capabilities.missing())
    return ""


FOREIGN = "remove the other shaper (sqm-scripts, qosify, a hand-made tc), or set shaper.replace_foreign = true"
