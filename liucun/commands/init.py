"""``liucun init``: make a store."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option
from liucun.key_statements import statements_of
from liucun.passphrase import passphrase
from liucun.settings import FILE_NAME, TEMPLATE, read_settings, read_settings_file
from liucun.store import prepare_tables
from retention.keys.certificates import summary
from retention.keys.settings import KeySettings
from retention.store import ArchiveSettings, Store, StoreSettings

SUITES = ("SM4-GCM-SM3", "AES-256-GCM-SHA256")
KEYS = """
[keys]
# Who keeps the top key 密钥提供者: keyring, sm2, pkcs11, sdf, tencent_kms, vault; docs/keys.md
provider = "{provider}"
"""


@click.command(name="init", short_help="Make a store: settings, key ring, catalogue.")
@store_option
@click.option(
    "--suite", type=click.Choice(SUITES), default=SUITES[0], show_default=True, help="How records are sealed."
)
@click.option(
    "--key-provider",
    type=click.Choice(("keyring", "sm2")),
    default="keyring",
    show_default=True,
    help="Who keeps the top key. With sm2, machines without the private key write and cannot read.",
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A liucun.toml to begin with: where objects, catalogue and keys lie. It becomes the store's.",
)
@json_option
def command(store: Path, suite: str, key_provider: str, settings_file: Path | None, as_json: bool) -> None:
    """Make a store 建库: its settings file, key ring and catalogue.

    The passphrase that protects the key ring (or the private key; of a token it is the PIN) comes
    from LIUCUN_PASSPHRASE, from the file named by LIUCUN_PASSPHRASE_FILE, or from a prompt. Without
    it nobody can ever read the archive again: keep a second copy where the store is not.

    With --settings the store may lie on servers (PostgreSQL, S3-compatible storage): their places must be empty,
    and any key provider may be named there.
    """
    if settings_file:
        chosen, text = read_settings_file(settings_file).store, settings_file.read_text(encoding="utf-8")
        suite = chosen.archive.suite
    else:
        chosen = StoreSettings(
            archive=ArchiveSettings.model_validate({"suite": suite}),
            keys=KeySettings.model_validate({"provider": key_provider}),
        )
        text = TEMPLATE.format(suite=suite)
        if key_provider != "keyring":
            text = text.replace("\n[run]\n", KEYS.format(provider=key_provider) + "\n[run]\n", 1)
    # A token's PIN is as long as it is; what protects a new file must be long.
    made_here = chosen.keys.provider in {"keyring", "sm2"}
    secret = cache(lambda: passphrase(new=made_here))

    def furnish(folder: Path) -> None:
        (folder / FILE_NAME).write_text(text, encoding="utf-8")

    Store.create(store, chosen, secret, furnish=furnish)
    settings = read_settings(store)
    with Store.open(store, settings.store, secret) as made:
        prepare_tables(made.catalogue)
        provider = made.provider.description
        stated = statements_of(made)
    if as_json:
        certified = all(statement.certified for statement in stated)
        print_json({"store": str(store), "suite": suite, "key_provider": provider.kind, "certified": certified})
        return
    click.echo(f"Made the store {store} (suite {suite}). 已建库。")
    click.echo(f"Keys 密钥: {provider.kind}, {provider.detail}.")
    click.echo(summary(stated))
    if provider.kind == "sm2":
        click.echo("Collectors get the public key and the index keys only, never the private keys (docs/keys.md).")
    click.echo(f"Keep the passphrase safe. Next: declare sources in {store / FILE_NAME}, or")
    click.echo("  liucun run --source transaction:csv:'/logs/*.csv'")
