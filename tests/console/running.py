"""A console that really runs: a store, an account of each role, uvicorn on loopback, clients for it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import sqlalchemy as sa
import uvicorn

from console.access.accounts import account_by
from console.access.limits import Limiter, Rate
from console.access.roles import Role
from console.access.tokens import issue
from console.migrate import prepare_tables as prepare_console
from console.parts import Parts
from console.settings import ConsoleSettings
from console.web.app import create_app
from detectors.default import PACKS
from detectors.keywords.layers import Layers
from liucun.store import prepare_tables
from retention.catalogue.tables import events
from retention.store import Store, StoreSettings
from tests.console.conftest import PASSWORD, make_account
from tickets.actors import Actor
from tickets.calendar.reading import shipped_calendar
from tickets.queue import get_ticket
from tickets.service import Desk
from tickets.settings import CompanySettings
from tickets.states import Channel
from tickets.steps.opening import ManualFinding

ROLES = {
    "reviewer": (Role.REVIEWER,),
    "reviewer2": (Role.REVIEWER,),
    "head": (Role.COMPLIANCE_HEAD,),
    "auditor": (Role.AUDITOR,),
    "sysadmin": (Role.SYSTEM_ADMIN,),
    "secadmin": (Role.SECURITY_ADMIN,),
    "nobody": (),
}
TEXT = "加微信领取彩金,联系人:王小明 13812345678,地址:浙江省杭州市西湖区文三路100号"


class Unlimited(Limiter):
    """Lets everything through: tests ask faster than people."""

    def take(self, rate: Rate, what: str, who: str) -> None:
        """Count nothing."""


@dataclass
class Running:
    """A console at work."""

    url: str
    parts: Parts
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self, path: str = "", **more) -> httpx.Client:
        """A client that is closed with the console."""
        made = httpx.Client(base_url=self.url + path, timeout=30, **more)
        self.clients.append(made)
        return made

    def visitor(self) -> Visitor:
        """A browser that nobody signed in with."""
        return Visitor(self.client())

    def person(self, name: str) -> Visitor:
        """A browser with somebody signed in."""
        visitor = self.visitor()
        answer = visitor.post("/sign-in", name=name, password=PASSWORD)
        assert answer.status_code == 303, answer.text
        return visitor

    def token(self, name: str, **more) -> str:
        """A fresh API token of somebody."""
        with self.parts.catalogue.read() as connection:
            account = account_by(connection, name=name)
        return issue(self.parts.catalogue, account, name="test", days=1, **more)

    def api(self, name: str | None) -> httpx.Client:
        """A program with a token of somebody."""
        headers = {"Authorization": f"Bearer {self.token(name)}"} if name else {}
        return self.client("/v1", headers=headers)

    def open_ticket(self, text: str = TEXT, **more) -> str:
        """A fresh ticket from a complaint."""
        parts = self.parts
        actor = Actor.of("system:test")
        desk = Desk(parts.catalogue, parts.bodies, shipped_calendar(), actor, archive=parts.archive)
        given = {"category": "gambling", "severity": 3, "user_id": "u00012345", **more}
        return desk.open_manual(ManualFinding(channel=Channel.COMPLAINT, text=text, **given)).ticket_id


class Visitor:
    """A browser without script: follows no redirects, fills the form token in from the page before."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.token: str | None = None

    def get(self, path: str, **more) -> httpx.Response:
        """Open a page."""
        answer = self.client.get(path, **more)
        if found := re.search(r'name="token" value="([0-9a-f]{64})"', answer.text):
            self.token = found[1]
        return answer

    def post(self, path: str, *, files=None, headers=None, token: str | None = None, **fields) -> httpx.Response:
        """Send a form."""
        if token is None and self.token is None:
            self.get("/sign-in" if path.startswith(("/sign-in", "/setup", "/language")) else "/me")
        data = {"token": token if token is not None else self.token, **fields}
        answer = self.client.post(path, data=data, files=files, headers=headers)
        if answer.status_code == 303 and path.startswith(("/sign-in", "/sign-out", "/me/password")):
            self.token = None
        return answer


def make_parts(root: Path, *, settings: StoreSettings | None = None, **more) -> Parts:
    """An open store with every room's tables and an account of each role."""
    settings = settings or StoreSettings()
    Store.create(root, settings, "a passphrase for tests")
    store = Store.open(root, settings, "a passphrase for tests")
    prepare_tables(store.catalogue)
    prepare_console(store.catalogue)
    for name, roles in ROLES.items():
        make_account(store.catalogue, name, *roles)
    parts = Parts(
        catalogue=store.catalogue,
        archive=store.archive,
        objects=store.objects,
        period_keys=store.period_keys,
        bodies=store.bodies,
        root=root,
        provider=store.provider.description,
        calendar=shipped_calendar,
        company=CompanySettings(name="示例公司", licence_number="B2-20200001", reporter="张三", phone="010-12345678"),
        layers=Layers((PACKS,)),
        log=store.log,
    )
    return replace(parts, **more)


@contextmanager
def running(
    parts: Parts, *, limiter: Limiter | None = None, settings: ConsoleSettings | None = None
) -> Iterator[Running]:
    """Serve until the end of the block."""
    if settings is not None:
        parts = replace(parts, settings=settings)
    app = create_app(parts, limiter=limiter or Unlimited())
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False, server_header=False)
    server = uvicorn.Server(config)
    opened = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    port = opened.getsockname()[1]
    for _ in range(200):
        if server.started:
            break
        time.sleep(0.02)
    found = Running(f"http://127.0.0.1:{port}", parts)
    try:
        yield found
    finally:
        for client in found.clients:
            client.close()
        app.state.audits.wait(20)
        server.should_exit = True
        thread.join(20)
        opened.close()


def state(console, number: str):
    """A ticket as the catalogue has it."""
    with console.parts.catalogue.read() as connection:
        return get_ticket(connection, number)


def trail(console, subject: str) -> list[tuple[str, str]]:
    """Kind and actor of every event of a subject, in order."""
    with console.parts.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(events.c.kind, events.c.actor).where(events.c.subject == subject).order_by(events.c.id)
        )
        return [tuple(row) for row in rows]
