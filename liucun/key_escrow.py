"""The commands of ``liucun keys`` around escrow: export a copy, import it, make a custodian's key pair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right

if TYPE_CHECKING:
    from liucun.store import OpenStore

ESCROW_PASSPHRASE = "LIUCUN_ESCROW_PASSPHRASE"
PROMPT = "Escrow passphrase 托管口令"


@click.command(name="export-escrow", short_help="Seal the provider's keys to a second custodian.")
@store_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--recipient",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The custodian's SM2 public key (PEM or hex). [default: a passphrase]",
)
@json_option
def export_escrow(store: Path, file: Path, recipient: Path | None, as_json: bool) -> None:
    """Seal the provider's keys to a second custodian 密钥托管, in a new FILE.

    Without --recipient the copy is under a passphrase that only the custodian should know,
    from LIUCUN_ESCROW_PASSPHRASE, LIUCUN_ESCROW_PASSPHRASE_FILE or a prompt.
    """
    from liucun.passphrase import passphrase
    from liucun.store import open_store
    from retention.crypto.sm2 import read_public
    from retention.keys import administration, escrow

    with open_store(store, Right.KEYS_MANAGE) as opened:
        public = (
            read_public(recipient.read_text(encoding="utf-8", errors="replace"), where=str(recipient))
            if recipient
            else None
        )
        words = None if public else passphrase(new=True, variable=ESCROW_PASSPHRASE, prompt=PROMPT)
        body = {"provider": opened.store.provider.description.kind}
        with administration.recorded(opened.catalogue, "keys.escrow", opened.actor, body) as done:
            index = opened.root / opened.settings.keys.index
            copy = escrow.export(file, opened.store.provider, recipient=public, passphrase=words, index=index)
            done.update({"key_ids": list(copy.key_ids), "recipient": copy.recipient, "digest": copy.digest})
    if as_json:
        print_json({"file": str(file), "recipient": copy.recipient, "key_ids": copy.key_ids, "digest": copy.digest})
        return
    click.echo(f"Wrote {file}: {len(copy.key_ids)} keys for {copy.recipient}; SHA-256 {copy.digest}.")
    click.echo("Give it to the second custodian and keep no copy beside the store. Rehearse: docs/keys.md.")


@click.command(name="import-escrow", short_help="Put lost provider keys back from an escrow copy.")
@store_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--private-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The custodian's SM2 private keys' file, for a copy made with --recipient.",
)
@json_option
def import_escrow(store: Path, file: Path, private_key: Path | None, as_json: bool) -> None:
    """Put lost provider keys back from an escrow copy 恢复. A key ring that is there is never replaced.

    The custodian's passphrase (of the copy, or of the private keys) comes from
    LIUCUN_ESCROW_PASSPHRASE, LIUCUN_ESCROW_PASSPHRASE_FILE or a prompt; LIUCUN_PASSPHRASE
    becomes the store's new passphrase.
    """
    from liucun.passphrase import passphrase
    from liucun.settings import read_settings
    from liucun.store import ANYBODY, open_store
    from retention.keys import administration, escrow
    from retention.keys.sm2_envelope import read_pairs

    def theirs() -> str:
        return passphrase(variable=ESCROW_PASSPHRASE, prompt=PROMPT)

    settings = read_settings(store)
    pairs = read_pairs(private_key.read_bytes(), theirs(), where=str(private_key)) if private_key else None
    new = passphrase(new=True)
    copy = escrow.restore(store, settings.keys, file, new_passphrase=new, passphrase=theirs, private_keys=pairs)
    # Before this nobody could open the store: what the custodian's secret restores is his to restore.
    with open_store(store, ANYBODY) as opened:
        body = {"key_ids": list(copy.key_ids), "digest": copy.digest, "made_at": copy.made_at}
        with administration.recorded(opened.catalogue, "keys.restore", opened.actor, body) as done:
            done["opened"] = _opens(opened)
    if as_json:
        print_json({"key_ids": copy.key_ids, "made_at": copy.made_at, "digest": copy.digest, "opened": done["opened"]})
        return
    click.echo(f"Restored {len(copy.key_ids)} provider keys of {copy.made_at}; {done['opened']} period keys open.")


@click.command(name="make-recipient", short_help="Make an SM2 key pair for a second custodian.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@json_option
def make_recipient(folder: Path, as_json: bool) -> None:
    """Make an SM2 key pair for a second custodian 托管人密钥, on the custodian's own machine.

    FOLDER gets public.pem, for `liucun keys export-escrow --recipient`, and private.json,
    under a passphrase from LIUCUN_ESCROW_PASSPHRASE, LIUCUN_ESCROW_PASSPHRASE_FILE or a prompt.
    """
    from liucun.passphrase import passphrase
    from retention.keys.settings import Sm2Settings
    from retention.keys.sm2_envelope import Sm2Envelope

    words = passphrase(new=True, variable=ESCROW_PASSPHRASE, prompt=PROMPT)
    where = Sm2Settings(public_key="public.pem", private_key="private.json")
    key_id = Sm2Envelope.create(folder, where, words).description.key_id
    if as_json:
        print_json({"key_id": key_id, "public": str(folder / "public.pem"), "private": str(folder / "private.json")})
        return
    click.echo(f"Made {key_id}: hand out {folder / 'public.pem'}, keep {folder / 'private.json'} and its passphrase.")


def _opens(opened: OpenStore) -> int:
    """Open every living period key; a restored ring that is too old is found here and not years later."""
    living = [key for key in opened.period_keys.list() if key.destroyed_at is None]
    for key in living:
        opened.period_keys.get(key.key_id)
    return len(living)
