"""``liucun keys``: list, rotate, rewrap, shred, escrow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from liucun.cli import json_option, print_json, store_option
from liucun.key_escrow import export_escrow, import_escrow, make_recipient
from retention.keys.settings import ProviderKind
from tickets.rights import Right

if TYPE_CHECKING:
    from liucun.store import OpenStore
    from retention.keys.administration import Change
    from retention.keys.provider import KeyProvider

NEW_PASSPHRASE = "LIUCUN_NEW_PASSPHRASE"


@click.group(name="keys", short_help="Keys: list, rotate, rewrap, shred, escrow.")
def command() -> None:
    """Look after the archive's keys 密钥: three levels, the provider's, one a class and month, one a segment."""


for _escrow in (export_escrow, import_escrow, make_recipient):
    command.add_command(_escrow)


@command.command(name="list", short_help="Show the provider, its keys, period keys and certificates.")
@store_option
@click.option("--all", "everything", is_flag=True, help="Show destroyed keys, too.")
@json_option
def list_keys(store: Path, everything: bool, as_json: bool) -> None:
    """Show the provider and its keys, the period keys, the log's signing keys, escrow and certificates 密钥清单."""
    from liucun.key_statements import statements_of
    from liucun.store import open_store
    from retention.keys.administration import HoldsKeys, last_escrow
    from retention.keys.signing import load_verifiers

    with open_store(store, Right.KEYS_READ) as opened:
        provider = opened.store.provider
        who = provider.description
        ids = list(provider.key_ids) if isinstance(provider, HoldsKeys) and who.can_unwrap else [who.key_id]
        rows = [key for key in opened.period_keys.list() if everything or key.destroyed_at is None]
        escrow = last_escrow(opened.catalogue)
        stated = statements_of(opened.store)
        verifiers = [verifier.encode() for verifier in load_verifiers(opened.period_keys)]
    uncovered = sorted(set(ids) - set(_ids(escrow)))
    if as_json:
        print_json(
            {
                "provider": {"kind": who.kind, "key_id": who.key_id, "detail": who.detail, "can_read": who.can_unwrap},
                "provider_keys": ids,
                "escrow": escrow,
                "not_in_escrow": uncovered if _exportable(who.kind) else [],
                "certificates": [
                    {"job": s.job, "certified": s.certified, "certificate": s.certificate, "done_by": s.done_by}
                    for s in stated
                ],
                "verifiers": verifiers,
                "keys": [
                    {
                        "key_id": key.key_id,
                        "record_class": key.record_class,
                        "period": key.period,
                        "generation": key.generation,
                        "created_at": key.created_at,
                        "destroyed_at": key.destroyed_at,
                        "collector": key.collector,
                    }
                    for key in rows
                ],
            }
        )
        return
    click.echo(f"provider 密钥提供者: {who.kind}, {who.detail}")
    click.echo(f"provider keys 主密钥: {', '.join(ids)} (current 当前: {who.key_id})")
    for statement in stated:
        click.echo(f"  {statement.words}")
    if _exportable(who.kind):
        said = "never 从未" if escrow is None else f"{escrow['at']} → {escrow['recipient']}"
        click.echo(f"escrow 托管: {said}" + (f"; not in it 未托管: {', '.join(uncovered)}" if uncovered else ""))
    for text in verifiers:
        click.echo(f"signs the log 签名公钥: {text}")
    click.echo(f"period keys 分期密钥: {len(rows):,}")
    for key in rows:
        state = f"destroyed 已销毁 {key.destroyed_at}" if key.destroyed_at else f"made {key.created_at[:10]}"
        click.echo(f"  {key.record_class:20} {key.period:8} {key.key_id}  {state}")


@command.command(short_help="Make the provider's next key and rewrap everything under it.")
@store_option
@click.option("--forget-old", is_flag=True, help="Drop the provider's older keys once nothing is wrapped by them.")
@click.option("--signing", is_flag=True, help="Renew the keys that sign the log, instead of the provider's key.")
@json_option
def rotate(store: Path, forget_old: bool, signing: bool, as_json: bool) -> None:
    """Make the provider's next key and rewrap everything under it 轮换. No segment is touched.

    Backups of the store of period keys from before a rotation need the older keys: forget
    those (--forget-old) only when such backups are gone. Escrow copies go out of date: make new ones.
    """
    from liucun.audit_progress import progress
    from liucun.store import open_store
    from retention.keys import administration
    from retention.keys.signing import renew_signers

    with open_store(store, Right.KEYS_MANAGE) as opened:
        if signing:
            with administration.recorded(opened.catalogue, "keys.signing", opened.actor, {}) as done:
                names = [signer.verifier.encode() for signer in renew_signers(opened.period_keys)]
                done["verifiers"] = names
            if as_json:
                print_json({"verifiers": names})
            else:
                click.echo("The log is signed by new keys from now on; hand these to the second custodian:")
                click.echo("\n".join(f"  {name}" for name in names))
            return
        with progress(quiet=as_json) as show:
            change = administration.rotate(
                opened.catalogue, opened.period_keys, actor=opened.actor, forget_old=forget_old, progress=show
            )
    _show(change, as_json)


@command.command(short_help="Wrap every period key anew, by this provider or another.")
@store_option
@click.option("--to", type=click.Choice(get_args(ProviderKind)), help="Move to another provider.")
@click.option("--forget-old", is_flag=True, help="Drop the provider's older keys once nothing is wrapped by them.")
@json_option
def rewrap(store: Path, to: ProviderKind | None, forget_old: bool, as_json: bool) -> None:
    """Wrap every period key anew 重新封装, by the provider's current key or by another provider. No segment is touched.

    With --to the settings must have the other provider's section; its passphrase or PIN comes
    from LIUCUN_NEW_PASSPHRASE, LIUCUN_NEW_PASSPHRASE_FILE or a prompt. Stop other processes first.
    """
    from liucun.audit_progress import progress
    from liucun.settings_edit import set_key_provider
    from liucun.store import open_store
    from retention.keys import administration
    from retention.keys.provider import close_provider

    with open_store(store, Right.KEYS_MANAGE) as opened:
        moving = to is not None and to != opened.settings.keys.provider
        new = _moved(opened, to) if moving and to else opened.store.provider
        other: KeyProvider = new
        try:
            with progress(quiet=as_json) as show:
                change = administration.rewrap(
                    opened.catalogue,
                    opened.period_keys,
                    new,
                    actor=opened.actor,
                    forget_old=forget_old,
                    progress=show,
                )
            # From here the store is open under the new provider: its log is signed by keys that this one wraps.
            other, opened.store.provider = opened.store.provider, new
            if moving and to:
                set_key_provider(opened.root, to)
        finally:
            if moving:
                close_provider(other)
    _show(change, as_json)


@command.command(short_help="Destroy a period key that seals nothing any more.")
@store_option
@click.argument("key_id")
@click.option("--reason", required=True, help="Why; it is recorded.")
@json_option
def shred(store: Path, key_id: str, reason: str, as_json: bool) -> None:
    """Destroy a period key that seals nothing any more 销毁. Nobody can undo it.

    A key that a policy's floor, a hold or any record still needs is refused: records and
    their keys go by `liucun purge`, with a second person and a certificate.
    """
    from liucun.store import open_store
    from retention.keys import administration

    with open_store(store, Right.KEYS_MANAGE) as opened:
        record = administration.shred(
            opened.catalogue,
            opened.period_keys,
            key_id,
            actor=opened.actor,
            reason=reason,
            why_not=lambda key: _why_not(opened, key),
        )
    if as_json:
        print_json({"key_id": key_id, "record_class": record.record_class, "period": record.period, "destroyed": True})
    else:
        click.echo(f"Destroyed 已销毁 {key_id} of {record.record_class} {record.period}. Backups of keys live 30 days.")


def _moved(opened: OpenStore, to: ProviderKind) -> KeyProvider:
    """The provider that a store moves to, made where it does not exist yet."""
    from errors import UsageError
    from liucun.passphrase import passphrase
    from retention.keys.index import IndexKeys
    from retention.keys.opening import create_provider, open_provider
    from retention.keys.settings import Sm2Settings

    def secret() -> str:
        return passphrase(variable=NEW_PASSPHRASE, prompt="Passphrase or PIN of the new provider 新口令")

    def new_secret() -> str:
        return passphrase(new=True, variable=NEW_PASSPHRASE, prompt="Passphrase of the new provider 新口令")

    root, keys = opened.root, opened.settings.keys
    there = {"keyring": keys.keyring, "sm2": (keys.sm2 or Sm2Settings()).public_key}.get(to)
    if there is None:
        provider = create_provider(root, keys, secret, kind=to)
    elif (root / there).exists():
        provider = open_provider(root, keys, secret, kind=to)
    else:
        provider = create_provider(root, keys, new_secret, kind=to)
    if not provider.description.can_unwrap:
        raise UsageError(
            f"The private key of {to} is not here: afterwards nobody could read on this machine.",
            cure="Do this where the private key is.",
        )
    if to == "sm2" and IndexKeys.read(root / keys.index) is None:
        # Look-ups by keyed hashes go on with the key they had; what is sealed from now on gets another.
        lasting = sorted({k.record_class for k in opened.period_keys.list() if k.period == "always"})
        kept = {name: opened.period_keys.index_key(name) for name in lasting}
        IndexKeys.create(root / keys.index, kept)
        for name in lasting:
            opened.period_keys.renew(name, "always")
    return provider


def _why_not(opened: OpenStore, key_id: str) -> str | None:
    """What policies and holds say against destroying a key: the records of its unit, or nothing where it has none."""
    from liucun.keepers import load_keepers
    from retention.keys.periods import place_of
    from retention.policies.judge import Verdict, judge
    from retention.policies.periods import shanghai_date
    from retention.purge.beside import sealed_beside

    load_keepers()
    record_class, _ = place_of(key_id)
    with opened.catalogue.read() as connection:
        states = [s for s in judge(connection, shanghai_date(datetime.now(UTC))) if s.key_id == key_id]
        beside = sealed_beside(connection, key_id, record_class)
    for state in states:
        if state.verdict is not Verdict.DUE:
            return "; ".join(f"{reason.code}: {reason.detail}" for reason in state.reasons)
    return f"{beside:,} rows of {record_class} lie under it in the database" if beside else None


def _exportable(kind: str) -> bool:
    return kind in {"keyring", "sm2"}


def _ids(escrow: dict[str, object] | None) -> list[str]:
    found = escrow.get("key_ids") if escrow else None
    return [str(item) for item in found] if isinstance(found, list) else []


def _show(change: Change, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "provider": change.provider,
                "key_id": change.key_id,
                "rewrapped": change.rewrapped,
                "forgotten": change.forgotten,
            }
        )
        return
    click.echo(
        f"{change.rewrapped:,} keys are wrapped by {change.provider} {change.key_id} now; no segment was touched."
    )
    if change.forgotten:
        click.echo(f"Forgotten 已弃用: {', '.join(change.forgotten)}")
    if _exportable(change.provider):
        click.echo("Escrow copies made before are out of date: `liucun keys export-escrow`.")
