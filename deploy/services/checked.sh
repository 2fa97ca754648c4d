#!/usr/bin/env bash
# For continuous integration: start what servers can be had here, run the tests that need them, stop them,
# and say plainly what was not run. Fails when a test fails twice. With STRICT=1 it also fails when a server does not
# start, or when the tests are not through within BUDGET_SECONDS; else it only says so. Without ALL=1 it leaves out
# those that are marked slow.
. "$(dirname "$0")/lib.sh"

INSTALL_SECONDS=${INSTALL_SECONDS:-900}
BUDGET_SECONDS=${BUDGET_SECONDS:-3600}
left() { echo $((BUDGET_SECONDS > SECONDS + 1 ? BUDGET_SECONDS - SECONDS : 1)); }
marks="services and not slow"
if [ -n "${ALL:-}" ]; then marks=services; fi
own=
if [ -z "${LIUCUN_SERVICES:-}" ]; then own=1; fi
export LIUCUN_SERVICES=${LIUCUN_SERVICES:-$(mktemp -d "${TMPDIR:-/tmp}/liucun-services.XXXXXX")}
# The system users of the servers must be able to look into the folder; what is secret in it has rights of its own.
mkdir -p "$LIUCUN_SERVICES"
chmod 711 "$LIUCUN_SERVICES"

mapfile -t known < <("$HERE/services.sh" list)
if [ $# -gt 0 ]; then names=("$@"); else names=("${known[@]}"); fi
finish() {
    "$HERE/services.sh" down || true
    # After a failure the folder stays: the servers' logs are in it.
    if [ -n "$own" ] && [ "${status:-1}" = 0 ]; then rm -rf "$LIUCUN_SERVICES"; else say "logs: $LIUCUN_SERVICES"; fi
}
trap finish EXIT

started=() missing=() dead=() unfinished=()
for name in "${names[@]}"; do
    if ! timeout "$(($(left) < INSTALL_SECONDS ? $(left) : INSTALL_SECONDS))" "$HERE/$name.sh" install; then
        missing+=("$name")
        continue
    fi
    # Once more where the machine was too busy for the first start to be ready in time.
    if "$HERE/$name.sh" start || "$HERE/$name.sh" start; then started+=("$name"); else dead+=("$name"); fi
done

# Whether a test of the last run failed, as pytest remembers.
failed() {
    "$PYTHON" -c 'import json, pathlib, sys
kept = pathlib.Path(".pytest_cache/v/cache/lastfailed")
sys.exit(0 if kept.exists() and json.loads(kept.read_text()) else 1)'
}

# pytests OPTION...: within what is left of the budget; 124 when it ran out and nothing had failed till then.
pytests() {
    local status=124
    if [ "$(left)" -gt 30 ]; then
        status=0
        timeout -s INT -k 60 "$(left)" "$PYTHON" -m pytest -m "$marks" "$@" || status=$?
    fi
    # 137: it did not end within a minute after the time was up, and was killed.
    if [ "$status" = 137 ] && [ "$(left)" -le 1 ]; then status=124; fi
    if [ "$status" = 124 ] && failed; then status=1; fi
    return "$status"
}

# tests PLACE...: what failed is tried once more on servers started anew, as a busy machine may be too slow for one, and
# a test that failed may have left its server in disorder; twice is a failure.
tests() {
    local status=0
    pytests -rs --cache-clear "$@" || status=$?
    if [ "$status" = 1 ]; then
        say "once more, what failed, on servers started anew:"
        "$HERE/services.sh" down "${started[@]}" || true
        "$HERE/services.sh" up "${started[@]}" || true
        status=0
        pytests "$@" -n 0 --last-failed --last-failed-no-failures none || status=$?
    fi
    if [ "$status" = 124 ]; then
        unfinished+=("$*")
        [ -n "${STRICT:-}" ] || status=0
    fi
    return "$status"
}

status=0
if [ ${#dead[@]} -gt 0 ] && [ -n "${STRICT:-}" ]; then status=1; fi
if [ ${#started[@]} -gt 0 ]; then
    cd "$PROJECT"
    # Those of the rooms run side by side, each in a database of its own; those of tests/services stop servers, so alone.
    tests -n 2 tests --ignore tests/services || status=$?
    tests -n 0 tests/services || status=$?
fi
if [ -z "${ALL:-}" ]; then say "NOT RUN, because they take long: the tests marked slow (make test-services runs them)"; fi
say "tests ran on: ${started[*]:-no server at all}"
if [ ${#missing[@]} -gt 0 ]; then
    say "NOT RUN, because they could not be installed here: the tests on ${missing[*]}"
fi
if [ ${#dead[@]} -gt 0 ]; then say "NOT RUN, because they did not start (logs above): the tests on ${dead[*]}"; fi
for some in "${unfinished[@]}"; do say "NOT FINISHED within $BUDGET_SECONDS s: the tests of $some"; done
for name in "${known[@]}"; do
    if [[ " ${names[*]} " != *" $name "* ]]; then say "NOT RUN, because it was not asked for: the tests on $name"; fi
done
exit "$status"
