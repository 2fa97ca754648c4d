"""``liucun verify``: check a bundle or a proof offline, without any store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from errors import StorageError, UsageError
from liucun.cli import json_option, print_json

_FILE = click.Path(path_type=Path, dir_okay=False)
_KEYS_CURE = "Name the custodian's file `keys`, or the `verifiers` of `liucun keys list --json`, one a line."


@click.command(name="verify", short_help="Check a bundle or a proof offline; needs no store.")
@click.argument("bundle", type=_FILE)
@click.option("--keys", type=_FILE, help="The log's verifier keys as the custodian holds them, one a line.")
@click.option("--password-file", type=_FILE, help="The bundle's password.")
@click.option("--private-key", type=_FILE, help="The recipient's SM2 private key file; its passphrase is asked for.")
@click.option("--answer", type=_FILE, help="Of a query's receipt: the answer, to be compared with its digest.")
@click.option(
    "--extract", type=click.Path(path_type=Path), help="Write the files of a bundle that holds to this new folder."
)
@json_option
def command(
    bundle: Path,
    keys: Path | None,
    password_file: Path | None,
    private_key: Path | None,
    answer: Path | None,
    extract: Path | None,
    as_json: bool,
) -> None:
    """Check a bundle, or a proof of `liucun prove`, offline 离线核验, and say in words what holds.

    Exit code 0: every byte is what was signed, every row lies within the approved scope, and the
    segments are in the signed log; or the proof shows what it claims. 1: it was refused; the
    message says what does not hold.
    """
    from retention.disclosure.bundle import extracted, unseal
    from retention.disclosure.verify import verify
    from retention.transparency.verify_proof import is_proof

    if extract is not None and extract.exists():
        raise UsageError(f"{extract} exists already.", cure="Name a folder that does not exist yet.")

    data = _read(bundle)
    known = _keys(keys) if keys else []
    if is_proof(data):
        given = {"--extract": extract, "--password-file": password_file, "--private-key": private_key}
        if unused := [name for name, value in given.items() if value is not None]:
            raise UsageError(
                f"{bundle} is a proof, neither sealed nor holding files: {', '.join(unused)} cannot be used with it.",
                cure="Leave it away, or name a bundle.",
            )
        _proof(data, known, as_json, None if answer is None else _read(answer))
        return
    if answer is not None:
        raise UsageError(f"{bundle} is no receipt of a query.", cure="Leave --answer away, or name a receipt.")
    password = _read(password_file).decode("utf-8", "replace").strip() if password_file else None
    pair = None
    if private_key is not None:
        from liucun.passphrase import passphrase
        from retention.keys.sm2_envelope import read_pairs

        pairs = read_pairs(_read(private_key), passphrase(), where=str(private_key))
        pair = next(iter(pairs.values()))
    opened = unseal(data, password=password, pair=pair)
    verdict = verify(opened, known_keys=known)
    if extract is not None:
        extracted(opened, extract)
    if as_json:
        print_json(
            {
                "ok": True,
                "disclosure_id": verdict.disclosure_id,
                "authority": verdict.authority,
                "case_number": verdict.case_number,
                "rows": verdict.rows,
                "segments": verdict.segments,
                "keys": verdict.keys,
                "trusted": verdict.trusted,
                "words": verdict.words,
            }
        )
        return
    click.secho(f"{verdict.disclosure_id}: 核验通过 THE BUNDLE HOLDS", bold=True)
    click.echo(f"  {verdict.authority}, {verdict.case_number}")
    for line in verdict.words:
        click.echo(f"  {line}")


def _proof(data: bytes, known: list[str], as_json: bool, answer: bytes | None) -> None:
    from retention.transparency.verify_proof import verify_proof

    proved = verify_proof(data, known_keys=known, answer=answer)
    if as_json:
        print_json({"ok": True, **asdict(proved)})
        return
    click.secho(f"{proved.proof}: 核验通过 THE PROOF HOLDS", bold=True)
    for line in proved.words:
        click.echo(f"  {line}")
    for record_class, months in proved.rows.items():
        for month, rows in months.items():
            click.echo(f"  {record_class} {month}: {rows:,}")


def _keys(path: Path) -> list[str]:
    """The keys of a file, one a line. None would leave the proof's own word for whose it is, so none is refused."""
    from retention.transparency.note import NoteError, read_verifier

    lines = [line.strip() for line in _read(path).decode("utf-8", "replace").splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            read_verifier(line)
        except NoteError as error:
            raise UsageError(
                f"Line {number} of the keys {path} is no verifier key of a log.", cure=_KEYS_CURE
            ) from error
    if not lines:
        raise UsageError(f"The file of keys {path} is empty.", cure=_KEYS_CURE)
    return lines


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read: {error.strerror}.", cure="Check the path and its rights."
        ) from error
