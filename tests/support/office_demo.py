"""`make office-demo`: the operator's side on this machine, with simulated devices, and what came of it.

PostgreSQL, mosquitto, office, exporter and Prometheus, all of this run's own in a temporary folder, on loopback or a
socket, and ended by their process ids. `--stay` leaves them up until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from simulator.fleet.broker import Mosquitto
from tests.support.postgres import Postgres
from tests.waiting import wait_for

SHIPPED = Path(__file__).parents[2] / "firmware-config" / "office"
COMMUNES = ("Andenne", "Ath", "Dinant", "Huy", "Namur")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(words: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        started = subprocess.Popen(list(words), stdout=out, stderr=out)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(60)


def answer(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return str(reply.read().decode())
    except OSError:
        return ""


def support(*words: str) -> list[str]:
    return [sys.executable, "-c", "from agent.support.cli import main; main()", *words]


def exporter_config(folder: Path, broker_port: int) -> Path:
    """The shipped one, with this run's broker."""
    config = yaml.safe_load((SHIPPED / "exporter.yaml").read_text())
    config["mqtt"]["server"] = f"tcp://127.0.0.1:{broker_port}"
    path = folder / "exporter.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def prometheus_config(folder: Path, exporter_port: int) -> Path:
    """The shipped one, with this run's exporter and no patience."""
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{exporter_port}"]}]
    config["global"] = {"scrape_interval": "2s", "evaluation_interval": "2s"}
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    (folder / "prometheus-rules.yml").write_text((SHIPPED / "prometheus-rules.yml").read_text())
    return path


def labels(db: str, folder: Path) -> None:
    """A commune for every device that was heard of, by its number."""
    names = asked(db, "select name from office.device order by 1").split()
    path = folder / "labels.csv"
    path.write_text("".join(f"{name},{COMMUNES[n % len(COMMUNES)]}\n" for n, name in enumerate(names)))
    subprocess.run(support("office", "--db", db, "--labels", str(path)), check=True)


def asked(db: str, query: str) -> str:
    done = subprocess.run(["psql", db, "-Atc", query], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def run(devices: int, page: Path, stay: bool) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="office-demo-")))
        folder.chmod(0o755)
        db = stack.enter_context(Postgres(folder / "postgres")).dsn
        broker = Mosquitto(folder)
        broker.start()
        stack.callback(broker.stop)
        stack.enter_context(process(support("--broker", broker.url, "office", "--db", db), folder / "office.log"))
        wait_for("the office", lambda: "connected" in (folder / "office.log").read_text())
        exporter_port, prometheus_port = free_port(), free_port()
        exporter = [
            "prometheus-mqtt-exporter", "-config", str(exporter_config(folder, broker.port)),
            "-listen-address", "127.0.0.1", "-listen-port", str(exporter_port),
        ]  # fmt: skip
        stack.enter_context(process(exporter, folder / "exporter.log"))
        prometheus = [
            "prometheus", f"--config.file={prometheus_config(folder, exporter_port)}",
            f"--storage.tsdb.path={folder}/prometheus", f"--web.listen-address=127.0.0.1:{prometheus_port}",
        ]  # fmt: skip
        stack.enter_context(process(prometheus, folder / "prometheus.log"))
        wait_for("the exporter", lambda: "# HELP" in answer(f"http://127.0.0.1:{exporter_port}/metrics"))
        print(
            f"broker {broker.url}, exporter and Prometheus on ports {exporter_port} and {prometheus_port}", flush=True
        )

        fleet = [sys.executable, "-c", "from simulator.cli import main; main()", "fleet", "--broker", broker.url,
                 "--devices", str(devices), "--seconds", "15", "--beat", "5"]  # fmt: skip
        with process(fleet, folder / "fleet.log") as simulated:
            online = "select count(*) from office.home where online"
            wait_for("all devices online", lambda: asked(db, online) == str(devices))
            labels(db, folder)
            wait_for("homes in Prometheus", lambda: homes(prometheus_port) == devices)
            made = subprocess.run(support("office", "--db", db, "--page", str(page)), check=True, capture_output=True)
            simulated.wait(600)
        print((folder / "fleet.log").read_text(), end="")
        print(f"Prometheus: {homes(prometheus_port)} homes")
        print(f"reports {asked(db, 'select count(*) from office.report')}, "
              f"gaps {asked(db, 'select count(*) from office.gaps where not isempty(open)')}, "
              f"refused {asked(db, 'select count(*) from office.refused')}")  # fmt: skip
        print(f"page: {made.stdout.decode().strip()}", flush=True)
        if stay:
            print(f"database: psql '{db}'; Prometheus: http://127.0.0.1:{prometheus_port}; Ctrl-C ends", flush=True)
            signal_wait()


def signal_wait() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()


def homes(port: int) -> int:
    body = answer(f"http://127.0.0.1:{port}/api/v1/query?query=modem_agent:homes")
    results = json.loads(body)["data"]["result"] if body else []
    return int(results[0]["value"][1]) if results else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--page", type=Path, default=Path("out/office"))
    parser.add_argument("--stay", action="store_true")
    options = parser.parse_args()
    run(options.devices, options.page, options.stay)


if __name__ == "__main__":
    main()
