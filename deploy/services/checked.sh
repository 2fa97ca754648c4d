#!/usr/bin/env bash
# For continuous integration: start what servers can be had here, run the tests that need them, stop them,
# and say plainly what was not run. Fails when a test fails, or when a server that was installed does not start.
. "$(dirname "$0")/lib.sh"

INSTALL_SECONDS=${INSTALL_SECONDS:-900}
TEST_SECONDS=${TEST_SECONDS:-1800}
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
    if ! timeout "$INSTALL_SECONDS" "$HERE/$name.sh" install; then
        missing+=("$name")
        continue
    fi
    "$HERE/$name.sh" start
    started+=("$name")
done

status=0
if [ ${#started[@]} -gt 0 ]; then
    (cd "$PROJECT" && timeout "$TEST_SECONDS" make --no-print-directory test-services) || status=$?
fi
say "tests ran on: ${started[*]:-no server at all}"
if [ ${#missing[@]} -gt 0 ]; then
    say "NOT RUN, because they could not be installed here: the tests on ${missing[*]}"
fi
for name in "${known[@]}"; do
    if [[ " ${names[*]} " != *" $name "* ]]; then say "NOT RUN, because it was not asked for: the tests on $name"; fi
done
exit "$status"
