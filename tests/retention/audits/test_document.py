"""The printed report: what an inspector reads on paper, in black and white, and on a narrow screen."""

from __future__ import annotations

import io
import itertools
import re
from datetime import UTC, date, datetime

import pytest
from pypdf import PdfReader

from retention.audits.clauses import clauses, standing
from retention.audits.days import Coverage
from retention.audits.document import TOGETHER, Context, document
from retention.audits.figures import in_use
from retention.audits.finding_words import in_chinese, place
from retention.audits.outcome import LOOKED_AT, Outcome, outcome_of
from retention.audits.pictures import SHADES, bars, calendar, columns
from retention.audits.report import AuditReport, Severity, Span, combined
from retention.audits.words import TITLES
from retention.keys.periods import PeriodKeyRecord
from retention.printing.blocks import Contents, Document, Grid, Heading, Pairs, Paragraph
from retention.printing.pdf import write_pdf
from retention.printing.web import write_page

AT = datetime(2026, 3, 1, tzinfo=UTC)


def grids(found: Document) -> list[Grid]:
    return [block for block in found.blocks if isinstance(block, Grid)]


def test_findings_that_say_the_same_stand_in_one_row() -> None:
    report = AuditReport("coverage", AT)
    for n in range(TOGETHER + 2):
        report.add("time_gap", f"source:app{n} 2026-02-01 09:00–12:00", "No record.", Severity.NOTICE)
    report.add("gap", "app:log 0-5", "5 offsets were never committed.")
    found = grids(document([report], Context("s", "a")))
    rows = [row for grid in found if "Detail" in grid.header[2] for row in grid.rows]
    assert [row[0].splitlines()[1] for row in rows] == ["gap", "time_gap", "time_gap"]
    assert [len(row[1].splitlines()) for row in rows] == [1, TOGETHER, 2], "a row does not fill a page"
    assert rows[1][1].startswith("来源 app0 2026-02-01 09:00–12:00\n来源 app1")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("source:app field:title", "来源 app 字段 title"),
        ("article15:7", "第十五条第（七）项"),
        ("days:2026-01-01..2026-01-05", "日期 2026-01-01 至 2026-01-05"),
        ("account:user:ann", "账号 user:ann"),
        ("log", "透明日志 log"),
        ("app:/var/log/a..b.log#1 [0, 9)", "app:/var/log/a..b.log#1 [0, 9)"),
        ("", ""),
    ],
)
def test_places_are_said_in_chinese(where: str, said: str) -> None:
    assert place(where) == said


@pytest.mark.parametrize(
    ("kind", "detail", "said"),
    [
        (
            "range_open",
            "Planned since 2026-08-09T15:00:00.903844Z and not committed yet; the next run goes on there.",
            "自 2026-08-09 23:00 起已计划而尚未提交；下次 `liucun run` 该来源时继续。",
        ),
        (
            "source_silent",
            "No batch since 2026-08-09 23:00 (111 days); its pauses usually last up to 26 h.",
            "自 2026-08-09 23:00 起没有批次（已 111 天）；其间歇通常不超过 26 小时。",
        ),
        (
            "not_monitored",
            "No live detector for content of the type image; no record of it came yet.",
            "类型为 图片 image 的内容没有在运行的检测器；尚无该类型记录。",
        ),
        (
            "kept_past_ceiling",
            "Past 2026-01-01, kept for a reason: hold: H1, H2; ticket: 3 open tickets.",
            "已过 2026-01-01，因故保存：保全 H1, H2；相关工单未结。",
        ),
    ],
)
def test_chinese_has_no_english_units_and_shanghai_s_time(kind: str, detail: str, said: str) -> None:
    assert in_chinese(kind, detail) == said


def test_the_head_of_the_report_is_in_both_languages() -> None:
    span = Span(datetime(2026, 1, 1, tzinfo=UTC), None)
    report = AuditReport("access", AT, span)
    (pairs, *_) = [block for block in document([report], Context("s", "a")).blocks if isinstance(block, Pairs)]
    said = dict(pairs.rows)
    assert said["范围 Span"] == "提交时间自 2026-01-01 08:00 至 现在\ncommitted from 2026-01-01 08:00 to now"
    assert said["审计时间 Audited at"] == "2026-03-01 08:00:00 北京时间 UTC+8"
    assert said["密码产品认证 Certification"] == "未认证 uncertified"
    assert Span().both() == "全部 everything"


def test_figures_with_a_colon_in_their_name_are_shown() -> None:
    report = AuditReport("retention", AT, checked={"report: emptied": 3, "user_log: policy": "P1Y", "account ann": "x"})
    pairs = [block for block in document([report], Context("s", "a")).blocks if isinstance(block, Pairs)]
    assert pairs[-1].rows == (("内容已销毁的上报 reports whose content was destroyed", "3"),)


def test_several_audits_have_a_list_of_contents_that_leads_to_each() -> None:
    reports = [AuditReport("coverage", AT), AuditReport("keys", AT)]
    found = document(reports, Context("s", "a"))
    assert [block for block in found.blocks if isinstance(block, Contents)]
    page = write_page(found)
    chapters = [block.text for block in found.blocks if isinstance(block, Heading) and block.level == 1]
    assert re.findall(r"<li><a href='#c(\d+)'>([^<]+)<", page) == [(str(n), t) for n, t in enumerate(chapters, 1)]
    assert re.findall(r"<h2 id='c(\d+)'", page) == [str(n) for n in range(1, len(chapters) + 1)]


def test_a_page_keeps_the_widths_of_columns_and_names_each_cell_for_narrow_screens() -> None:
    page = write_page(Document("t", "s", "f", "a", (Grid(("A", "B'"), (("1", "x"),), (1, 3), frozenset({0})),)))
    assert "<col style='width:25.0%'><col style='width:75.0%'>" in page
    assert "minmax(0, 1fr)" in page, "a long word may not widen the page of a narrow screen"
    assert "<td class='n' data-name='A'>1</td><td data-name='B&#x27;'>x</td>" in page


def test_a_clause_names_its_audits_in_chinese() -> None:
    report = AuditReport("coverage", AT)
    report.add("gap", "x", "y")
    report.add("orphan", "x", "y", Severity.NOTICE)
    (nine,) = [clause for clause in clauses() if clause.number == "9"]
    assert standing(nine, [report], {}).splitlines()[:2] == [
        "完整性覆盖审计 coverage: 1 项问题 faults; 1 项待决定 notices",
        "数据真实性审计 integrity: 本次未审计 not audited here",
    ]


def grey(colour: str) -> float:
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_shades_stay_apart_in_black_and_white() -> None:
    greys = [255.0, *map(grey, SHADES)]
    assert all(light - dark >= 30 for light, dark in itertools.pairwise(greys))


def test_a_class_that_is_not_expected_daily_has_no_missing_days() -> None:
    days = (0, 3, 0, 0, 5, 0)
    unparsed = Coverage("unparsed", date(2026, 1, 1), days)
    assert unparsed.gaps == []
    drawn = calendar(unparsed)
    assert "缺记录" not in drawn
    assert "none expected" in drawn
    drawn = calendar(Coverage("user_log", date(2026, 1, 1), days))
    assert drawn.count("缺记录") == 1
    assert "before the first" in drawn


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ((7, 7, 7), {"1+"}),
        ((1, 1, 1, 9), {"1", "2+"}),
        (tuple(range(1, 101)), {"1–26", "27–51", "52–76", "77+"}),
        ((0,), set()),
    ],
)
def test_the_legend_names_each_shade_that_is_used(days: tuple[int, ...], words: set[str]) -> None:
    drawn = calendar(Coverage("user_log", date(2026, 1, 1), days))
    assert set(re.findall(r">([0-9,–+]+)</text>", drawn)) == words


def test_bars_say_their_parts_as_numbers_and_an_empty_chart_says_so() -> None:
    drawn = bars(["a"], [("kept", [900]), ("due", [600])])
    assert {"900", "600", "1,500"} <= set(re.findall(r">([0-9,]+)</text>", drawn))
    assert "没有 none" in columns(["x", "y"], [0, 0])
    assert "没有 none" not in columns(["x", "y"], [0, 1])


@pytest.mark.parametrize(
    ("record_class", "needed", "used"),
    [("user_log", {}, False), ("user_log", {"k": 1}, True), ("system:log", {}, True)],
)
def test_keys_in_use_are_counted_alike_everywhere(record_class: str, needed: dict[str, int], used: bool) -> None:
    record = PeriodKeyRecord("k", record_class, "2026-01", 1, AT.isoformat(), None)
    assert in_use(record, needed) is used


def printed_lines(word: str) -> list[str]:
    """The lines that a word takes in a narrow column, as they are copied from the PDF."""
    grid = Grid(("A", "B"), ((word, "NEXT"),), (1, 6))
    data = write_pdf(Document("t", "s", "f", "a", (grid,)), made_at=AT)
    (page,) = PdfReader(io.BytesIO(data)).pages
    text = page.extract_text()
    return text[text.index("B") + 1 : text.index("NEXT")].split()


@pytest.mark.parametrize(
    "word", ["user:zhaomin-the-second", "backup_may_hold_key", "a/" * 40, "1/" * 40, "x" * 90, "system:review:again"]
)
def test_long_words_break_within_their_cell(word: str) -> None:
    lines = [line.replace("\u200b", "") for line in printed_lines(word)]
    assert "".join(lines) == word
    assert all(len(line) <= 16 for line in lines)


@pytest.mark.parametrize("word", ["D47538da7b215b4b9", "f" * 64, "0123456789abcdef" * 2])
def test_numbers_and_digests_are_copied_whole(word: str) -> None:
    assert printed_lines(word) == [word]


def test_an_audit_that_had_nothing_to_look_at_is_not_called_passed() -> None:
    passed, nothing, faults = (one.headline for one in Outcome)

    def said(*reports: AuditReport) -> list[str]:
        texts = [one.text for one in document(reports, Context("s", "a")).blocks if isinstance(one, Paragraph)]
        return [text for text in texts if text in (passed, nothing, faults)]

    empty, full = AuditReport("coverage", AT, checked={"records": 0}), AuditReport("access", AT, checked={"queries": 3})
    keys = AuditReport("keys", AT, checked={"keys": 2})
    assert said(empty) == [nothing]
    assert said(full) == [passed]
    assert said(empty, full) == [passed, nothing, passed]
    assert said(empty, keys)[0] == nothing, "keys alone prove nothing of records"
    (four,) = [clause for clause in clauses() if clause.number == "4"]
    assert standing(four, [empty], {}) == "完整性覆盖审计 coverage: 没有可检查的内容 nothing to check"
    empty.add("gap", "x", "y")
    assert said(empty, full)[:2] == [faults, faults]


def test_every_audit_counts_what_it_looks_at_and_says_so_in_json() -> None:
    assert LOOKED_AT.keys() == TITLES.keys()
    for audit, counts in LOOKED_AT.items():
        report = AuditReport(audit, AT, checked=dict.fromkeys(counts, 0))
        assert report.as_json()["outcome"] == "nothing_to_check"
        assert combined([report])["outcome"] == "nothing_to_check"
        assert outcome_of(audit, ok=True, checked={}) is Outcome.PASSED, "a report of an older version"
        report.checked[counts[-1]] = 1
        assert report.outcome is Outcome.PASSED
        report.add("gap", "x", "y")
        assert report.as_json()["outcome"] == combined([report])["outcome"] == "faults"
