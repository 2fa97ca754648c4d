#!/usr/bin/env bash
# All servers together: services.sh up|down|status|install|list|env [NAME...]
#
# Without names: every server that has a script here. `up` ends by writing $SERVICES/env,
# which a shell can source and the tests read.
. "$(dirname "$0")/lib.sh"

# In the order in which they start; they stop in the opposite one.
ORDER=(postgres s3 kafka flink elasticsearch)

known() { local name; for name in "${ORDER[@]}"; do if [ -x "$HERE/$name.sh" ]; then echo "$name"; fi; done; }

write_env() {
    local file
    mkdir -p "$SERVICES"
    (
        umask 077
        echo "# Where the servers are; written by deploy/services/services.sh." >"$SERVICES/env.new"
        for file in "$SERVICES"/*/env; do if [ -e "$file" ]; then cat "$file"; fi; done >>"$SERVICES/env.new"
        mv "$SERVICES/env.new" "$SERVICES/env"
    )
}

command=${1:-}
[ $# -gt 0 ] && shift
if [ $# -gt 0 ]; then names=("$@"); else mapfile -t names < <(known); fi
for name in "${names[@]}"; do
    [ -x "$HERE/$name.sh" ] || fail "there is no server \"$name\" here; known: $(known | tr '\n' ' ')"
done

failed=0
case "$command" in
up)
    for name in "${names[@]}"; do "$HERE/$name.sh" start || failed=1; done
    write_env
    [ "$failed" = 0 ] && say "ready; clients read $SERVICES/env"
    ;;
down)
    for ((at = ${#names[@]} - 1; at >= 0; at--)); do "$HERE/${names[$at]}.sh" stop || failed=1; done
    ;;
status) for name in "${names[@]}"; do "$HERE/$name.sh" status || failed=1; done ;;
install) for name in "${names[@]}"; do "$HERE/$name.sh" install || failed=1; done ;;
list) known ;;
env) cat "$SERVICES/env" ;;
*) fail "usage: $0 up|down|status|install|list|env [NAME...]" ;;
esac
exit "$failed"
