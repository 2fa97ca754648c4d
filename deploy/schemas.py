"""Schemas for kubeconform, of two packages: ``python deploy/schemas.py OUT KUBERNETES_VALIDATE_WHEEL OPERATOR_JAR``.

Kubernetes' own come from PyPI's kubernetes-validate, that of FlinkDeployment from the Flink operator's API jar (its
custom resource definition). Each file written holds all that it refers to, and an unknown field is an error.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import yaml

RELEASES: Final = ("1.28.0", "1.34.0")
"""Kubernetes releases compared with: an old one that clusters still run, and a new one."""
OPERATOR: Final = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"
DEFINITIONS: Final = "_definitions.json"


def main(out: Path, wheel: Path, jar: Path) -> None:
    """Write ``OUT/RELEASE/KIND-GROUP-VERSION.json``."""
    flink = _operator(jar)
    with zipfile.ZipFile(wheel) as package:
        names = package.namelist()
        for release in RELEASES:
            place = f"/v{release}-local-strict/"
            files = {name.rpartition("/")[2]: name for name in names if place in name}
            definitions = _inside(json.loads(package.read(files[DEFINITIONS]))["$defs"])
            folder = out / release
            folder.mkdir(parents=True, exist_ok=True)
            for name, path in files.items():
                schema = json.loads(package.read(path))
                if "kind" in schema.get("properties", {}):
                    made = _inside(schema)
                    made["definitions"] = _needed(made, definitions)
                    (folder / name).write_text(json.dumps(made), encoding="utf-8")
            (folder / "flinkdeployment-flink-v1beta1.json").write_text(json.dumps(flink), encoding="utf-8")


def _needed(schema: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions that a schema refers to, and those that these do."""
    found: dict[str, Any] = {}
    open_ends = [schema]
    while open_ends:
        for name in re.findall(r'"#/definitions/([^"]+)"', json.dumps(open_ends.pop())):
            if name not in found:
                found[name] = definitions[name]
                open_ends.append(definitions[name])
    return found


def _inside(value: Any) -> Any:
    """The same schema, what it refers to in the file of definitions standing inside."""
    if isinstance(value, dict):
        return {
            key: "#/definitions/" + item.rpartition("/")[2]
            if key == "$ref" and isinstance(item, str)
            else _inside(item)
            for key, item in value.items()
        }
    return [_inside(item) for item in value] if isinstance(value, list) else value


def _operator(jar: Path) -> Any:
    with zipfile.ZipFile(jar) as package:
        definition = yaml.load(package.read(OPERATOR), yaml.CSafeLoader)
    (version,) = [item for item in definition["spec"]["versions"] if item["name"] == "v1beta1"]
    schema = _closed(version["schema"]["openAPIV3Schema"])
    # What every object of Kubernetes has, and a definition leaves out.
    schema["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    return schema


def _closed(schema: Any) -> Any:
    """A definition's schema as JSON Schema: objects with named fields take no others, unless they say so."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: _closed(field) for name, field in value.items()} if key == "properties" else _closed(value)
        for key, value in schema.items()
        if not key.startswith("x-")
    }
    if "properties" in made and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["type"] = ["integer", "string"]
    return made


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
