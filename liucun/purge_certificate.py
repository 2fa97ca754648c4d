"""A certificate of destruction, verified and shown: on the terminal, as JSON, on paper."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from errors import UsageError
from liucun.cli import print_json
from liucun.key_statements import certification_of
from liucun.store import OpenStore
from retention.audits.figures import class_name
from retention.audits.moments import in_shanghai
from retention.new_file import write_out
from retention.purge.certificate import check_facts, verify_certificate
from retention.purge.paper import Shown, paper
from retention.purge.plan import Purge, read_purge
from retention.purge.traces import traces
from retention.transparency.log import state_of

FORMS: Final = ("pdf", "html", "json")


def check_target(path: Path) -> None:
    """See that a certificate can be written there.

    Raises:
        UsageError: no form of it has this ending, the file is there, or its folder is not.
    """
    if _form(path) not in FORMS:
        raise UsageError(f"{path} is no form of a certificate.", cure="Name a .pdf, an .html or a .json file.")
    if path.exists():
        raise UsageError(f"{path} exists already.", cure="Name a file that does not exist yet.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", cure="Make it, or name a file elsewhere.")


def show(opened: OpenStore, purge_id: str, *, as_json: bool, report: Path | None = None) -> None:
    """Verify a certificate and what it says of objects and keys, write it to ``report``, and show it.

    Raises:
        PurgeUnknownError: there is no such purge.
        CertificateError: there is no certificate yet, it is not the signed one, or something of it is still there.
        NoteError: no known key signed it.
        FontMissingError, StorageError: it cannot be written.
    """
    purge = read_purge(opened.catalogue, purge_id)
    content = verify_certificate(opened.archive.suite, purge, opened.store.log.verifiers)
    check_facts(opened, purge.purge_id)
    if report is not None:
        write_out(report, _rendered(opened, purge, content, _form(report)))
    if as_json:
        print_json({"certificate": content, "note": purge.signature, "state": purge.state})
        return
    _print(purge, content)
    if report is not None:
        click.echo(f"Written to {report}.")


def _form(path: Path) -> str:
    return path.suffix.removeprefix(".").lower()


def _rendered(opened: OpenStore, purge: Purge, content: dict[str, Any], form: str) -> bytes:
    suite = opened.archive.suite
    with opened.catalogue.read() as connection:
        steps = traces(connection, purge.purge_id)
        checkpoint = state_of(connection).checkpoint
    shown = Shown(
        suite=suite.name,
        hash_name=suite.hash_name,
        digest=suite.hash((purge.certificate or "").encode()).hex(),
        verifiers=[one.encode() for one in opened.store.log.verifiers],
        traces=steps,
        checkpoint=checkpoint,
        certification=certification_of(opened.store),
        printed_by=opened.actor,
        printed_at=datetime.now(UTC),
        company=opened.settings.company.name,
        licence=opened.settings.company.licence_number,
    )
    if form == "json":
        body = {
            "purge": purge.purge_id,
            "state": purge.state,
            "certificate": content,
            "certificate_text": purge.certificate,
            "hash": suite.hash_name,
            "digest": shown.digest,
            "note": purge.signature,
            "keys": list(shown.verifiers),
            "log": [one.as_json() for one in steps],
        }
        return (json.dumps(body, ensure_ascii=False, indent=2) + "\n").encode()
    if form == "html":
        from retention.printing.web import write_page

        return write_page(paper(purge, content, shown)).encode()
    from retention.printing.pdf import write_pdf

    return write_pdf(paper(purge, content, shown), made_at=shown.printed_at, fonts=opened.settings.company.fonts)


def _print(purge: Purge, content: dict[str, Any]) -> None:
    click.secho(f"Certificate of destruction 销毁证明 {purge.purge_id} ({purge.state})", bold=True)
    for role, words in (("planned", "planned 计划"), ("approved", "approved 批准")):
        click.echo(f"  {words}: {content[role]['by']} {in_shanghai(content[role]['at'])}")
    done = content["carried_out"]
    click.echo(f"  carried out 执行: {done['by']} {in_shanghai(done['from'])} – {in_shanghai(done['to'])}")
    click.echo("  Times are Beijing's. 时间均为北京时间。")
    for unit in content["destroyed"]:
        click.echo(
            f"  {class_name(unit['class'])} {unit['class']} {' '.join(unit['months'])}: "
            f"{unit['records']:,} records 条记录, {unit['bytes']:,} bytes 字节"
        )
        click.echo(f"    {unit['policy']}; key {unit['key']}, fingerprint {unit['key_fingerprint']}")
    for unit in content["not_destroyed"]:
        months = " ".join(unit["months"])
        click.echo(f"  kept 保留 {class_name(unit['class'])} {unit['class']} {months}: {unit['why']}")
    click.echo(
        f"  final after 最终生效 {in_shanghai(content['final_after'])}: "
        f"{content['final_because']} 密钥库备份至多存续至此"
    )
    click.echo("  The signature holds; no object and no key of it is there. 签名有效,事实相符。")
