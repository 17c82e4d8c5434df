"""Three NATS nodes that are one broker, behind HAProxy's one port, and the bridge of a mosquitto to them: on loopback.

Made as `firmware-config/broker/README.md` says, without TLS, on free ports. Not imitated: machines and disks of their
own, a network between the nodes that loses or delays.
"""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from pathlib import Path

from tests.brokers.engines import Engine, found
from tests.mqtt.broker import free_port

SHIPPED = Path(__file__).parents[2] / "firmware-config" / "broker"
NODES = 3
PATIENCE_S = 120.0


def bridge(port: int) -> str:
    """The shipped bridge, to a cluster on this machine; saved as `mosquitto.conf` has it."""
    text = (SHIPPED / "mosquitto-bridge.conf").read_text()
    return text.replace("address broker.example:8883", f"address 127.0.0.1:{port}") + "autosave_interval 60\n"


class NatsNode(Engine):
    """One of the cluster. `routes`: the ports by which all of them find each other."""

    name = "nats"

    def __init__(self, folder: Path, number: int, routes: list[int]) -> None:
        super().__init__(folder)
        self._number, self._routes = number, routes
        self._client, self._monitor = free_port(), free_port()

    def command(self) -> tuple[list[str], dict[str, str]]:
        others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self._routes)
        config = self.folder / "nats.conf"
        config.write_text(
            f"server_name: broker{self._number}\n"
            f'listen: "127.0.0.1:{self._client}"\nhttp: "127.0.0.1:{self._monitor}"\n'
            f'jetstream {{ store_dir: "{self.folder}/store" }}\n'
            f'cluster {{ name: modem-agent, listen: "127.0.0.1:{self._routes[self._number]}", routes: [{others}] }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.port}", stream_replicas: {NODES}, max_ack_pending: 1000 }}\n'
        )
        return [found("nats-server", "/usr/sbin/nats-server"), "-c", str(config), "-l", f"{self.folder}/log"], {}

    def kill(self) -> None:
        """kill -9, as a power cut of the process: what it had not written is gone."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        self.process = None

    @property
    def healthy(self) -> bool:
        """Whether it has caught up with the others (docs.nats.io, Monitoring, /healthz)."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._monitor}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def memory_mb(self) -> float:
        if self.process is None:
            return 0.0
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 1e6


class Balancer(Engine):
    """HAProxy with the shipped settings: one port before the nodes."""

    name = "haproxy"

    def __init__(self, folder: Path, nodes: list[NatsNode]) -> None:
        super().__init__(folder)
        self._nodes = nodes

    def command(self) -> tuple[list[str], dict[str, str]]:
        servers = iter(self._nodes)
        lines = []
        for line in (SHIPPED / "haproxy.cfg").read_text().splitlines():
            words = line.split()
            if words[:1] == ["maxconn"]:  # as many as this machine allows
                continue
            if words[:1] == ["bind"]:
                line = f"    bind 127.0.0.1:{self.port}"
            if words[:1] == ["server"]:
                line = f"    server {words[1]} 127.0.0.1:{next(servers).port}"
            lines.append(line)
        config = self.folder / "haproxy.cfg"
        config.write_text("\n".join([*lines, ""]))
        return [found("haproxy", "/usr/sbin/haproxy"), "-db", "-f", str(config)], {}


class Cluster:
    """`with Cluster(folder) as cluster`: `cluster.port`, and the nodes to kill and start."""

    def __init__(self, folder: Path) -> None:
        routes = [free_port() for _ in range(NODES)]
        self.nodes = [NatsNode(folder / f"node{n}", n, routes) for n in range(NODES)]
        self.balancer = Balancer(folder / "haproxy", self.nodes)
        self.port = self.balancer.port

    @property
    def url(self) -> str:
        return self.balancer.url

    def __enter__(self) -> Cluster:
        try:
            for node in self.nodes:
                node.start()
            self.whole()
            self.balancer.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def whole(self) -> None:
        """Waits until every node has what the others have. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE_S
        while not all(node.healthy for node in self.nodes):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the nodes of the cluster: not the same within {PATIENCE_S:.0f} s")
            time.sleep(0.2)  # other processes' state cannot be awaited otherwise

    def __exit__(self, *_: object) -> None:
        for engine in (self.balancer, *self.nodes):
            engine.stop()
