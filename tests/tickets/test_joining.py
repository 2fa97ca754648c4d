"""What belongs together: near-identical texts, groups, merging, links, and dismissals that are remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errors import NotPermittedError, UsageError
from retention.catalogue.engine import Catalogue
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, HIT, NOW, take
from tests.tickets.people import AUDITOR, HONG, MING, by
from tickets.errors import HeldError, TransitionError
from tickets.opening import OpenedCounts, open_or_extend, prepare
from tickets.queue import get_ticket, list_tickets, ticket_detail
from tickets.service import Desk
from tickets.similar import ALIKE, Sketcher, likeness
from tickets.states import Channel, Decision, Measure, State
from tickets.steps.joining import group_of, linked
from tickets.steps.opening import ManualFinding

SPAM = "澳门新葡京线上娱乐首存送彩金加客服领取内部计划稳赚不赔"


def opened(catalogue: Catalogue, bodies: PlainBodies, **texts: str) -> dict[str, str]:
    take(catalogue, bodies, *(replace(CONTENT, content_id=name, text=text) for name, text in texts.items()))
    with catalogue.read() as connection:
        return {str(ticket.content_id): ticket.ticket_id for ticket in list_tickets(connection, limit=1000)}


def test_small_changes_leave_texts_alike_and_others_are_not(bodies: PlainBodies) -> None:
    sketcher = Sketcher(bodies)
    base, spaced, full, other = sketcher.sketches(
        [SPAM, " ".join(SPAM) + "!!!", SPAM.replace("客服", "主管"), "今天天气很好我们一起去公园散步看花吧真不错呀呀"]
    )
    assert base
    assert spaced
    assert full
    assert other
    shares = likeness(base.signature, [spaced.signature, full.signature, other.signature])
    assert shares[0] == 1.0
    assert shares[1] >= ALIKE
    assert shares[2] < 0.2
    assert set(base.bands) & set(full.bands)
    assert not set(base.bands) & set(other.bands)


def test_another_store_s_key_gives_another_sketch(bodies: PlainBodies) -> None:
    class Other(PlainBodies):
        def blind(self, value: str, purpose: str) -> str:
            return super().blind(value + "other", purpose)

    one, other = Sketcher(bodies).sketch(SPAM), Sketcher(Other()).sketch(SPAM)
    assert one
    assert other
    assert not set(one.bands) & set(other.bands)
    assert likeness(one.signature, [other.signature])[0] < 0.2


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=80), max_size=6))
def test_sketches_together_are_those_of_each_alone(bodies: PlainBodies, texts: list[str]) -> None:
    sketcher = Sketcher(bodies)
    assert sketcher.sketches(texts) == [sketcher.sketch(text) for text in texts]


def test_huge_and_hostile_texts_are_sketched_or_left_out(bodies: PlainBodies) -> None:
    found = Sketcher(bodies).sketches(["", "短", "\ud800" * 50, "😀" * 50, "赌" * 1_000_000, "\u200b".join(SPAM)])
    assert found[:4] == [None] * 4
    assert found[4] is not None
    assert found[5] == Sketcher(bodies).sketch(SPAM)


def test_one_decision_for_a_group(desk: Desk, catalogue: Catalogue, bodies: PlainBodies) -> None:
    ids = opened(
        catalogue, bodies, a=SPAM, b=SPAM, c=SPAM.replace("客服", "主管"), d="出售学习资料请联系老师购买全套教材课程"
    )
    with catalogue.read() as connection:
        group = {ticket.ticket_id for ticket in group_of(connection, ids["a"])}
    assert group == {ids["a"], ids["b"], ids["c"]}
    with pytest.raises(TransitionError, match="None of the tickets named"):
        desk.decide_group(ids["a"], Decision.ILLEGAL, "同一广告", members=[ids["d"]])
    done = desk.decide_group(ids["a"], Decision.ILLEGAL, "同一广告", members=[ids["a"], ids["c"], ids["d"]])
    assert set(done.done) == {ids["a"], ids["c"]}
    assert [number for number, _ in done.refused] == [ids["d"]], "what was named is not passed over silently"
    with catalogue.read() as connection:
        assert get_ticket(connection, ids["b"]).state == State.DETECTED


def test_links_name_each_ticket_once_by_the_closest_kind(desk: Desk, catalogue: Catalogue, bodies: PlainBodies) -> None:
    ids = opened(
        catalogue, bodies, a=SPAM, b=SPAM, c=SPAM.replace("客服", "主管"), d="出售学习资料请联系老师购买全套教材"
    )
    take(catalogue, bodies, replace(CONTENT, content_id="e", user_id="other", text="别人的另一段毫不相干的文字内容"))
    with catalogue.read() as connection:
        kinds = {link.ticket.content_id: link.kind for link in linked(connection, ids["a"])}
    assert kinds == {"b": "text", "c": "near", "d": "account"}
    desk.link(ids["a"], ids["d"])
    desk.link(ids["d"], ids["a"])
    with catalogue.read() as connection:
        assert {link.ticket.content_id: link.kind for link in linked(connection, ids["d"])}["a"] == "linked"
    desk.unlink(ids["a"], ids["d"])
    with pytest.raises(UsageError, match="itself"):
        desk.link(ids["a"], ids["a"])
    with pytest.raises(NotPermittedError):
        by(desk, AUDITOR).link(ids["a"], ids["b"])


def test_merging_keeps_the_earliest_clock_and_ends_together(
    desk: Desk, catalogue: Catalogue, bodies: PlainBodies
) -> None:
    worse = replace(CONTENT, content_id="b", text="另一段", findings=(replace(HIT, category="drugs", severity=4),))
    prepared = prepare(bodies, [worse], now=NOW - timedelta(hours=3))
    with catalogue.write() as connection:
        open_or_extend(connection, prepared)
    ids = opened(catalogue, bodies, a=SPAM)
    merged = desk.merge([ids["b"]], ids["a"], "同一账号同一事")
    assert (merged.category, merged.severity, merged.findings) == ("drugs", 4, 2)
    assert merged.detected_at.startswith("2026-11-23T21:00")
    with catalogue.read() as connection:
        assert get_ticket(connection, ids["b"]).merged_into == ids["a"]
    with pytest.raises(TransitionError):
        desk.claim(ids["b"])
    desk.confirm(ids["a"], Decision.ILLEGAL, "r")
    desk.dispose(ids["a"], Measure.DELETE)
    desk.report(ids["a"], "R")
    desk.acknowledge(ids["a"], "HZ")
    desk.close(ids["a"])
    with catalogue.read() as connection:
        assert get_ticket(connection, ids["b"]).state == State.CLOSED


@pytest.mark.parametrize("held", ["a", "b"])
def test_what_somebody_has_taken_is_not_merged_by_another(
    desk: Desk, catalogue: Catalogue, bodies: PlainBodies, held: str
) -> None:
    """It would be decided as the ticket that took it in."""
    ids = opened(catalogue, bodies, a=SPAM, b="另一段不相干的文字内容在这里")
    by(desk, MING).claim(ids[held])
    with pytest.raises(HeldError, match="ming"):
        by(desk, HONG).merge([ids["b"]], ids["a"], "同一事")
    by(desk, HONG).take_over(ids[held], "他在休假")
    assert by(desk, HONG).merge([ids["b"]], ids["a"], "同一事").ticket_id == ids["a"]


def test_what_was_disposed_of_cannot_be_merged(desk: Desk, catalogue: Catalogue, bodies: PlainBodies) -> None:
    ids = opened(catalogue, bodies, a=SPAM, b="另一段不同的内容在这里")
    desk.confirm(ids["b"], Decision.ILLEGAL, "r")
    desk.dispose(ids["b"], Measure.DELETE)
    with pytest.raises(TransitionError):
        desk.merge([ids["b"]], ids["a"], "r")
    with pytest.raises(TransitionError, match="nothing can be merged into it"):
        desk.merge([ids["a"]], ids["b"], "r")


def test_a_dismissal_is_remembered_for_text_and_rule_version(
    desk: Desk, catalogue: Catalogue, bodies: PlainBodies
) -> None:
    ids = opened(catalogue, bodies, a=SPAM)
    desk.dismiss(ids["a"], "棋牌室的正常广告")
    assert take(catalogue, bodies, replace(CONTENT, content_id="b", text=SPAM)) == OpenedCounts(1, 0)
    newer = replace(CONTENT, content_id="c", text=SPAM, findings=(replace(HIT, version="pack-2"),))
    take(catalogue, bodies, newer, replace(CONTENT, content_id="d", text=SPAM + "。"))
    with catalogue.read() as connection:
        found = {ticket.content_id: ticket for ticket in list_tickets(connection)}
        detail = ticket_detail(connection, bodies, found["b"].ticket_id)
    assert {name: ticket.state for name, ticket in found.items()} == {
        "a": State.DISMISSED,
        "b": State.DISMISSED,
        "c": State.DETECTED,
        "d": State.DETECTED,
    }
    (record,) = [event for event in detail.timeline if event["kind"] == "ticket.auto_dismissed"]
    assert record["as"] == ids["a"]


def test_what_is_remembered_ends_and_is_forgotten_when_taken_up_again(
    desk: Desk, catalogue: Catalogue, bodies: PlainBodies
) -> None:
    ids = opened(catalogue, bodies, a=SPAM)
    desk.dismiss(ids["a"], "r")
    later = prepare(bodies, [replace(CONTENT, content_id="b", text=SPAM)], now=datetime.now(UTC) + timedelta(days=91))
    with catalogue.write() as connection:
        open_or_extend(connection, later)
    desk.claim(ids["a"])
    take(catalogue, bodies, replace(CONTENT, content_id="c", text=SPAM))
    with catalogue.read() as connection:
        found = {ticket.content_id: ticket.state for ticket in list_tickets(connection)}
    assert found == {"a": State.TRIAGE, "b": State.DETECTED, "c": State.DETECTED}


def test_a_dismissed_ticket_with_other_findings_is_open_again(
    desk: Desk, catalogue: Catalogue, bodies: PlainBodies
) -> None:
    ids = opened(catalogue, bodies, a=SPAM)
    desk.dismiss(ids["a"], "r")
    take(catalogue, bodies, replace(CONTENT, content_id="a", text=SPAM, offset=99))
    with catalogue.read() as connection:
        assert get_ticket(connection, ids["a"]).state == State.DISMISSED, "the same finding changes nothing"
    other = replace(CONTENT, content_id="a", text=SPAM, findings=(replace(HIT, rule="drugs.001", category="drugs"),))
    take(catalogue, bodies, other)
    with catalogue.read() as connection:
        assert get_ticket(connection, ids["a"]).state == State.DETECTED


def test_a_later_text_of_the_content_is_seen_and_remembered(
    desk: Desk, catalogue: Catalogue, bodies: PlainBodies
) -> None:
    ids = opened(catalogue, bodies, a=SPAM)
    edited = replace(CONTENT, content_id="a", text="改过的内容: 赌场", offset=50)
    take(catalogue, bodies, edited)
    take(catalogue, bodies, replace(edited, offset=60), replace(edited, text=SPAM, offset=70))
    with catalogue.read() as connection:
        detail = ticket_detail(connection, bodies, ids["a"])
    assert [entry["text"] for entry in detail.texts] == [SPAM, edited.text]
    assert len(detail.findings) == 4
    desk.dismiss(ids["a"], "r")
    take(catalogue, bodies, replace(edited, content_id="b"), replace(CONTENT, content_id="c", text=SPAM))
    with catalogue.read() as connection:
        assert {ticket.state for ticket in list_tickets(connection)} == {State.DISMISSED}


def test_complaints_are_never_dismissed_by_memory(desk: Desk, catalogue: Catalogue) -> None:
    first = desk.open_manual(ManualFinding(Channel.COMPLAINT, "fraud", SPAM))
    desk.dismiss(first.ticket_id, "不属实")
    assert desk.open_manual(ManualFinding(Channel.COMPLAINT, "fraud", SPAM)).state == State.DETECTED
    with catalogue.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM ticket_dismissals")).scalar_one() == 0
