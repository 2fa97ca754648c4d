"""``liucun init``: make a store."""

from __future__ import annotations

from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option
from liucun.passphrase import passphrase
from liucun.settings import FILE_NAME, TEMPLATE, read_settings, read_settings_file
from liucun.store import prepare_tables
from retention.store import ArchiveSettings, Store, StoreSettings

SUITES = ("SM4-GCM-SM3", "AES-256-GCM-SHA256")


@click.command(name="init", short_help="Make a store: settings, key ring, catalogue.")
@store_option
@click.option(
    "--suite", type=click.Choice(SUITES), default=SUITES[0], show_default=True, help="How records are sealed."
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A liucun.toml to begin with: where objects, catalogue and keys lie. It becomes the store's.",
)
@json_option
def command(store: Path, suite: str, settings_file: Path | None, as_json: bool) -> None:
    """Make a store 建库: its settings file, key ring and catalogue.

    The passphrase that protects the key ring comes from LIUCUN_PASSPHRASE, from the file
    named by LIUCUN_PASSPHRASE_FILE, or from a prompt. Without it nobody can ever read the
    archive again: keep a second copy where the store is not.

    With --settings the store may lie on servers (PostgreSQL, S3-compatible storage): their places must be empty.
    """
    secret = passphrase(new=True)
    if settings_file:
        chosen, text = read_settings_file(settings_file).store, settings_file.read_text(encoding="utf-8")
        suite = chosen.archive.suite
    else:
        chosen = StoreSettings(archive=ArchiveSettings.model_validate({"suite": suite}))
        text = TEMPLATE.format(suite=suite)

    def furnish(folder: Path) -> None:
        (folder / FILE_NAME).write_text(text, encoding="utf-8")

    Store.create(store, chosen, secret, furnish=furnish)
    settings = read_settings(store)
    with Store.open(store, settings.store, secret) as made:
        prepare_tables(made.catalogue)
        provider = made.provider.description
    if as_json:
        print_json({"store": str(store), "suite": suite, "key_provider": provider.kind, "certified": False})
        return
    click.echo(f"Made the store {store} (suite {suite}). 已建库。")
    click.echo("Keys: embedded key ring, software cryptography, uncertified 未取得商用密码产品认证.")
    click.echo(f"Keep the passphrase safe. Next: declare sources in {store / FILE_NAME}, or")
    click.echo("  liucun run --source transaction:csv:'/logs/*.csv'")
