"""The files of deploy/ under the real tools; each is skipped, saying so, where its tool is not (deploy/check.sh)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from liucun.settings import read_settings_file

DEPLOY = Path(__file__).parents[2] / "deploy"


def tool(name: str, *words: object, ok: bool = True) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed; deploy/check.sh installs it")
    done = subprocess.run([name, *map(str, words)], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_alert_rules_are_valid_and_fire() -> None:
    tool("promtool", "check", "rules", DEPLOY / "monitoring/alerts.yml")
    tool("promtool", "test", "rules", DEPLOY / "monitoring/alerts.test.yml")
    tool("promtool", "check", "config", DEPLOY / "monitoring/prometheus.yml")


@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").glob("*.service")), ids=lambda unit: unit.name)
def test_units_are_hardened(unit: Path) -> None:
    said = tool("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit)
    assert "OK" in said


def test_the_dashboard_has_panels_with_queries_and_no_data_source_of_its_own() -> None:
    board = json.loads((DEPLOY / "monitoring/dashboard.json").read_text(encoding="utf-8"))
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 15
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["expr"] for target in panel["targets"])
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_every_documented_alert_is_a_rule_and_the_other_way_round() -> None:
    rules = yaml.safe_load((DEPLOY / "monitoring/alerts.yml").read_text(encoding="utf-8"))
    named = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    for page in ("operations.md", "operations.zh-CN.md"):
        text = (DEPLOY.parent / "docs" / page).read_text(encoding="utf-8")
        assert [name for name in sorted(named) if f"`{name}`" not in text] == []


def test_the_chart_is_safe_by_default() -> None:
    tool("helm", "lint", "--strict", DEPLOY / "helm/liucun")
    made = [item for item in yaml.safe_load_all(tool("helm", "template", "t", DEPLOY / "helm/liucun")) if item]
    assert {item["kind"] for item in made} == {
        "Deployment",
        "FlinkDeployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
    }
    for item in made:
        if item["kind"] != "Deployment":
            continue
        pod = item["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert "readinessProbe" in container
        assert container["resources"]["limits"]["memory"]
    (flink,) = [item for item in made if item["kind"] == "FlinkDeployment"]
    main, workers = flink["spec"]["taskManager"]["podTemplate"]["spec"]["containers"]
    assert main["name"] == "flink-main-container"
    assert workers["command"][2] == "pipelines.runners.worker_pool"
    assert "--host" not in workers["command"], "the pool listens on loopback only"


@pytest.mark.parametrize("release", ["1.28.0", "1.34.0"])
def test_the_chart_fits_the_schemas_of_kubernetes_and_of_the_operator(release: str, tmp_path: Path) -> None:
    schemas = os.environ.get("LIUCUN_KUBE_SCHEMAS")
    if not schemas:
        pytest.skip("there are no schemas; deploy/check.sh makes them")
    made = tmp_path / "made.yaml"
    made.write_text(tool("helm", "template", "t", DEPLOY / "helm/liucun"), encoding="utf-8")
    where = Path(schemas) / release / "{{ .ResourceKind }}{{ .KindSuffix }}.json"
    words = ("-strict", "-summary", "-schema-location", where)
    said = tool("kubeconform", *words, made)
    assert "Invalid: 0, Errors: 0, Skipped: 0" in said
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(made.read_text(encoding="utf-8").replace("jobManager:", "jobManger:", 1), encoding="utf-8")
    assert "jobManger" in tool("kubeconform", *words, wrong, ok=False)


def composed(tmp_path: Path) -> dict[str, Any]:
    """The stack as Docker Compose understands it, its secrets made."""
    shutil.copytree(
        DEPLOY / "compose", tmp_path / "deploy" / "compose", ignore=shutil.ignore_patterns(".env", "secrets")
    )
    subprocess.run(["bash", tmp_path / "deploy/compose/prepare.sh"], check=True, capture_output=True)
    made = tool("docker-compose", "-f", tmp_path / "deploy/compose/compose.yaml", "config")
    found: dict[str, Any] = yaml.safe_load(made)
    return found


def test_the_stack_is_closed_pinned_and_lean(tmp_path: Path) -> None:
    services = composed(tmp_path)["services"]
    assert {"kafka", "postgres", "s3", "elasticsearch", "jobmanager", "taskmanager", "workers", "run"} < set(services)
    for name, service in services.items():
        assert ":" in service["image"], f"{name} has no version"
        assert not service["image"].endswith(":latest"), name
        for port in service.get("ports", ()):
            assert port["host_ip"] == "127.0.0.1", f"{name} is open to the network"
        if service["image"].startswith("liucun:"):
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
        for needed in service.get("depends_on", {}):
            assert needed in services
    assert services["taskmanager"]["network_mode"] == services["workers"]["network_mode"] == "service:pod"


def test_the_stack_s_secrets_are_made_once_and_asked_for(tmp_path: Path) -> None:
    composed(tmp_path)
    folder = tmp_path / "deploy" / "compose"
    first = (folder / ".env").read_text(), (folder / "secrets" / "passphrase").read_text()
    subprocess.run(["bash", folder / "prepare.sh"], check=True, capture_output=True)
    assert ((folder / ".env").read_text(), (folder / "secrets" / "passphrase").read_text()) == first
    (folder / ".env").unlink()
    assert "prepare.sh" in tool("docker-compose", "-f", folder / "compose.yaml", "config", ok=False)


def test_the_stack_s_settings_are_settings() -> None:
    read_settings_file(DEPLOY / "compose" / "liucun.toml")
