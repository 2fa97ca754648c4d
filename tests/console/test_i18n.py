"""Every text of templates and code has its English, with the same places to fill; Chinese punctuation is Chinese."""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.pofile import read_po

from console import labels
from console.i18n import ENGLISH, extracted, translations
from tickets.clocks import DUTIES
from tickets.states import Channel, Decision, Measure, State

ROOT = Path(__file__).parents[2]


def texts() -> list[str]:
    return [message.id for message in extracted() if message.id]


def test_everything_is_translated() -> None:
    with ENGLISH.open("rb") as file:
        known = {message.id: message.string for message in read_po(file, locale="en") if message.id}
    assert not [text for text in texts() if not known.get(text)]
    assert not set(known) - set(texts()), "texts that nobody shows any more"
    for chinese, english in known.items():
        assert re.findall(r"%\(\w+\)s", chinese).sort() == re.findall(r"%\(\w+\)s", english).sort()
        assert not re.search("[\u4e00-\u9fff]", english), english


def test_english_is_used_and_chinese_is_the_original() -> None:
    assert translations("en").gettext("待处置") == "To dispose"
    assert translations("zh").gettext("待处置") == "待处置"


def test_chinese_punctuation_is_chinese() -> None:
    assert not [text for text in texts() if re.search("[\u4e00-\u9fff][,;]", text)]


def test_every_word_of_the_queue_has_a_name() -> None:
    assert {state.value for state in State} == set(labels.STATES)
    assert {decision.value for decision in Decision} == set(labels.DECISIONS)
    assert {measure.value for measure in Measure} == set(labels.MEASURES)
    assert {channel.value for channel in Channel} == set(labels.CHANNELS)
    assert {clock.name for clock in DUTIES} <= set(labels.DUTIES)


def test_every_kind_of_event_of_tickets_has_a_name() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tickets").rglob("*.py"))
    kinds = set(re.findall(r'"((?:ticket|report|duty)\.[a-z_]+)"', code))
    assert kinds - set(labels.EVENTS) == set()
