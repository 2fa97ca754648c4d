"""What became of a step on many tickets, said on the next page, where it can be taken back."""

from __future__ import annotations

from starlette.responses import Response

from console.i18n import mark as _
from console.web.render import say
from console.web.visit import Visit
from tickets.steps.bulk import BulkResult


def say_many(visit: Visit, response: Response, result: BulkResult) -> None:
    """Say how many were done and how many not, with the first reason."""
    text = say(visit, _("已处理 %(done)s 张工单。")) % {"done": len(result.done)}
    if result.refused:
        number, why = result.refused[0]
        text += " " + say(visit, _("%(n)s 张未处理，例如 %(ticket)s:%(why)s")) % {
            "n": len(result.refused),
            "ticket": number,
            "why": why[:200],
        }
    visit.say(response, text, tone="warn" if result.refused else "good", undo=result.token if result.done else None)
