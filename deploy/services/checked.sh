#!/usr/bin/env bash
# For continuous integration: start what servers can be had here, run the tests that need them, stop them,
# and say plainly what was not run. Fails when a test fails twice, when a server that was installed does not start, or
# when the tests are not through within BUDGET_SECONDS. Without ALL=1 it leaves out those that are marked slow.
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
chmod 711 "$LIUCUN_SERVICES"

mapfile -t known < <("$HERE/services.sh" list)
if [ $# -gt 0 ]; then names=("$@"); else names=("${known[@]}"); fi
finish() {
    "$HERE/services.sh" down || true
    # After a failure the folder stays: the servers' logs are in it.
    if [ -n "$own" ] && [ "${status:-1}" = 0 ]; then rm -rf "$LIUCUN_SERVICES"; else say "logs: $LIUCUN_SERVICES"; fi
}
trap finish EXIT

started=() missing=()
for name in "${names[@]}"; do
    if ! timeout "$(($(left) < INSTALL_SECONDS ? $(left) : INSTALL_SECONDS))" "$HERE/$name.sh" install; then
        missing+=("$name")
        continue
    fi
    # Once more where the machine was too busy for the first start to be ready in time.
    "$HERE/$name.sh" start || "$HERE/$name.sh" start
    started+=("$name")
done

# tests PLACE...: what failed is tried once more, as a busy machine may be too slow for a server; twice is a failure.
tests() {
    local status=0
    timeout "$(left)" "$PYTHON" -m pytest -m "$marks" -rs "$@" || status=$?
    if [ "$status" = 1 ]; then
        say "once more, what failed:"
        status=0
        timeout "$(left)" "$PYTHON" -m pytest -m "$marks" -n 0 --last-failed --last-failed-no-failures none "$@" || status=$?
    fi
    if [ "$status" = 124 ]; then say "NOT FINISHED within $BUDGET_SECONDS s: the tests of $*"; fi
    return "$status"
}

status=0
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
for name in "${known[@]}"; do
    if [[ " ${names[*]} " != *" $name "* ]]; then say "NOT RUN, because it was not asked for: the tests on $name"; fi
done
exit "$status"
