"""What became of a step on many tickets, said on the next page, where it can be taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from starlette.responses import Response

from console import labels
from console.i18n import mark as _
from console.web.render import person, say
from console.web.visit import Visit
from tickets.clocks import SHANGHAI
from tickets.steps.bulk import BulkResult
from tickets.steps.refusals import Refusal, Why

SHOWN: Final = 3
"""Reasons that are told, the most frequent first: the message travels in a cookie."""
REASONS: Final = {
    Why.UNKNOWN: _("没有这张工单"),
    Why.TAKEN: _("%(assignee)s 已于 %(at)s 领取"),
    Why.HELD: _("%(assignee)s 已于 %(at)s 领取，须先接手"),
    Why.ANOTHERS: _("属于 %(assignee)s"),
    Why.WAITS: _("正等待另一人复核"),
    Why.BELOW: _("默认定性为“%(decision)s”，低于默认须另一人复核"),
    Why.BLOCKED: _("系统已自动拦截，须逐张定性"),
    Why.SETTLED: _("状态为“%(state)s”，无须处理"),
    Why.STATE: _("状态为“%(state)s”，不能变为“%(wanted)s”"),
    Why.UNCONFIRMED: _("状态为“%(state)s”，只有已定性、待处置的工单可以处置"),
    Why.EARLY: _("内容的时间为 %(at)s，处置不能早于它"),
    Why.CHANGED: _("其间已被改动"),
    Why.NOT_OF_GROUP: _("已有定论，或不再属于同组文本"),
}


def say_many(visit: Visit, response: Response, result: BulkResult) -> None:
    """Say how many were done, and how many not for which reasons, each with one of its tickets."""
    text = say(visit, _("已处理 %(done)s 张工单。")) % {"done": len(result.done)}
    if result.refusals:
        text += " " + refused_text(visit, result)
    undo = result.token if result.done else None
    visit.say(response, text, tone="warn" if result.refusals else "good", undo=undo)


def reasons_of(visit: Visit, result: BulkResult) -> list[tuple[str, list[str]]]:
    """Why tickets were left out, in the visit's language, the most frequent first, with their numbers."""
    reasons: dict[str, list[str]] = {}
    for one in result.refusals:
        reasons.setdefault(reason(visit, one), []).append(one.ticket_id)
    return sorted(reasons.items(), key=lambda pair: -len(pair[1]))


def refused_text(visit: Visit, result: BulkResult) -> str:
    """How many were left out, and why, in the visit's language."""
    ordered = reasons_of(visit, result)
    told = [
        say(visit, _("%(why)s（%(n)s 张，如 %(ticket)s）"))
        % {"why": why[:200], "n": len(numbers), "ticket": numbers[0][:32]}
        for why, numbers in ordered[:SHOWN]
    ]
    if len(ordered) > SHOWN:
        told.append(say(visit, _("另有 %(n)s 种原因")) % {"n": len(ordered) - SHOWN})
    reasons_text = say(visit, _("；")).join(told)
    return say(visit, _("%(n)s 张未处理：%(reasons)s。")) % {"n": len(result.refusals), "reasons": reasons_text}


def reason(visit: Visit, refusal: Refusal) -> str:
    """Why a ticket was left out, in the visit's language."""
    shown = {name: _value(visit, name, value) for name, value in refusal.values.items()}
    return say(visit, REASONS[refusal.why]) % shown


def _value(visit: Visit, name: str, value: str) -> str:
    if name == "assignee":
        return person(value, lambda text: say(visit, text))
    if name == "at":
        return datetime.fromisoformat(value).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") if value else "–"
    names = labels.DECISIONS if name == "decision" else labels.STATES
    return say(visit, names[value]) if value in names else value
