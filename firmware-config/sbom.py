"""The software bill of materials, CycloneDX 1.6 JSON: `python firmware-config/sbom.py FILE`. Called by `make sbom`.

What the agent is made of beside itself: the requirements of pyproject.toml, with the versions of this environment.
The same source in the same environment gives the same bytes: the time is that of the last commit (or
SOURCE_DATE_EPOCH), and the serial number follows from the content.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Component:
    """One requirement; the licence is the SPDX expression of its own documents."""

    name: str
    module: str
    licence: str
    supplier: str


COMPONENTS = (
    Component("click", "click", "BSD-3-Clause", "Pallets"),
    Component("paho-mqtt", "paho", "EPL-2.0 OR BSD-3-Clause", "Eclipse Foundation"),
    Component("pyroute2", "pyroute2", "GPL-2.0-or-later OR Apache-2.0", "Peter Saveliev"),
    Component("pyserial", "serial", "BSD-3-Clause", "Chris Liechti"),
    Component("tomli", "tomli", "MIT", "Taneli Hukkinen"),
)
PYTHON = "python"  # the standard library, the one requirement that is no distribution of PyPI


def requirements() -> dict[str, str]:
    """Name and allowed versions of each runtime requirement, as pyproject.toml says."""
    text = (PROJECT / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    python = re.search(r'^requires-python = "(.+)"', text, re.MULTILINE)
    if listed is None or python is None:
        raise SystemExit("pyproject.toml names no dependencies")
    words = re.findall(r'^\s*"([A-Za-z0-9_-]+)([^"]*)"', listed[1], re.MULTILINE)
    return {PYTHON: python[1], **dict(words)}


def own_version() -> str:
    return _constant("__version__")


def supported_until() -> str:
    return _constant("SUPPORTED_UNTIL")


def _constant(name: str) -> str:
    found = re.search(rf'^{name} = "([^"]+)"', (PROJECT / "agent" / "__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"agent/__init__.py names no {name}")
    return found[1]


def installed(name: str) -> str:
    """The version in this environment; empty where it is not there (tomli from Python 3.11 on)."""
    if name == PYTHON:
        return ".".join(map(str, sys.version_info[:3]))
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def written() -> str:
    """The time of the source, not of the build."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if not given:
        command = ["git", "-C", str(PROJECT), "log", "-1", "--format=%ct"]
        given = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return datetime.fromtimestamp(int(given), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _entry(name: str, required: str, more: dict[str, Any]) -> dict[str, Any]:
    version = installed(name)
    kind = "generic" if name == PYTHON else "pypi"
    reference = f"pkg:{kind}/{name}" + (f"@{version}" if version else "")
    return {
        "type": "platform" if name == PYTHON else "library",
        "bom-ref": reference,
        "name": name,
        **({"version": version} if version else {}),
        "purl": reference,
        **more,
        "properties": [{"name": "modem-agent:required", "value": required.strip()}],
    }


def document() -> dict[str, Any]:
    """The whole bill. Raises SystemExit that names a requirement without a row above."""
    known = {component.name: component for component in COMPONENTS}
    entries = []
    for name, required in sorted(requirements().items()):
        if name == PYTHON:
            entries.append(_entry(name, required, {"licenses": [{"expression": "Python-2.0"}]}))
        elif name in known:
            row = known[name]
            more = {"supplier": {"name": row.supplier}, "licenses": [{"expression": row.licence}]}
            entries.append(_entry(name, required, more))
        else:
            raise SystemExit(f"firmware-config/sbom.py: no row for the requirement {name}")
    own = f"pkg:pypi/modem-agent@{own_version()}"
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": written(),
            "component": {
                "type": "application", "bom-ref": own, "name": "modem-agent", "version": own_version(), "purl": own,
                "licenses": [{"expression": "Apache-2.0"}],
                "properties": [{"name": "modem-agent:supported-until", "value": supported_until()}],
            },
        },
        "components": entries,
        "dependencies": [
            {"ref": own, "dependsOn": [entry["bom-ref"] for entry in entries]},
            *({"ref": entry["bom-ref"], "dependsOn": []} for entry in entries),
        ],
    }  # fmt: skip
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", **bill}


def write(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document(), indent=2) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    print(sys.argv[1])
