"""``liucun prove``: what an inspector takes away and checks without the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right

if TYPE_CHECKING:
    from liucun.store import OpenStore

_OUT = click.option(
    "--out",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The proof's file; it must not exist.",
)


@click.group(name="prove", short_help="Proofs to take away: an entry, a continued log, all of it.")
def command() -> None:
    """Make proofs of the transparency log 出具日志证明, to be checked elsewhere by `liucun verify FILE`."""


@command.command(name="segment", short_help="That a segment stands in the log.")
@click.argument("segment")
@_OUT
@json_option
@store_option
def segment_(segment: str, output: Path, as_json: bool, store: Path) -> None:
    """Prove that a segment stands in the signed log 分段存证, with its manifest."""
    from retention.catalogue.events import SEGMENT
    from retention.transparency.proofs import prove_entry

    _make(store, output, as_json, f"segment:{segment}", lambda opened: prove_entry(opened.store.log, SEGMENT, segment))


@command.command(name="event", short_help="That an event stands in the log.")
@click.argument("number", type=click.IntRange(min=1, max=(1 << 63) - 1))
@_OUT
@json_option
@store_option
def event_(number: int, output: Path, as_json: bool, store: Path) -> None:
    """Prove that an event stands in the signed log 事件存证, with what it says."""
    from retention.catalogue.events import EVENT
    from retention.transparency.proofs import prove_entry

    _make(store, output, as_json, f"event:{number}", lambda opened: prove_entry(opened.store.log, EVENT, str(number)))


@command.command(name="consistency", short_help="That the log continues an older checkpoint.")
@click.argument("old", metavar="CHECKPOINT")
@_OUT
@json_option
@store_option
def consistency_(old: str, output: Path, as_json: bool, store: Path) -> None:
    """Prove that today's log begins with the one of an older checkpoint 一致性证明.

    CHECKPOINT is the file of a signed checkpoint that an inspector or the custodian kept, or the
    number of entries of one that the archive has.
    """
    from retention.transparency.proofs import prove_consistency

    _make(store, output, as_json, "consistency", lambda opened: prove_consistency(opened.store.log, _checkpoint(old)))


def _checkpoint(old: str) -> str | int:
    from retention.transparency.note import MAX_NOTE_BYTES

    if old.isascii() and old.isdigit() and len(old) < 19:
        return int(old)
    try:
        with Path(old).open("rb") as file:
            return file.read(MAX_NOTE_BYTES + 1).decode("utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The checkpoint {old[:200]!r} cannot be read.", cure="Name the file of a signed checkpoint, or a size."
        ) from error


@command.command(name="completeness", short_help="All entries and manifests: nothing is left out.")
@_OUT
@json_option
@store_option
def completeness_(output: Path, as_json: bool, store: Path) -> None:
    """Prove which segments there are, were merged and were destroyed, and that none is left out 完整性证明."""
    from retention.transparency.proofs import prove_completeness

    _make(store, output, as_json, "completeness", lambda opened: prove_completeness(opened.store.log))


@command.command(name="query", short_help="The receipt of a query: words, state of the archive, digest of the answer.")
@click.argument("query_id", metavar="QUERY")
@_OUT
@json_option
@store_option
def query_(query_id: str, output: Path, as_json: bool, store: Path) -> None:
    """Make the receipt of a query 查询凭据: who asked what and why, of which state, and the answer's digest.

    QUERY is the number that `liucun query --output` shows, or that `audit_events` has as query:… It
    shows the query's words. `liucun verify RECEIPT --answer FILE` compares the answer with it.
    """
    from retention.query.receipt import receipt

    _make(
        store,
        output,
        as_json,
        f"query:{query_id}",
        lambda opened: receipt(opened, opened.store.log, query_id),
        needs=(Right.AUDIT_RUN, Right.ARCHIVE_QUERY),
    )


def _make(
    store: Path,
    output: Path,
    as_json: bool,
    what: str,
    prove: Callable[[OpenStore], dict[str, Any]],
    needs: Right | tuple[Right, ...] = Right.AUDIT_RUN,
) -> None:
    from liucun.store import open_store

    if output.exists():
        raise UsageError(f"{output} exists already.", cure="Name a file that does not exist yet.")
    with open_store(store, needs) as opened:
        shown = take_out(opened, output, what, prove)
    if as_json:
        print_json(shown)
        return
    click.echo(f"{output}: {shown['bytes']:,} bytes. 已出具证明。")
    click.echo(f"  liucun verify {output} --keys FILE")


def take_out(
    opened: OpenStore, output: Path, what: str, prove: Callable[[OpenStore], dict[str, Any]]
) -> dict[str, Any]:
    """Number what waits, make a proof, check it, record that it is taken away, and write it to a new file."""
    from retention.catalogue import events
    from retention.new_file import write_out
    from retention.transparency.proofs import proof_bytes
    from retention.transparency.verify_proof import verify_proof

    log = opened.store.log
    log.keep()
    data = proof_bytes(prove(opened))
    proved = verify_proof(data, known_keys=[verifier.encode() for verifier in log.verifiers])
    # The event first: nothing is taken away of which the log does not know.
    with opened.catalogue.write() as connection:
        body = {"size": proved.size, "digest": log.suite.hash(data).hex()}
        events.append(connection, kind="log.proved", actor=opened.actor, subject=f"proof:{what}", body=body)
    write_out(output, data)
    return {"file": str(output), "bytes": len(data), "proof": proved.proof, "size": proved.size}
