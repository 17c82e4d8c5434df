"""Where and as whom the device connects, from the section `operator` of the configuration."""

from __future__ import annotations

from agent.config import OperatorSettings
from agent.mqtt import tls
from agent.mqtt.transport import Target

LARGEST_PACKET_BYTES = 131_072  # a command has at most 64 KiB (agent/commands/envelope.py): a larger one is answered so


def split_url(url: str) -> tuple[str, int, bool]:
    """Host, port and whether it is TLS, of a checked `operator.url`."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition(":")
    secure = scheme == "mqtts"
    return host, int(port) if port else (8883 if secure else 1883), secure


def target_of(settings: OperatorSettings, device: str, *, clock_trusted: bool) -> Target:
    """Raises ConfigError for files that cannot be used; `clock_trusted` says whether certificates' dates are judged."""
    host, port, secure = split_url(settings.url)
    return Target(
        host=host,
        port=port,
        client_id=settings.client_id or device,
        keepalive_s=settings.keepalive_s,
        protocol=settings.protocol,
        username=settings.username,
        password=tls.secret(settings.password_file) if settings.password_file else "",
        tls=tls.context(settings, clock_trusted=clock_trusted) if secure else None,
        bind_interface=settings.bind_interface,
        largest_packet_bytes=LARGEST_PACKET_BYTES,
    )
