"""The certificate of destruction on paper 销毁证明: what went, how much, why, by whom, which keys, where the log says
so, the signature and how to check it. Everything but the store's name comes from the signed text and the log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from retention.audits.figures import class_name, period_words
from retention.audits.report import UNCERTIFIED
from retention.audits.words import COUNTED
from retention.policies.periods import SHANGHAI, CalendarPeriod
from retention.printing.blocks import Block, Document, Grid, Heading, Pairs, Paragraph, Tone
from retention.purge.plan import FINAL, Purge
from retention.purge.traces import Trace
from retention.transparency.note import Checkpoint

STEPS: Final = {
    "purge.planned": "计划 planned",
    "purge.approved": "另一人批准 approved by another person",
    "purge.started": "开始执行 begun",
    "purge.certified": "出具证明 certified",
    "purge.final": "证明最终生效 final",
}
DESTROYED: Final = "purge.unit_destroyed"
_POLICY: Final = re.compile(r"(\S+ v\d+): (P\w+) (\w+); (.*)", re.DOTALL)
_NOT_YET: Final = "待编号 not numbered yet"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the paper says beside the certificate's content.

    Args:
        digest: of the certificate's exact text, in hex, by the suite's hash, ``hash_name``.
        verifiers: the archive's public keys, as they are written.
        checkpoint: the newest state of the log that was signed, None where there is none.
        certification: what products are certified, or ``uncertified``.
    """

    suite: str
    hash_name: str
    digest: str
    verifiers: Sequence[str]
    traces: Sequence[Trace]
    checkpoint: Checkpoint | None
    certification: str
    printed_by: str
    printed_at: datetime
    company: str = ""
    licence: str = ""


def paper(purge: Purge, content: Mapping[str, Any], shown: Shown) -> Document:
    """The document of a purge whose certificate was verified; ``content`` is what ``verify_certificate`` gave."""
    company = shown.company or "(未填写公司名称)"
    return Document(
        title="销毁证明",
        subtitle=f"Certificate of destruction\n{purge.purge_id}",
        footer=f"{company}  销毁证明 {purge.purge_id}  打印 {local(shown.printed_at)} 北京时间",
        author=company,
        blocks=tuple(_blocks(purge, content, shown, company)),
    )


def _blocks(purge: Purge, content: Mapping[str, Any], shown: Shown, company: str) -> Iterator[Block]:
    until = local(content["final_after"])
    if purge.state == FINAL:
        yield Paragraph("已销毁,证明最终生效 DESTROYED; THIS CERTIFICATE IS FINAL", Tone.GOOD)
    else:
        yield Paragraph(
            f"已销毁;本证明自 {until} 起才最终生效:在此之前,密钥库的备份可能还存有已销毁的密钥。\n"
            f"Destroyed; final only after {until}: until then a backup of the store of keys may still hold the keys.",
            Tone.LOUD,
        )
    done = content["carried_out"]
    yield Pairs(
        (
            ("单位 Company", company),
            ("许可证编号 Licence", shown.licence or "—"),
            ("编号 Number", purge.purge_id),
            ("理由 Reason", content["reason"]),
            ("销毁记录 Records", f"{content['records']:,}"),
            ("密文字节 Sealed bytes", f"{content['bytes']:,}"),
            ("计划 Planned", _step(content["planned"])),
            ("批准 Approved", _step(content["approved"])),
            ("执行 Carried out", f"{done['by']}  {local(done['from'])} – {local(done['to'])}"),
            ("最终生效 Final after", until),
            (
                "方法 Method",
                "删除存储对象,并覆写时段密钥:对象的任何副本(含备份)均无法再读取。\n"
                "Objects deleted; period keys overwritten, so that no copy can be read, in backups either.",
            ),
            ("打印 Printed", f"{shown.printed_by}  {local(shown.printed_at)}"),
            ("密码套件 Suite", shown.suite),
            (
                "密码产品认证 Certification",
                "未认证 uncertified" if shown.certification == UNCERTIFIED else shown.certification,
            ),
        )
    )
    yield Paragraph("时间均为北京时间(UTC+8)。Times are Beijing's.", Tone.QUIET)
    yield from _destroyed(content["destroyed"])
    yield from _kept(content["not_destroyed"])
    yield from _keys(content["destroyed"], shown.traces)
    yield from _log(shown)
    yield from _signature(purge, content, shown)


def _destroyed(units: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading("销毁了什么 What was destroyed", 1)
    if not units:
        yield Paragraph("没有。None: nothing of the plan might go when it was carried out.")
        return
    yield Grid(
        ("类别与月份 Class, months", "依据 On what ground", "记录 Records", "封存段 Segments", "字节 Bytes"),
        tuple(
            (
                _what(unit),
                f"{_ground(unit['policy'])}\n到期 expired on {unit['expired_on']}",
                f"{unit['records']:,}" + (f"\n另存 kept {unit['carried_over']:,}" if unit["carried_over"] else ""),
                f"{len(unit['segments']):,}" if unit["segments"] else "—",
                f"{unit['bytes']:,}",
            )
            for unit in units
        ),
        widths=(2.1, 4.2, 1.3, 1.2, 1.4),
        numbers=frozenset({2, 3, 4}),
    )
    if any(unit["carried_over"] for unit in units):
        yield Paragraph(
            "“另存”的记录尚未到期,销毁前已换用其他密钥重新封存。\n"
            "Records that are kept had not run out: they were sealed anew under other keys before.",
            Tone.QUIET,
        )


def _kept(units: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    if not units:
        return
    yield Heading("计划内而未销毁 Planned, and not destroyed", 1)
    yield Grid(
        ("类别与月份 Class, months", "原因 Why"),
        tuple((_what(unit), unit["why"] or "—") for unit in units),
        widths=(2, 5),
    )


def _keys(units: Sequence[Mapping[str, Any]], traces: Sequence[Trace]) -> Iterator[Block]:
    if not units:
        return
    gone = {trace.key: trace for trace in traces if trace.kind == DESTROYED}
    yield Heading("销毁的密钥 Keys destroyed", 1)
    yield Grid(
        ("密钥 Key", "指纹 Fingerprint", "销毁时间 Destroyed at", "日志位置 In the log"),
        tuple(
            (
                unit["key"],
                _halves(unit["key_fingerprint"] or "—"),
                local(unit["destroyed_at"]),
                _place(gone.get(unit["key"])),
            )
            for unit in units
        ),
        widths=(2.6, 3, 1.8, 1.8),
    )


def _log(shown: Shown) -> Iterator[Block]:
    yield Heading("透明日志 Transparency log", 1)
    yield Grid(
        ("步骤 Step", "何人 By", "何时 At", "日志位置 In the log"),
        tuple(
            (STEPS[trace.kind], trace.actor, local(trace.at), _place(trace))
            for trace in shown.traces
            if trace.kind in STEPS
        ),
        widths=(3, 3, 2, 1.8),
    )
    if shown.checkpoint is not None:
        state = shown.checkpoint
        yield Pairs(
            (
                ("日志 Log", state.origin),
                ("检查点 Checkpoint", f"{state.size:,} 条 entries"),
                ("根 Root", state.root.hex()),
            )
        )
    yield Paragraph(
        "位置从 0 起数;每个封存段的登记与销毁也各有一条日志。\n"
        "Places count from 0; every segment's sealing and destruction has an entry of its own.",
        Tone.QUIET,
    )


def _signature(purge: Purge, content: Mapping[str, Any], shown: Shown) -> Iterator[Block]:
    yield Heading("签名 Signature", 1)
    yield Pairs(
        (
            ("证明摘要 Digest", f"{shown.hash_name}\n{shown.digest}"),
            ("计划摘要 Plan", content["plan"]),
            ("签名 Signed note", (purge.signature or "").strip()),
            ("公钥 Public keys", "\n".join(shown.verifiers) or "—"),
        )
    )
    yield Paragraph("签名原文照录,其中时间为 UTC。The note is verbatim; the time in it is UTC.", Tone.QUIET)
    certified = next((trace.number for trace in reversed(shown.traces) if trace.kind == "purge.certified"), None)
    event = "EVENT" if certified is None else str(certified)
    yield Heading("如何核验 How to check it", 1)
    yield Paragraph(
        "1. 由留存库核验签名,并确认没有任何对象与密钥仍然存在。\n"
        "In the store: the signature, and that no object and no key is there.\n"
        f"liucun purge --certificate {purge.purge_id}\n"
        f"2. 不依赖留存库:导出证明原文(certificate_text),其 {shown.hash_name} 摘要即上述证明摘要,也是签名的第三行;"
        "签名格式为 C2SP signed-note。\n"
        "Without the store: the exact text; its digest is the one above and the third line of the signed note.\n"
        f"liucun purge --certificate {purge.purge_id} --report certificate.json\n"
        "3. 透明日志载有该摘要:出具日志证明,离线核验。\n"
        "The transparency log holds the digest: take out the proof and check it offline.\n"
        f"liucun prove event {event} --out proof.json\n"
        "liucun verify proof.json\n"
        "4. 公钥应与第二保管人所存者比对。\n"
        "Compare the public keys with those that the second custodian holds."
    )


def _what(unit: Mapping[str, Any]) -> str:
    return f"{class_name(unit['class'])} {unit['class']}\n" + "\n".join(unit["months"])


def _ground(policy: str) -> str:
    """A unit's policy in words; one that reads otherwise stays as the certificate has it."""
    found = _POLICY.fullmatch(policy)
    if found is None:
        return policy
    label, floor, counted_from, basis = found.groups()
    try:
        period = period_words(CalendarPeriod.parse(floor))
    except ValueError:
        return policy
    return f"{label}: 保存 {period}\n自 from {COUNTED.get(counted_from, counted_from)}\n{basis}"


def _step(step: Mapping[str, Any]) -> str:
    return f"{step['by'] or '—'}  {local(step['at'])}"


def _place(trace: Trace | None) -> str:
    if trace is None:
        return "—"
    where = _NOT_YET if trace.index is None else f"第 {trace.index:,} 条"
    return f"{where}\n事件 event {trace.number}"


def _halves(digest: str) -> str:
    return f"{digest[:32]}\n{digest[32:]}" if len(digest) == 64 else digest


def local(moment: datetime | str | None) -> str:
    """A moment in Shanghai's time, to the second."""
    if moment is None:
        return "—"
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
