"""Duties beside tickets 义务: incidents, assessments, filings, renewal, annual report, with evidence and receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

import sqlalchemy as sa

from errors import UsageError
from retention.catalogue.tables import timestamp
from retention.crypto.bodies import DUTIES as TITLES
from tickets.actors import Right
from tickets.bodies import Bodies, month_of
from tickets.clocks import ANNUAL_REPORT, DUTIES, LICENCE_SHOWN, RENEWAL, SHANGHAI, Clock, deadline, given_time
from tickets.errors import TicketChangedError, TicketUnknownError, TransitionError
from tickets.evidence import StoredFile, add_evidence, list_evidence, seal_file
from tickets.settings import CompanySettings
from tickets.steps.base import Steps
from tickets.tables_sending import duties as table

CLOCKS: Final = {clock.name: clock for clock in DUTIES}
NAMES: Final = {
    "incident": "网络安全事件报告",
    "incident_summary": "网络安全事件总结",
    "data_leak": "个人信息泄露通知",
    "assessment": "新技术新业务评估报告",
    "change_filing": "变更备案",
    "renewal": "许可证续期",
    "annual_report": "年报",
    "complaint_reply": "投诉答复",
    "security_test": "等级测评与风险评估",
    "licence_shown": "许可证编号展示核对",
}
_MAX_TITLE: Final = 500


@dataclass(frozen=True, slots=True)
class Duty:
    """A duty: ``clock`` names its rule; ``opens_at`` is when a window begins; ``files`` its evidence."""

    duty_id: str
    clock: str
    title: str
    started_at: str
    opens_at: str | None
    due_at: str
    due_on: str
    state: str
    created_at: str
    created_by: str
    completed_at: str | None
    completed_by: str | None
    receipt: str | None
    version: int
    texts_gone: str | None = None
    """The purge that destroyed title and files; kind, times, receipt and digests stay."""
    files: tuple[StoredFile, ...] = ()

    @property
    def overdue(self) -> bool:
        """Whether its time ran out before it was done."""
        return (self.completed_at or timestamp()) > self.due_at


def list_duties(
    connection: sa.Connection, bodies: Bodies, *, state: str | None = "open", limit: int | None = 200
) -> list[Duty]:
    """Duties, the next due first; ``state`` is open or done, None for both; all of them without a ``limit``."""
    chosen = sa.select(table).order_by(table.c.state.desc(), table.c.due_at, table.c.duty_id).limit(limit)
    if state is not None:
        chosen = chosen.where(table.c.state == state)
    rows = connection.execute(chosen).all()
    files = list_evidence(connection, [f"duty:{row.duty_id}" for row in rows])
    return [_duty(bodies, row, files) for row in rows]


def get_duty(connection: sa.Connection, bodies: Bodies, duty_id: str) -> Duty:
    """One duty.

    Raises:
        TicketUnknownError: there is none of that number.
    """
    row = connection.execute(sa.select(table).where(table.c.duty_id == duty_id)).one_or_none()
    if row is None:
        raise TicketUnknownError(f"There is no duty {duty_id!r}.", cure="`liucun duties list --all` shows them.")
    return _duty(bodies, row, list_evidence(connection, [f"duty:{duty_id}"]))


def clock_named(name: str) -> Clock:
    """The clock of a kind of duty.

    Raises:
        UsageError: there is no such kind.
    """
    clock = CLOCKS.get(name)
    if clock is None:
        raise UsageError(f"There is no duty of the kind {name!r}.", cure=f"The kinds are {', '.join(CLOCKS)}.")
    return clock


class DutyBook(Steps):
    """The register of duties, kept by those who may."""

    def add(self, kind: str, title: str, start: datetime) -> Duty:
        """Enter a duty that ``start`` (aware) set going; its deadline follows from the kind's clock.

        A renewal starts from the day of expiry and counts backward.

        Raises:
            UsageError: there is no such kind, the title is missing or too long, or ``start`` lies beyond the calendar.
        """
        self.who.require(Right.DUTIES_WORK)
        return self._add(clock_named(kind), title, given_time(start), self._new_id("Y"))

    def evidence(self, duty_id: str, name: str, content: bytes) -> StoredFile:
        """Add a file as evidence, sealed; its digests stand in the event."""
        self.who.require(Right.DUTIES_WORK)
        with self.catalogue.read() as connection:
            before = self._with_texts(connection, duty_id)
        # Under the duty's own key, so that both go together.
        sealed = seal_file(self.bodies, f"duty:{duty_id}", name, content, under=before.text_key)
        with self.catalogue.write(row_locks=True) as connection:
            now = self._with_texts(connection, duty_id, lock=True)
            if now.text_key != before.text_key:
                raise TicketChangedError(f"The duty {duty_id} was sealed anew meanwhile.", cure="Add the file again.")
            # Whoever seals it anew meanwhile does not see the file: the row tells them that there is one more.
            connection.execute(table.update().where(table.c.duty_id == duty_id).values(version=now.version + 1))
            number = add_evidence(connection, sealed, self.who.name)
            said = {"file": number, "sha256": sealed.sha256, "sm3": sealed.sm3, "bytes": sealed.size}
            self._event(connection, "duty.evidence_added", f"duty:{duty_id}", said)
            return next(file for file in list_evidence(connection, [f"duty:{duty_id}"]) if file.id == number)

    @staticmethod
    def _with_texts(connection: sa.Connection, duty_id: str, *, lock: bool = False) -> sa.Row[Any]:
        chosen = sa.select(table).where(table.c.duty_id == duty_id)
        row = connection.execute(chosen.with_for_update() if lock else chosen).one_or_none()
        if row is None:
            raise TicketUnknownError(f"There is no duty {duty_id!r}.", cure="`liucun duties list --all` shows them.")
        if row.texts_gone is not None:
            raise TransitionError(
                f"The texts of the duty {duty_id} were destroyed by the purge {row.texts_gone}.",
                cure="Enter another duty.",
            )
        return row

    def complete(self, duty_id: str, receipt: str) -> Duty:
        """Close a duty with the recipient's receipt.

        Raises:
            TransitionError: it is done already.
            UsageError: the receipt is missing.
        """
        self.who.require(Right.DUTIES_WORK)
        self._require(receipt, "receipt")
        with self.catalogue.write(row_locks=True) as connection:
            duty = get_duty(connection, self.bodies, duty_id)
            if duty.state != "open":
                raise TransitionError(
                    f"The duty {duty_id} was completed by {duty.completed_by} at {duty.completed_at}.",
                    cure="Nothing is to be done.",
                )
            values = {"state": "done", "completed_at": timestamp(), "completed_by": self.who.name, "receipt": receipt}
            same = sa.and_(table.c.duty_id == duty_id, table.c.version == duty.version)
            if connection.execute(table.update().where(same).values(**values, version=duty.version + 1)).rowcount != 1:
                raise TicketChangedError(f"Somebody else changed the duty {duty_id}.", cure="Look at it, then repeat.")
            said = {"receipt": receipt, "late": values["completed_at"] > duty.due_at, "files": len(duty.files)}
            self._event(connection, "duty.completed", f"duty:{duty_id}", said)
            return get_duty(connection, self.bodies, duty_id)

    def standing(self, company: CompanySettings, today: date) -> list[Duty]:
        """Enter what falls due by itself, once: this year's annual report, the renewal of the licence, and this
        quarter's look at whether its number is shown."""
        self.who.require(Right.DUTIES_WORK)
        wanted = [(ANNUAL_REPORT, f"YANNUAL{today.year}", date(today.year, 1, 1), f"{today.year} 年报")]
        if company.licence_expires_on is not None:
            expiry = company.licence_expires_on
            number = f"YRENEWAL{expiry:%Y%m%d}"
            wanted.append((RENEWAL, number, expiry, f"许可证 {company.licence_number or ''} 于 {expiry} 到期"))
        if company.licence_number:
            quarter = (today.month - 1) // 3
            title = f"{today.year} 年第 {quarter + 1} 季度:网页与广告上的许可证编号 {company.licence_number}"
            begins = date(today.year, 3 * quarter + 1, 1)
            wanted.append((LICENCE_SHOWN, f"YSHOWN{today.year}Q{quarter + 1}", begins, title))
        added: list[Duty] = []
        for clock, number, day, title in wanted:
            with self.catalogue.read() as connection:
                known = connection.execute(sa.select(table.c.duty_id).where(table.c.duty_id == number)).first()
            if known is None:
                start = datetime.combine(day, time(), SHANGHAI)
                added.append(self._add(clock, title, start, number))
        return added

    def _add(self, clock: Clock, title: str, start: datetime, number: str) -> Duty:
        if not title.strip() or len(title) > _MAX_TITLE:
            raise UsageError(f"A title of at most {_MAX_TITLE} characters is needed.", cure="Say what it is about.")
        due = deadline(clock, start, self.calendar)
        text_key = self.bodies.text_key(month_of(timestamp()), TITLES)
        sealed = self.bodies.seal(title.encode("utf-8", "replace"), duty_context(number), under=text_key)
        values = {
            "duty_id": number,
            "clock": clock.name,
            "title": sealed,
            "started_at": timestamp(start),
            "opens_at": timestamp(due.opens) if due.opens else None,
            "due_at": timestamp(due.due),
            "due_on": due.due_on.isoformat(),
            "state": "open",
            "created_at": timestamp(),
            "created_by": self.who.name,
            "version": 1,
            "text_key": text_key,
        }
        with self.catalogue.write(row_locks=True) as connection:
            connection.execute(table.insert().values(**values))
            said = {name: values[name] for name in ("clock", "started_at", "opens_at", "due_at", "due_on")}
            self._event(connection, "duty.added", f"duty:{number}", {**said, "basis": clock.basis})
            return get_duty(connection, self.bodies, number)


def overdue(found: Sequence[Duty], now: datetime | None = None) -> list[Duty]:
    """Of open duties, those whose time ran out."""
    at = timestamp(now or datetime.now(UTC))
    return [duty for duty in found if duty.state == "open" and duty.due_at < at]


def _duty(bodies: Bodies, row: Any, files: Sequence[StoredFile]) -> Duty:
    values = row._asdict()
    del values["text_key"]
    gone = row.texts_gone is not None
    values["title"] = (
        f"已销毁 destroyed: {row.texts_gone}" if gone else bodies.open(row.title, duty_context(row.duty_id)).decode()
    )
    return Duty(**values, files=tuple(file for file in files if file.subject == f"duty:{row.duty_id}"))


def duty_context(duty_id: str) -> bytes:
    """What a duty's title is bound to."""
    return f"duty\x00{duty_id}".encode()
