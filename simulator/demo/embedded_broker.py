"""An MQTT broker from a Python package, for machines without mosquitto. Run in the operator's namespace."""

from __future__ import annotations

import asyncio
import sys


async def serve(port: int) -> None:
    """Run until killed; the package speaks MQTT 3.1.1, so the agent's fall-back is at work."""
    from amqtt.broker import Broker

    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"0.0.0.0:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
