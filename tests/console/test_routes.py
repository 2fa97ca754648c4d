"""Every route there is, walked: none is open that should not be, none answers without rights."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute

from console.api.app import create_api
from console.api.gate import Needs
from console.web.pages import ROUTERS
from console.web.visit import Gate

PUBLIC_PAGES = {"/sign-in", "/sign-in/sso", "/sign-in/sso/back", "/setup", "/language"}
PUBLIC_CALLS = {"/health", "/ready"}
PAGES = [(m, r) for router in ROUTERS for r in router.routes if isinstance(r, APIRoute) for m in sorted(r.methods)]


def calls() -> list[tuple[str, str]]:
    found = create_api().openapi()["paths"]
    return [(m.upper(), path.removeprefix("/v1")) for path, item in found.items() for m in item]


def filled(path: str) -> str:
    values = {"step": "note", "form": "json", "file_id": "1"}
    return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], "X1"), path)


def gate_of(route: APIRoute):
    found = [d.call for d in route.dependant.dependencies if isinstance(d.call, Gate | Needs)]
    assert len(found) == 1, f"{route.path} has {len(found)} gates"
    return found[0]


@pytest.mark.parametrize(("method", "route"), PAGES, ids=lambda v: v if isinstance(v, str) else v.path)
def test_every_page_stands_behind_one_gate(method: str, route: APIRoute) -> None:
    assert gate_of(route).public == (route.path in PUBLIC_PAGES)


@pytest.mark.parametrize(("method", "route"), PAGES, ids=lambda v: v if isinstance(v, str) else v.path)
def test_no_page_answers_without_a_session_or_without_rights(console, method: str, route: APIRoute) -> None:
    gate = gate_of(route)
    if gate.public:
        return
    path = filled(route.path)
    stranger = console.visitor()
    answer = stranger.get(path) if method == "GET" else stranger.post(path, token="x")
    assert answer.status_code == 401, path
    if gate.needs:
        console.poor = getattr(console, "poor", None) or console.person("nobody")
        person = console.poor
        answer = person.get(path) if method == "GET" else person.post(path)
        assert answer.status_code == 403, path


@pytest.mark.parametrize(
    ("method", "route"), [x for x in PAGES if x[0] == "POST"], ids=lambda v: v if isinstance(v, str) else v.path
)
def test_no_form_is_taken_without_its_token(console, method: str, route: APIRoute) -> None:
    stranger = console.visitor()
    stranger.get("/sign-in")
    answer = stranger.post(filled(route.path), token="0" * 64)
    assert answer.status_code in ({403} if gate_of(route).public else {401})


@pytest.mark.parametrize(("method", "path"), calls())
def test_no_call_answers_without_a_token_or_without_rights(console, method: str, path: str) -> None:
    target = filled(path)
    with console.api(None) as stranger:
        answer = stranger.request(method, target, json={} if method == "POST" else None)
        assert answer.status_code == (200 if path in PUBLIC_CALLS else 401), path
        wrong = stranger.request(method, target, headers={"Authorization": "Bearer lct_" + "x" * 43})
        assert wrong.status_code == (200 if path in PUBLIC_CALLS else 401), path
    if path in PUBLIC_CALLS | {"/me"}:
        return
    if path.split("/")[1] == "disclosure":
        return  # opened by keys to disclosures alone; tests/console/test_disclosure_api.py
    console.rights = getattr(console, "rights", None) or console.token("reviewer", permissions=["overview.read"])
    with console.api(None) as poor:
        poor.headers["Authorization"] = f"Bearer {console.rights}"
        answer = poor.request(method, target, json={} if method == "POST" else None)
        expected = 200 if path in {"/overview", "/coverage"} else 403
        assert answer.status_code == expected, path


def test_the_walk_saw_everything() -> None:
    assert len(PAGES) > 50
    assert len(calls()) > 25
