"""The bill of materials: every import has a component, every component a requirement, and two builds are equal."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from agent import SUPPORTED_UNTIL

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / "firmware-config" / "sbom.py"


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["sbom"] = made  # dataclasses look their module up
    spec.loader.exec_module(made)
    return made


def imported_by(source: str) -> set[str]:
    """First names of the modules that a file imports, by `import_module("...")` too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            words = [word.value for word in node.args if isinstance(word, ast.Constant)]
            found.update(word.partition(".")[0] for word in words if isinstance(word, str))
    return found


def test_every_import_maps_to_a_component(sbom: ModuleType) -> None:
    office = PROJECT / "agent/support/office"  # the operator's own database: an extra, never on a device
    files = [file for file in (PROJECT / "agent").rglob("*.py") if not file.is_relative_to(office)]
    names = set().union(*(imported_by(file.read_text()) for file in files))
    foreign = names - set(sys.stdlib_module_names) - {"agent", "tomllib"}
    assert foreign == {component.module for component in sbom.COMPONENTS}
    assert set(sbom.requirements()) == {sbom.PYTHON, *(component.name for component in sbom.COMPONENTS)}


def test_an_import_without_a_component_is_seen() -> None:
    source = "import os, one.auth\nfrom two.loader import Loader\nfrom . import x\nimport_module('three.four')"
    assert imported_by(source) == {"os", "one", "two", "three"}


def test_what_cyclonedx_asks_for_is_there(sbom: ModuleType) -> None:
    bill = sbom.document()
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert {entry["name"] for entry in bill["components"]} == set(sbom.requirements())
    references = [entry["bom-ref"] for entry in bill["components"]]
    assert len(set(references)) == len(references)
    assert bill["dependencies"][0]["dependsOn"] == references
    assert bill["metadata"]["component"]["properties"][0]["value"] == SUPPORTED_UNTIL
    versions = {entry["name"]: entry.get("version") for entry in bill["components"]}
    assert all(version for name, version in versions.items() if name != "tomli")


def test_a_requirement_without_a_row_is_refused(sbom: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "requirements", lambda: {"python": ">=3.10", "requests": ">=2"})
    with pytest.raises(SystemExit, match="no row for the requirement requests"):
        sbom.document()


def test_two_builds_are_equal_byte_for_byte(tmp_path: Path) -> None:
    made = []
    for number, (zone, seed) in enumerate((("UTC", "1"), ("Asia/Tokyo", "2"))):
        file = tmp_path / str(number) / "sbom.json"
        environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": "1780000000"}
        subprocess.run([sys.executable, str(SCRIPT), str(file)], check=True, env=environment, capture_output=True)
        made.append(file.read_bytes())
    assert made[0] == made[1]
    assert json.loads(made[0])["metadata"]["timestamp"] == "2026-05-28T20:26:40Z"
