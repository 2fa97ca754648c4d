"""Every text of templates and code has its English, with the same places to fill; Chinese punctuation is Chinese."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from babel.messages.pofile import read_po

from console import labels
from console.access.passwords import LONG_ENOUGH, MIN_LENGTH
from console.access.roles import Right
from console.errors import WeakPasswordError
from console.i18n import ENGLISH, extracted, translations
from console.web.details import detail
from retention.schema import RECORD_SCHEMA
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


def test_what_a_button_does_is_said_as_a_command() -> None:
    english, buttons = translations("en").gettext, set[str]()
    for template in (ROOT / "console" / "web" / "templates").glob("*.html"):
        buttons |= set(re.findall(r'<button[^>]*>\{\{ _\("([^"]+)"\)', template.read_text(encoding="utf-8")))
    assert len(buttons) > 50
    states = {"已执行", "漏检，立案"}  # what the platform, or a look at the text, has shown
    told = {text: english(text) for text in sorted(buttons - states)}
    assert not {text: words for text, words in told.items() if re.match(r"(\w+ed|Off|On|Made)\b", words)}


ROOMS = ("console", "tickets", "retention", "liucun", "pipelines")
NO_EVENTS = {
    *("source.address", "source.ip", "source.mac", "source.port"),
    *("log.level", "log.logger", "log.offset", "evidence.sealed"),
}
"""Fields and actions of records, and fields of program logs, that read like events."""
FILES = re.compile(r"\.(html|json|toml|txt|csv|py|npz|pem|log|db)$")
COLUMNS = re.compile(r"\.([a-z]+_)?id$")
PLATFORM = re.compile(r"(order|refund|user)\.")
"""What the sample's platform logs as its own actions."""


def kinds_of_events() -> set[str]:
    """Every word of the code that reads like an event's kind, of a family that has events."""
    words: set[str] = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    words |= set(re.findall(r"^[a-z]+\.[a-z_]+$", node.value))
                if isinstance(node, ast.keyword) and node.arg == "kind" and isinstance(node.value, ast.Constant):
                    words |= {node.value.value} if "." in str(node.value.value) else set()
    families = {kind.partition(".")[0] for kind in labels.EVENTS}
    return {
        word
        for word in words - NO_EVENTS - (set(Right) - set(labels.EVENTS))
        if word.partition(".")[0] in families and not any(no.search(word) for no in (FILES, COLUMNS, PLATFORM))
    }


def test_every_kind_of_event_has_a_name_in_both_languages() -> None:
    kinds = kinds_of_events()
    assert len(kinds) > 130
    assert kinds - set(labels.EVENTS) == set()
    assert set(labels.EVENTS) - kinds == set(), "names of events that nothing records"
    english = translations("en")
    assert not [kind for kind, name in labels.EVENTS.items() if english.gettext(name) == name]


def test_every_column_of_records_and_every_right_has_a_name() -> None:
    assert set(RECORD_SCHEMA.names) == set(labels.FIELDS)
    assert set(Right) == set(labels.PERMISSIONS)


def test_details_of_events_are_read_by_people() -> None:
    english = translations("en").gettext
    assert detail("gambling", "category") == "赌博"
    assert detail("user:ann", "assignee") == "ann"
    assert detail(3, "severity", english) == "High"
    assert detail("ab" * 32, "sha256") == "abababababab…"
    assert detail("2026-11-27T16:18:25.960978Z", "detected_at") == "2026-11-28 00:18:25"
    assert detail("2026-99-99T00:00:00", "due_at") == "2026-99-99T00:00:00"
    assert detail({"records": 5, "other": [True, None]}, "checked") == "记录 5、other 是、–"
    assert detail(["user_log"], "classes", english) == "User logs"
    assert len(detail("x" * 10_000, "span")) == 120


def test_the_rule_for_passwords_is_told_with_its_figures() -> None:
    said = labels.error_text(WeakPasswordError("short", cure="longer"))
    assert {str(MIN_LENGTH), str(LONG_ENOUGH)} == set(re.findall("[0-9]+", said))
