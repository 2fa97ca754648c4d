"""The files of deploy/ under the real tools; each is skipped, saying so, where its tool is not (deploy/check.sh)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

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
