"""``liucun purge``: destroy what is due, planned by one person and approved by another."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right

if TYPE_CHECKING:
    from liucun.store import OpenStore
    from retention.purge.plan import Purge


@click.command(name="purge", short_help="Destroy what is due: two people, a wait, a certificate.")
@click.option("--dry-run", is_flag=True, help="Show what may be destroyed today; nothing is changed.")
@click.option("--plan", "reason", metavar="REASON", help="Plan the destruction of what is due.")
@click.option("--class", "classes", multiple=True, metavar="CLASS", help="Only this class; repeatable. For a plan.")
@click.option("--approve", metavar="PURGE", help="Approve a plan as another person; the wait begins.")
@click.option("--digest", metavar="HEX", help="Digest of the plan that you have seen, for --approve.")
@click.option("--cancel", metavar="PURGE", help="Take back a purge that has not begun; with --reason.")
@click.option("--reason", "why", metavar="TEXT", help="Why a purge is taken back.")
@click.option("--list", "listing", is_flag=True, help="Every purge there ever was.")
@click.option("--certificate", metavar="PURGE", help="Verify and show a certificate of destruction.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the certificate for print to this new file, .pdf or .html, or with its exact text, .json.",
)
@click.option("--reshred", is_flag=True, help="Destroy again the keys that a restored backup brought back.")
@json_option
@store_option
def command(**options: Any) -> None:
    """Destroy what is due 销毁. Without an option: go on with every approved purge whose wait is over.

    \b
    liucun purge --dry-run
    liucun purge --plan "periods over, third quarter"
    liucun purge --approve P12… --digest HEX   (another person)
    liucun purge                         (after the wait, or by `liucun worker`)

    Objects are deleted and period keys overwritten, so that no copy can be read. The machine's
    clock is compared with the archive's record first; no option moves it.
    """
    chosen = [name for name in _STEPS if options.get(name) not in (None, False)]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} do not go together.", cure="Give one of them.")
    if options["classes"] and "reason" not in chosen and "dry_run" not in chosen:
        raise UsageError("--class is for a plan.", cure="Add --plan REASON or --dry-run.")
    if (options["why"] is not None) != ("cancel" in chosen):
        raise UsageError("--cancel and --reason go together.", cure="Give both, or neither.")
    if options["digest"] and "approve" not in chosen:
        raise UsageError("--digest is for --approve.", cure="Add --approve PURGE.")
    if options["report"] is not None:
        if "certificate" not in chosen:
            raise UsageError("--report is for a certificate.", cure="Add --certificate PURGE.")
        from liucun.purge_certificate import check_target

        check_target(options["report"])
    from liucun.store import open_store

    step, needs = _STEPS[chosen[0] if chosen else "go_on"]
    with open_store(options["store"], needs) as opened:
        step(opened, options)


def _dry_run(opened: OpenStore, options: dict[str, Any]) -> None:
    from retention.policies.periods import shanghai_date
    from retention.policies.simulate import simulate
    from retention.purge.plan import due_units, part_units
    from retention.purge.upkeep import bring_up_to_date

    settings, now = opened.settings.retention, datetime.now(UTC)
    bring_up_to_date(opened, settings)
    due = due_units(opened, now, settings, options["classes"] or None)
    parts = part_units(opened, now, settings, options["classes"] or None)
    with opened.catalogue.read() as connection:
        forecast = simulate(connection, shanghai_date(now), settings=settings)
    if options["as_json"]:
        held = [state.as_json() for state in forecast.units if state.verdict.value == "held"]
        divided = [{**part.state.as_json(), "run_out": part.run_out} for part in parts]
        print_json({"due": [state.as_json() for state in due], "divided": divided, "held": held})
        return
    for state in due:
        click.echo(
            f"{state.record_class} {' '.join(state.periods)}: {state.rows:,} records, {state.bytes_stored:,} bytes, "
            f"{len(state.segments)} segments, expired {state.expires_on}"
        )
        click.echo(f"  {state.policy.label}: {state.policy.basis}")
    for part in parts:
        state = part.state
        click.echo(
            f"{state.record_class} {' '.join(state.periods)}: {part.run_out:,} of {state.rows:,} records; the rest is "
            "sealed anew under other keys 其余记录换钥保存"
        )
    for state in forecast.units:
        if state.verdict.value == "held":
            why = "; ".join(f"{reason.code}: {reason.detail}" for reason in state.reasons)
            click.echo(f"held 保全: {state.record_class} {' '.join(state.periods)}  {why}")
    total = sum(state.rows for state in due) + sum(part.run_out for part in parts)
    click.echo(f"{total:,} records may be destroyed today. 可销毁。Nothing was changed.")


def _plan(opened: OpenStore, options: dict[str, Any]) -> None:
    from retention.purge.plan import plan
    from retention.purge.upkeep import bring_up_to_date, witnessed_at

    settings = opened.settings.retention
    bring_up_to_date(opened, settings)
    made = plan(
        opened,
        reason=options["reason"],
        actor=opened.actor,
        now=datetime.now(UTC),
        settings=settings,
        classes=options["classes"] or None,
        witnessed=witnessed_at(opened.store.log),
    )
    _show(made, options)
    if not options["as_json"]:
        click.echo(f"Another person approves it: liucun purge --approve {made.purge_id} --digest {made.plan_digest}")


def _approve(opened: OpenStore, options: dict[str, Any]) -> None:
    from retention.purge.plan import approve

    if options["digest"] is None:
        raise UsageError(
            "An approval names the digest of the plan that was seen.",
            cure="`liucun purge --list --json` shows it: --digest HEX.",
        )
    made = approve(
        opened,
        options["approve"],
        digest=options["digest"],
        actor=opened.actor,
        now=datetime.now(UTC),
        settings=opened.settings.retention,
    )
    _show(made, options)


def _cancel(opened: OpenStore, options: dict[str, Any]) -> None:
    from retention.purge.plan import cancel

    _show(cancel(opened, options["cancel"], reason=options["why"], actor=opened.actor, now=datetime.now(UTC)), options)


def _list(opened: OpenStore, options: dict[str, Any]) -> None:
    from retention.audits.moments import in_shanghai
    from retention.purge.plan import list_purges

    found = list_purges(opened.catalogue)
    if options["as_json"]:
        print_json([purge.as_json() for purge in found])
        return
    for purge in found:
        records = sum(unit.rows for unit in purge.units if unit.state != "dropped")
        planned = in_shanghai(purge.planned_at)
        click.echo(
            f"{purge.purge_id} {purge.state}  {records:,} records 条记录, "
            f"planned 计划于 {planned} (+08:00): {purge.reason}"
        )
    click.echo(f"{len(found)} purges. 次销毁。")


def _certificate(opened: OpenStore, options: dict[str, Any]) -> None:
    from liucun.purge_certificate import show

    show(opened, options["certificate"], as_json=options["as_json"], report=options["report"])


def _reshred(opened: OpenStore, options: dict[str, Any]) -> None:
    from retention.purge.upkeep import reshred

    keys = reshred(opened)
    if options["as_json"]:
        print_json({"keys": keys})
    else:
        click.echo(f"{len(keys)} keys destroyed again. 已重新销毁。")


def _go_on(opened: OpenStore, options: dict[str, Any]) -> None:
    from liucun.keepers import load_keepers
    from retention.purge.upkeep import keep_up, witnessed_at

    load_keepers()
    done = keep_up(
        opened,
        signers=opened.store.log.signers,
        actor=opened.actor,
        now=datetime.now(UTC),
        settings=opened.settings.retention,
        witnessed=witnessed_at(opened.store.log),
    )
    if options["as_json"]:
        print_json(done.as_json())
        done.raise_failed()
        return
    for purge_id in done.certified:
        click.echo(f"{purge_id}: destroyed and certified. 已销毁并出具证明。")
    for purge_id in done.final:
        click.echo(f"{purge_id}: its certificate is final. 证明最终生效。")
    for purge_id, why in done.unfinished.items():
        click.echo(f"{purge_id}: waits. {why}")
    done.raise_failed()
    if not (done.certified or done.final or done.unfinished):
        click.echo("No approved purge has waited long enough. 没有可执行的销毁。")


def _show(purge: Purge, options: dict[str, Any]) -> None:
    if options["as_json"]:
        print_json(purge.as_json())
        return
    click.secho(f"{purge.purge_id}: {purge.state}", bold=True)
    for unit in purge.units:
        kept = f", {unit.kept_rows:,} of them sealed anew" if unit.kept_rows else ""
        click.echo(f"  {unit.record_class} {unit.periods}: {unit.rows:,} records{kept}, {unit.bytes_stored:,} bytes")
        click.echo(f"    {unit.policy}; expired {unit.expired_on}")
    click.echo(f"  plan 计划摘要 {purge.plan_digest}")
    if purge.waits_until and purge.state == "approved":
        click.echo(f"  waits until 等待至 {purge.waits_until}; until then: liucun purge --cancel {purge.purge_id}")


_STEPS = {
    "dry_run": (_dry_run, Right.RETENTION_READ),
    "reason": (_plan, Right.DESTRUCTION_PLAN),
    "approve": (_approve, Right.DESTRUCTION_APPROVE),
    "cancel": (_cancel, Right.DESTRUCTION_PLAN),
    "listing": (_list, Right.RETENTION_READ),
    "certificate": (_certificate, Right.RETENTION_READ),
    "reshred": (_reshred, Right.ARCHIVE_OPERATE),
    "go_on": (_go_on, Right.ARCHIVE_OPERATE),
}
