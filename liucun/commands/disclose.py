"""``liucun disclose``: hand records to an authority, within a scope that two others approved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errors import StorageError, UsageError
from liucun.cli import json_option, print_json, store_option
from tickets.actors import Actor
from tickets.rights import Right

if TYPE_CHECKING:
    from retention.disclosure.register import Disclosure

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_NEW = click.Path(path_type=Path, dir_okay=False)


@click.group(name="disclose", short_help="Records for an authority: request, two approvals, export.")
def command() -> None:
    """Disclosure to an authority 向主管部门提供数据 (licence clause 10).

    \b
    liucun disclose request --authority … --case … --basis … --reason … --document case.pdf
        --class user_log --account u1 --field source_ip --since 2026-03-01 --until 2026-04-01
    liucun disclose approve D…        (two people, neither of them the requester)
    liucun disclose key D…            (the authority reads it over HTTP until it expires)
    liucun disclose revoke D… KEY     (one key alone is taken back)
    liucun disclose export D… --to bundle.zip --password-file password.txt
    """


@command.command(short_help="Request a disclosure with its case document.")
@store_option
@click.option("--authority", required=True, help="Who asks.")
@click.option("--case", "number", required=True, help="The case number.")
@click.option("--basis", required=True, help="The legal basis.")
@click.option("--reason", required=True, help="Why.")
@click.option("--document", "file", type=_FILE, required=True, help="The case document; it is sealed into the archive.")
@click.option("--class", "classes", multiple=True, required=True, help="A record class; repeatable.")
@click.option("--account", "accounts", multiple=True, required=True, help="An account (user_id); repeatable.")
@click.option("--field", "fields", multiple=True, required=True, help="A column; repeatable.")
@click.option("--since", required=True, metavar="TIME", help="First moment of the records.")
@click.option("--until", required=True, metavar="TIME", help="The records end before this moment.")
@click.option(
    "--days", type=click.IntRange(1, 90), default=30, show_default=True, help="How long the approval will last."
)
@json_option
def request(**options: Any) -> None:
    """Request a disclosure 申请: who asks, on what ground, and exactly which records."""
    from liucun.store import open_store
    from retention.disclosure.register import Case, read
    from retention.disclosure.requests import request as enter
    from retention.disclosure.scope import Scope

    now = datetime.now(UTC)
    scope = Scope.of(
        options["classes"],
        options["accounts"],
        options["fields"],
        _moment(options["since"], "--since"),
        _moment(options["until"], "--until"),
    )
    case = Case(options["authority"], options["number"], options["basis"], options["reason"])
    document = _read(options["file"])
    with open_store(options["store"], Right.DISCLOSURES_REQUEST) as opened:
        number = enter(
            opened,
            case,
            scope,
            document,
            expires_at=now + timedelta(days=options["days"]),
            actor=opened.actor,
            now=now,
        )
        found = read(opened, number)
    _show(found, options["as_json"])


@command.command(short_help="Approve a disclosure that somebody else requested.")
@store_option
@click.argument("number", metavar="DISCLOSURE")
@json_option
def approve(store: Path, number: str, as_json: bool) -> None:
    """Approve a disclosure 批准: two people with accounts (LIUCUN_TOKEN), neither of them the requester."""
    from liucun.store import open_store
    from retention.disclosure.requests import approve as enter

    with open_store(store, Right.DISCLOSURES_APPROVE) as opened:
        found = enter(opened, number, actor=opened.actor, now=datetime.now(UTC))
    _show(found, as_json)


@command.command(short_help="Refuse a disclosure, or stop an approved one.")
@store_option
@click.argument("number", metavar="DISCLOSURE")
@click.option("--reason", required=True, help="Why; kept sealed.")
@json_option
def refuse(store: Path, number: str, reason: str, as_json: bool) -> None:
    """Refuse a disclosure, or stop an approved one 拒绝; one person is enough. A requester may withdraw their own."""
    from liucun.store import open_store
    from retention.disclosure.register import read
    from retention.disclosure.requests import refuse as enter

    with open_store(store, Right.DISCLOSURES_READ) as opened:
        _may_stop(opened.acting, read(opened, number))
        found = enter(opened, number, reason=reason, actor=opened.actor, now=datetime.now(UTC))
    _show(found, as_json)


@command.command(name="list", short_help="Every disclosure there ever was.")
@store_option
@click.option("--purpose", metavar="TEXT", help="Show the accounts in full, for this; it is recorded, sealed.")
@json_option
def listing(store: Path, purpose: str | None, as_json: bool) -> None:
    """List disclosures 列表, newest first; accounts are masked unless a party to them gives a purpose."""
    from liucun.store import open_store
    from liucun.unmasking import record_look
    from retention.disclosure.register import list_disclosures

    with open_store(store, Right.DISCLOSURES_READ) as opened:
        found = list_disclosures(opened)
        if purpose is not None:
            if not opened.acting.may(Right.DISCLOSURES_REQUEST):
                opened.acting.require(Right.DISCLOSURES_APPROVE)
            subjects = [f"disclosure:{item.disclosure_id}" for item in found]
            record_look(opened.catalogue, opened.bodies, opened.actor, subjects, purpose)
    if as_json:
        print_json([item.as_json() if purpose is not None else _masked(item) for item in found])
        return
    for item in found:
        _show(item, as_json=False)
    click.echo(f"{len(found)} disclosures. 次提供。")


@command.command(short_help="Export an approved disclosure as a signed bundle.")
@store_option
@click.argument("number", metavar="DISCLOSURE")
@click.option("--to", "target", type=_NEW, required=True, help="The new file.")
@click.option("--recipient", type=_FILE, help="Seal it to this SM2 public key (PEM); opened by liucun verify.")
@click.option(
    "--password-file",
    type=_FILE,
    help="Seal it under the password in this file, as a zip that 7-Zip and the like open.",
)
@json_option
def export(
    store: Path, number: str, target: Path, recipient: Path | None, password_file: Path | None, as_json: bool
) -> None:
    """Export an approved disclosure 导出: exactly its scope, with proofs, signed, sealed to its recipient."""
    from liucun.store import open_store
    from retention.crypto.sm2 import read_public
    from retention.disclosure.bundle import check_recipient, digests_of, seal
    from retention.disclosure.export import export as make
    from retention.new_file import write_out

    if target.exists():
        raise UsageError(f"{target} exists already.", cure="Name a file that does not exist yet.")
    public = read_public(_read(recipient).decode("utf-8", "replace"), where=str(recipient)) if recipient else None
    password = _read(password_file).decode("utf-8", "replace").strip() if password_file else None
    check_recipient(public, password)
    with open_store(store, Right.DISCLOSURES_HAND_OUT) as opened:
        made = make(
            opened,
            opened.store.log,
            number,
            actor=opened.actor,
            now=datetime.now(UTC),
            fonts=opened.settings.company.fonts,
        )
    sealed = seal(number, made.data, recipient=public, password=password)
    write_out(target, sealed)
    digests = digests_of(made.data)
    if as_json:
        print_json(
            {"file": str(target), "number": made.number, "rows": made.rows, "segments": made.segments, **digests}
        )
        return
    click.echo(f"Exported {sum(made.rows.values()):,} records of {made.segments:,} segments to {target} 已导出.")
    click.echo(f"  sha256 {digests['sha256']}")
    click.echo(f"  sm3    {digests['sm3']}")
    opens = "--password-file FILE" if public is None else "--private-key FILE"
    click.echo(f"Check it: liucun verify {target} {opens}")


@command.command(short_help="A key by which the authority reads an approved disclosure.")
@store_option
@click.argument("number", metavar="DISCLOSURE")
@json_option
def key(store: Path, number: str, as_json: bool) -> None:
    """Make a key by which the authority reads an approved disclosure 接口密钥 over HTTP.

    It is shown once, opens this disclosure's scope and nothing else, read only, and ends when it is
    revoked or the disclosure expires or is refused. Every answer is recorded.
    """
    from liucun.store import open_store
    from retention.disclosure.register import read
    from retention.disclosure.serving import issue_key, key_id_of

    with open_store(store, Right.DISCLOSURES_HAND_OUT) as opened:
        made = issue_key(opened, number, actor=opened.actor, now=datetime.now(UTC))
        found = read(opened, number)
    if as_json:
        print_json({"disclosure_id": number, "key": made, "key_id": key_id_of(made), "expires_at": found.expires_at})
        return
    click.echo(f"Key {key_id_of(made)} to {number}, until {found.expires_at}; it is not shown again 只显示这一次:")
    click.echo(f"  {made}")
    click.echo("GET /v1/disclosure and /v1/disclosure/records/CLASS, Authorization: Bearer KEY")


@command.command(short_help="The keys to a disclosure.")
@store_option
@click.argument("number", metavar="DISCLOSURE")
@json_option
def keys(store: Path, number: str, as_json: bool) -> None:
    """List the keys to a disclosure 密钥列表: their numbers, never the keys."""
    from dataclasses import asdict

    from liucun.store import open_store
    from retention.disclosure.register import read
    from retention.disclosure.serving import list_keys

    with open_store(store, Right.DISCLOSURES_READ) as opened:
        read(opened, number)
        found = list_keys(opened, number)
    if as_json:
        print_json([asdict(line) for line in found])
        return
    for line in found:
        over = f"revoked {line.revoked_at} by {line.revoked_by} 已吊销" if line.revoked_at else "in force 有效"
        click.echo(f"{line.key_id}  issued {line.issued_at} by {line.issued_by}; {over}")
    click.echo(f"{len(found)} keys. 个密钥。")


@command.command(short_help="Take back one key to a disclosure.")
@store_option
@click.argument("number", metavar="DISCLOSURE")
@click.argument("key_id", metavar="KEY")
@json_option
def revoke(store: Path, number: str, key_id: str, as_json: bool) -> None:
    """Take back one key by its number (see `liucun disclose keys`) 吊销; the disclosure and its other keys stay."""
    from liucun.store import open_store
    from retention.disclosure.serving import revoke_key

    with open_store(store, Right.DISCLOSURES_HAND_OUT) as opened:
        revoke_key(opened, number, key_id, actor=opened.actor, now=datetime.now(UTC))
    if as_json:
        print_json({"disclosure_id": number, "key": key_id, "revoked": True})
        return
    click.echo(f"The key {key_id} to {number} opens nothing any more 已吊销.")


def _may_stop(acting: Actor, found: Disclosure) -> None:
    if not (acting.name == found.requested_by and acting.may(Right.DISCLOSURES_REQUEST)):
        acting.require(Right.DISCLOSURES_APPROVE)


def _show(found: Disclosure, as_json: bool) -> None:
    if as_json:
        print_json(_masked(found))
        return
    scope = found.scope
    click.echo(f"{found.disclosure_id} {found.state}  {found.case.authority}, {found.case.number}")
    click.echo(f"  {', '.join(scope.classes)}; {len(scope.accounts)} accounts; {scope.since} to {scope.until}")
    click.echo(f"  by {found.requested_by}; approved by {_approved(found) or 'nobody yet'}")
    click.echo(f"  expires {found.expires_at}; exported {found.exports} times")


def _approved(found: Disclosure) -> str:
    from retention.audits.moments import in_shanghai

    both = zip(found.approvers, found.approved_at, strict=True)
    return ", ".join(f"{name} ({in_shanghai(at)} +08:00)" for name, at in both)


def _masked(found: Disclosure) -> dict[str, Any]:
    """A request as JSON without personal data."""
    from console.masking import mask_account

    told = found.as_json()
    return {**told, "scope": {**told["scope"], "accounts": [mask_account(name) for name in found.scope.accounts]}}


def _moment(text: str, option: str) -> datetime:
    from liucun.times import read_time

    try:
        return read_time(text)
    except UsageError as error:
        raise UsageError(f"{option} {text!r} is no date or time.", cure="Write 2026-11-24 or with a time.") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.", cure="Check its rights.") from error
