"""An audit as a page for print: self-contained HTML, Chinese first with English beside."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from retention.audits.report import AuditReport, Finding

TITLES: Final = {
    "coverage": (
        "完整性覆盖审计",
        "Coverage",
        "每个来源的每一个偏移量在归档中恰好出现一次。",
        "Every offset of every source is archived exactly once.",
    ),
    "integrity": (
        "数据真实性审计",
        "Integrity",
        "每个封存段与封存时逐位一致。",
        "Every segment is, bit for bit, what was sealed.",
    ),
    "retention": (
        "留存期限审计",
        "Retention",
        "没有记录提前销毁,也没有记录无故超期保存。",
        "Nothing went before its time, and nothing stays past it without a reason.",
    ),
    "access": ("查询访问审计", "Access", "谁、为何、查询了什么、多少行。", "Who asked what, why, and how many rows."),
    "keys": ("密钥审计", "Keys", "每个密钥的类别、月份与状态。", "Every key, its class, month and state."),
}

CHECKED: Final = {
    "sources": "来源 sources",
    "partitions": "分区 partitions",
    "batches": "批次 batches",
    "records": "记录 records",
    "skipped_lines": "表头与空行 headers and blank lines",
    "source_bytes": "来源字节 source bytes",
    "segments": "封存段 segments",
    "objects": "存储对象 objects",
    "verified": "已验证 verified",
    "rows": "行 rows",
    "bytes": "密文字节 sealed bytes",
    "of": "总数 out of",
    "sample": "随机抽样 random sample",
    "queries": "查询 queries",
    "answered": "已答复 answered",
    "failed": "未成功 failed",
    "accounts": "账号 accounts",
    "rows_returned": "返回行数 rows returned",
    "keys": "密钥 keys",
    "living": "有效 living",
    "destroyed": "已销毁 destroyed",
    "needed": "仍在使用 in use",
    "destroyed_segments": "已销毁封存段 destroyed segments",
    "destroyed_records": "已销毁记录 destroyed records",
    "certificates": "销毁证明 certificates of destruction",
    "silent_orders": "无消息订单 orders without news",
    "restricted_queries": "受限查询 queries of restricted records",
    "exports": "个人副本 copies for persons",
    "log_entries": "透明日志条目 log entries",
    "log_unsequenced": "待编号 waiting for a number",
    "log_checkpoints": "签名检查点 signed checkpoints",
    "log_witnessed": "第二保管人已见 seen by the custodian",
    "imaged_rows": "工单等行 rows of tickets and the like",
}

_STYLE: Final = """
@page { size: A4; margin: 18mm 16mm; }
body { font: 10.5pt/1.5 "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif;
  color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 18pt; margin: 0 0 .2rem; }
h2 { font-size: 13pt; margin: 1.8rem 0 .4rem; border-bottom: 1px solid #999; }
.sub { color: #555; } table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border: 1px solid #bbb;
  overflow-wrap: anywhere; }
th { background: #f0f0f0; } td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead { display: table-header-group; } tr { break-inside: avoid; }
.verdict { display: inline-block; padding: .15rem .7rem; border: 2px solid; font-weight: bold; }
.ok { color: #0a5c2b; } .bad { color: #a00000; }
.loud { border-left: 5px solid #a00000; padding: .4rem .8rem; background: #fff4f2; }
@media print { body { margin: 0; max-width: none; padding: 0; } .loud { background: none; } }
"""


def page(reports: Sequence[AuditReport], *, store: str, actor: str) -> str:
    """The page of one or several audits of a store."""
    ok = all(report.ok for report in reports)
    first = reports[0]
    parts = [
        f"<!doctype html><html lang='zh-CN'><head><meta charset='utf-8'><title>留存审计报告 {escape(store)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        "<h1>留存审计报告</h1><p class='sub'>Retention audit report</p>",
        f"<p>{_verdict(ok)}</p>",
        "<table>",
        _fact("留存库 Store", store),
        _fact("审计时间 Audited at", first.at.astimezone().isoformat(timespec="seconds")),
        _fact("审计人 Auditor", actor),
        _fact("范围 Span", first.span.words()),
        "</table>",
        *_limits(reports),
        *(section for report in reports for section in _section(report)),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _limits(reports: Sequence[AuditReport]) -> list[str]:
    """How far the audit's word reaches, said before anything else."""
    said = []
    if not all(report.anchored for report in reports):
        said.append(
            "<p class='loud'><strong>未锚定(anchored: false)。</strong>"
            "没有第二保管人持有检查点:能够写入本库的人可以同时改写数据与记录而不被发现。<br>"
            "Not anchored: no second custodian holds a checkpoint, so whoever can write the whole store could "
            "rewrite data and record together unseen.</p>"
        )
    if any("uncertified" in report.certification for report in reports):
        said.append(
            "<p class='loud'><strong>未认证(uncertified)。</strong>密码运算由软件完成,未取得商用密码产品认证。"
            "<br>Cryptography is software without a commercial-cryptography product certificate.</p>"
        )
    return said


def _section(report: AuditReport) -> list[str]:
    chinese, english, claim, claim_english = TITLES[report.audit]
    lines = [
        f"<h2>{chinese} <span class='sub'>{english}</span></h2>",
        f"<p>{claim}<br><span class='sub'>{claim_english}</span></p><p>{_verdict(report.ok)}</p>",
        "<table><thead><tr><th>检查项 Checked</th><th>数量 Count</th></tr></thead><tbody>",
    ]
    lines += [
        f"<tr><td>{escape(CHECKED.get(name, name))}</td><td class='n'>{_number(value)}</td></tr>"
        for name, value in report.checked.items()
    ]
    lines.append("</tbody></table>")
    lines += _findings("问题 Faults", report.faults)
    lines += _findings("待决定 For a person to decide", report.notices)
    return lines


def _findings(title: str, findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    lines = [
        f"<h3>{title}: {len(findings)}</h3>",
        "<table><thead><tr><th>类型 Kind</th><th>位置 Where</th><th>说明 Detail</th></tr></thead><tbody>",
    ]
    lines += [
        f"<tr><td>{escape(f.kind)}</td><td>{escape(f.where)}</td><td>{escape(f.detail)}</td></tr>" for f in findings
    ]
    return [*lines, "</tbody></table>"]


def _verdict(ok: bool) -> str:
    if ok:
        return "<span class='verdict ok'>通过 PASSED</span>"
    return "<span class='verdict bad'>发现问题 FAULTS FOUND</span>"


def _fact(name: str, value: str) -> str:
    return f"<tr><th>{name}</th><td>{escape(value)}</td></tr>"


def _number(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else escape(value)
