"""The files of deploy/ under the real tools; each is skipped, saying so, where its tool is not (deploy/check.sh)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from packaging.utils import canonicalize_name

from console.parts import Parts
from console.serving import check_address
from console.settings import ConsoleSettings
from errors import SettingsError
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


def locked(file: str) -> dict[str, set[str]]:
    """Hashes by pinned requirement (``name==version``, with its condition) of a lock file."""
    found: dict[str, set[str]] = {}
    for line in (DEPLOY.parent / file).read_text(encoding="utf-8").splitlines():
        if line[:1].isalnum():
            last = found.setdefault(line.removesuffix("\\").strip(), set())
        elif "--hash=" in line:
            last.add(line.strip(" \\"))
    return found


def test_what_servers_install_is_locked_tested_and_no_more_than_it_takes() -> None:
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runs, all_ = locked("requirements-run.lock"), locked("requirements.lock")
    assert all(runs.values()), "everything has hashes"

    def names(pins: Iterable[str]) -> dict[str, str]:
        return {pin.split(";")[0].split("==")[0].strip(): pin.split(";")[0].strip() for pin in pins}

    ours, tested = names(runs), names(all_)
    assert {name: pin for name, pin in ours.items() if tested.get(name) != pin} == {}, "run `make lock`"

    def declared(requirements: Iterable[str]) -> set[str]:
        return {canonicalize_name(re.split(r"[^A-Za-z0-9._-]", one)[0]) for one in requirements}

    extras = project["optional-dependencies"]
    wanted = declared([*project["dependencies"], *extras["second-look"]])
    assert wanted - set(ours) == set()
    tools = declared(extras["dev"]) - wanted
    assert tools & set(ours) == set()
    dockerfile = (DEPLOY / "container" / "Dockerfile").read_text(encoding="utf-8")
    assert "-r requirements-run.lock" in dockerfile
    assert "fonts-noto-cjk" in dockerfile, "without a Chinese font no report can be printed"


def test_the_stack_s_settings_are_settings() -> None:
    read_settings_file(DEPLOY / "compose" / "liucun.toml")


def test_what_the_stack_starts_is_not_refused() -> None:
    """The console listens for the port that is published; the supervisor is no neighbour of the pool of workers."""
    settings = read_settings_file(DEPLOY / "compose" / "liucun.toml")
    services = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    words = services["console"]["command"]
    secure = str(settings.console.base_url).startswith("https://")
    parts = SimpleNamespace(settings=settings.console, secure=secure)
    check_address(cast("Parts", parts), words[words.index("--host") + 1])
    (published,) = services["console"]["ports"]
    assert published.startswith("127.0.0.1:"), "in the clear on loopback only"
    with pytest.raises(SettingsError, match="without https"):
        check_address(cast("Parts", SimpleNamespace(settings=ConsoleSettings(), secure=False)), "0.0.0.0")
    other = ConsoleSettings(base_url="http://liucun.example.cn")
    with pytest.raises(SettingsError, match="without https"):
        check_address(cast("Parts", SimpleNamespace(settings=other, secure=False)), "0.0.0.0")
    assert "network_mode" not in services["run"]
    assert settings.flink.workers.startswith("127.0.0.1:")
    assert not settings.flink.master.startswith(("127.", "localhost"))
