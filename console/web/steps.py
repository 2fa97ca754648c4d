"""The steps of a ticket's page: the form's fields to a call of the desk. The desk itself checks rights and states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from console.i18n import mark as _
from errors import UsageError
from tickets.clocks import SHANGHAI
from tickets.errors import NothingChosenError, TransitionError
from tickets.service import Desk
from tickets.states import Decision, Measure
from tickets.steps.bulk import BulkResult

Form = Mapping[str, str]
MOST: Final = 1_000
"""Tickets that a field may name."""
ALL: Final = "all"
"""A group of whoever decides without a page of its tickets (programs); in any other case its numbers are named."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A step as a form asks for it."""

    desk: Desk
    ticket: str
    form: Form


Step = Callable[[Asked], object]


def moment(text: str) -> datetime | None:
    """A field of date and time, in Shanghai's time.

    Raises:
        UsageError: it is none.
    """
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is no date and time.", cure="Write 2026-11-24T08:00.") from error
    return found if found.tzinfo else found.replace(tzinfo=SHANGHAI)


def needed_moment(text: str) -> datetime:
    """The same, where one must be given."""
    found = moment(text)
    if found is None:
        raise UsageError("A time is missing.", cure="Give it.")
    return found


def decision(text: str) -> Decision:
    """A decision of the form.

    Raises:
        UsageError: none was chosen.
    """
    try:
        return Decision(text)
    except ValueError as error:
        raise UsageError("A decision is missing.", cure="Choose one of the three.") from error


def measure(text: str) -> Measure:
    """A measure of the form.

    Raises:
        UsageError: none was chosen.
    """
    try:
        return Measure(text)
    except ValueError as error:
        raise UsageError("A measure is missing.", cure="Choose one.") from error


def count(text: str) -> int:
    """A count of the form.

    Raises:
        UsageError: it is none.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise UsageError(f"{text[:40]!r} is no count.", cure="Write digits only.")
    return int(text)


def numbers(text: str) -> list[str]:
    """The numbers in a field.

    Raises:
        UsageError: too many.
    """
    found = text.replace(",", " ").replace("，", " ").replace("、", " ").upper().split()
    if len(found) > MOST:
        raise UsageError(f"More than {MOST:,} tickets are named.", cure="Take them in parts.")
    return found


def _others(asked: Asked) -> list[str]:
    others = numbers(asked.form["other"])
    if not others:
        raise NothingChosenError("No other ticket is named.", cure="Nothing was changed; write its number.")
    return others


def _link(asked: Asked) -> None:
    for other in _others(asked):
        asked.desk.link(asked.ticket, other)


def _unlink(asked: Asked) -> None:
    for other in _others(asked):
        asked.desk.unlink(asked.ticket, other)


def _confirm(asked: Asked) -> object:
    found = decision(asked.form["decision"])
    if asked.form["group"]:
        return _decide_group(asked, found)
    return asked.desk.confirm(asked.ticket, found, asked.form["reason"])


def _decide_group(asked: Asked, found: Decision | None) -> BulkResult:
    """One decision for a ticket and those of its group that the form names, as they were shown; or for ``ALL``.

    Raises:
        TransitionError: it serves none of them, the ticket itself included.
    """
    members = None if asked.form["group"] == ALL else [asked.ticket, *numbers(asked.form["group"])]
    result = asked.desk.decide_group(asked.ticket, found, asked.form["reason"], members=members)
    if not result.done:
        number, why = result.refused[0]
        raise TransitionError(f"None of the group was decided: {number}: {why}.", cure="Decide them one by one.")
    return result


def _dismiss(asked: Asked) -> object:
    if asked.form["group"]:
        return _decide_group(asked, None)
    return asked.desk.dismiss(asked.ticket, asked.form["reason"])


STEPS: Final[dict[str, tuple[Step, str]]] = {
    "claim": (lambda a: a.desk.claim(a.ticket), _("已领取。")),
    "take-over": (lambda a: a.desk.take_over(a.ticket, a.form["reason"]), _("已接手，原领取人与时间已记入时间线。")),
    "release": (lambda a: a.desk.release(a.ticket, a.form["reason"]), _("已退回队列。")),
    "assign": (lambda a: a.desk.assign(a.ticket, f"user:{a.form['assignee']}", a.form["reason"]), _("已指派。")),
    "confirm": (_confirm, _("已定性。")),
    "dismiss": (_dismiss, _("已排除。")),
    "dispose": (
        lambda a: a.desk.dispose(
            a.ticket, measure(a.form["measure"]), reason=a.form["reason"], effective_at=moment(a.form["effective_at"])
        ),
        _("处置已记录，证据已封存。"),
    ),
    "order": (lambda a: a.desk.order(a.ticket, measure(a.form["measure"]), a.form["reason"]), _("已下达处置指令。")),
    "order-done": (
        lambda a: a.desk.acknowledge_order(
            a.form["order"], effective_at=moment(a.form["effective_at"]), reference=a.form["reference"]
        ),
        _("平台已执行，生效时间已记录。"),
    ),
    "order-refused": (lambda a: a.desk.refuse_order(a.form["order"], a.form["reason"]), _("已记录平台未执行。")),
    "effective": (
        lambda a: a.desk.set_effective(a.ticket, needed_moment(a.form["effective_at"]), a.form["reason"]),
        _("生效时间已提交。"),
    ),
    "approve": (lambda a: a.desk.approve(a.form["approval"], a.form["reason"]), _("已复核同意。")),
    "refuse": (lambda a: a.desk.refuse(a.form["approval"], a.form["reason"]), _("已复核不同意。")),
    "report": (lambda a: a.desk.report(a.ticket, a.form["receipt"]), _("已记录上报，时限停止。")),
    "police": (lambda a: a.desk.report_to_police(a.ticket, a.form["receipt"]), _("已记录报公安机关。")),
    "corrected": (lambda a: a.desk.correct_outside(a.ticket, a.form["receipt"]), _("已登记更正。")),
    "reject": (lambda a: a.desk.reject(a.ticket, a.form["reason"]), _("已记录退回，原到期日不变。")),
    "acknowledge": (lambda a: a.desk.acknowledge(a.ticket, a.form["receipt"]), _("回执已登记。")),
    "close": (lambda a: a.desk.close(a.ticket), _("已办结。")),
    "appeal": (lambda a: a.desk.appeal(a.ticket, a.form["reason"]), _("申诉已登记。")),
    "appeal-reject": (lambda a: a.desk.reject_appeal(a.ticket, a.form["reason"]), _("申诉不成立，处置维持。")),
    "reverse": (lambda a: a.desk.reverse(a.ticket, a.form["reason"]), _("处置已撤销。")),
    "note": (lambda a: a.desk.note(a.ticket, a.form["reason"]), _("备注已保存。")),
    "reach": (lambda a: a.desk.set_reach(a.ticket, count(a.form["reach"])), _("传播量已更新。")),
    "link": (_link, _("已关联。")),
    "unlink": (_unlink, _("已取消关联。")),
    "merge": (lambda a: a.desk.merge(numbers(a.form["other"]), a.ticket, a.form["reason"]), _("已并案。")),
}
"""Step of the address → call, and what is said when it is done."""

JUDGING: Final = frozenset({"confirm", "dismiss", "dispose", "close", "reverse", "merge"})
"""Steps that are refused when the ticket changed since its page was opened."""
