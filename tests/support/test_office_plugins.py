"""What is shipped beside the office for other programs names fields and views that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.mqtt.reports import traffic

FOLDER = Path(__file__).parents[2] / "firmware-config" / "office"
VIEWS = set(re.findall(r"create view (\w+)", (FOLDER / "schema" / "0002_views.sql").read_text()))
TABLES = set(re.findall(r"create table (\w+)", (FOLDER / "schema" / "0001_reports.sql").read_text()))


def exporter() -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / "exporter.yaml").read_text()))


def test_the_exporter_reads_fields_that_a_measurement_has() -> None:
    body = traffic({}, agent_bytes=1)
    for metric in exporter()["metrics"]:
        value: Any = body
        for key in metric["mqtt_name"].split("."):
            assert key in value, metric["mqtt_name"]
            value = value[key]


def test_rules_and_dashboards_read_series_that_the_exporter_has() -> None:
    known = {metric["prom_name"] for metric in exporter()["metrics"]}
    rules = (FOLDER / "prometheus-rules.yml").read_text()
    named = set(re.findall(r"\bmodem_\w+", re.sub(r"modem_agent:\w+", "", rules)))
    assert named <= known
    assert named


@pytest.mark.parametrize("path", sorted((FOLDER / "grafana").glob("*.json")), ids=lambda path: path.stem)
def test_dashboards_ask_views_that_the_schema_has(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]  # Grafana's grid
        for target in panel["targets"]:
            asked = set(re.findall(r"office\.(\w+)", target["rawSql"]))
            assert asked, panel["title"]
            assert asked <= VIEWS | TABLES, panel["title"]


@pytest.mark.office
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_rules_and_configuration() -> None:
    for words in (
        "check config prometheus.yml",
        "check rules prometheus-rules.yml",
        "test rules prometheus-rules-test.yml",
    ):
        done = subprocess.run(["promtool", *words.split()], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
