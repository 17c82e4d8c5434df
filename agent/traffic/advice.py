"""What to install or to do when the kernel cannot shape, in a technician's words. PURE.

Called by the shaper for `ShaperState.advice` and by doctor. Package names of OpenWrt (kmod-*) and Debian.
"""

from __future__ import annotations

import errno

from agent.system import DEBIAN, System
from agent.traffic.model import Capabilities

_OPENWRT = {
    "ifb": "kmod-ifb",
    "ingress": "kmod-sched-core",
    "mirred": "kmod-sched-core",
    "u32": "kmod-sched-core",
    "tbf": "kmod-sched-core",
    "cake": "kmod-sched-cake",
    "fq_codel": "kmod-sched-core",
}
_DEBIAN = "install Debian's standard kernel image (linux-image-*, not -cloud-)"

NO_PRIVILEGE = "run the agent as root, or with AmbientCapabilities=CAP_NET_ADMIN in its systemd unit"


def for_missing(names: tuple[str, ...], system: System = DEBIAN) -> str:
    """One line that says what brings these kernel features."""
    if not names:
        return ""
    packages = " ".join(dict.fromkeys(_OPENWRT[name] for name in names))
    what = f"{_DEBIAN}; on OpenWrt {packages}" if system == DEBIAN else f"{system.install} {packages}"
    return f"the kernel lacks {', '.join(names)}: {what}"


def for_error(code: int | None, capabilities: Capabilities | None, system: System = DEBIAN) -> str:
    """One line for an errno the kernel gave."""
    if code in (errno.EPERM, errno.EACCES):
        return NO_PRIVILEGE
    if code == errno.ENODEV:
        return "the interface went away; it is shaped again as soon as it is back"
    if capabilities is not None and capabilities.missing():
        return for_missing(capabilities.missing(), system)
    return ""


FOREIGN = "remove the other shaper (sqm-scripts, qosify, a hand-made tc), or set shaper.replace_foreign = true"
