# Common parts of the server scripts: one folder, free loopback ports, processes known by id, settings for tests.
#
# A server's script sets NAME, sources this file, defines install_server, start_server, and
# optionally ready_server and after_start, and ends with `main "$@"`. What a server is, its
# port, pid, data and log lie in $SERVICES/NAME; what clients need lies in $SERVICES/NAME/env.

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROJECT=$(cd "$HERE/../.." && pwd)
SERVICES=$(realpath -m "${LIUCUN_SERVICES:-$PROJECT/.services}")
PYTHON=${PYTHON:-$PROJECT/.venv/bin/python}
[ -x "$PYTHON" ] || PYTHON=python3
READY_SECONDS=${READY_SECONDS:-90}
STOP_SECONDS=${STOP_SECONDS:-60}
LOCK_SECONDS=${LOCK_SECONDS:-1800}

say() { printf '%-14s %s\n' "${NAME:-services}" "$*"; }
fail() { say "$*" >&2; exit 1; }

# A port of 127.0.0.1 that nobody listens on: the one of last time if it is still free.
# free_port KEY: kept in $FOLDER/KEY, so that a restarted server comes back where its clients look for it.
free_port() {
    "$PYTHON" - "$FOLDER/$1" <<'PY'
import pathlib, socket, sys
kept = pathlib.Path(sys.argv[1])
def take(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return probe.getsockname()[1]
try:
    port = take(int(kept.read_text()))
except (OSError, ValueError):
    port = take(0)
    kept.write_text(str(port))
print(port)
PY
}

# A random secret, made once and readable by its owner only. secret KEY
secret() {
    if [ ! -s "$FOLDER/$1" ]; then
        (umask 077; "$PYTHON" -c 'import secrets; print(secrets.token_hex(16))' >"$FOLDER/$1")
    fi
    cat "$FOLDER/$1"
}

# When a process began, in the kernel's clock ticks: a pid alone may belong to another process by now.
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# running [KEY]: prints the pid of the process that KEY (default: main) stands for, if it lives.
running() {
    local pid ticks file="$FOLDER/${1:-main}.pid"
    [ -s "$file" ] || return 1
    read -r pid ticks <"$file" || return 1
    [ -n "$ticks" ] && [ "$(began "$pid")" = "$ticks" ] || return 1
    [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)" != Z ] || return 1
    echo "$pid"
}

# launch KEY COMMAND...: start a process of its own session, its output in KEY.log, its id in KEY.pid.
launch() {
    local key=$1 pid; shift
    setsid "$@" >>"$FOLDER/$key.log" 2>&1 </dev/null 9>&- &
    pid=$!
    echo "$pid $(began "$pid")" >"$FOLDER/$key.pid"
}

# halt KEY [SIGNAL]: stop that process by its id; after STOP_SECONDS it is killed.
halt() {
    local key=$1 signal=${2:-TERM} pid waited=0
    pid=$(running "$key") || { rm -f "$FOLDER/$key.pid"; return 0; }
    kill "-$signal" "$pid"
    while running "$key" >/dev/null; do
        if [ "$waited" -ge $((STOP_SECONDS * 10)) ]; then
            kill -KILL "$pid"
        fi
        sleep 0.1; waited=$((waited + 1))
    done
    rm -f "$FOLDER/$key.pid"
}

# Wait until ready_server succeeds; fail at once when the process has ended.
await() {
    local began_at=$SECONDS
    until ready_server >/dev/null 2>&1; do
        running main >/dev/null || { tail -n 20 "$FOLDER/main.log" >&2; fail "ended while starting"; }
        [ $((SECONDS - began_at)) -lt "$READY_SECONDS" ] || { tail -n 20 "$FOLDER/main.log" >&2; fail "not ready after $READY_SECONDS s"; }
        sleep 0.2
    done
}

# listening PORT: whether something accepts connections there.
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# publish KEY=VALUE...: what clients need, readable by its owner only.
publish() { (umask 077; printf '%s\n' "$@" >"$FOLDER/env"); }

# The system user that servers run as when this is root; nobody's rights are enough for all but PostgreSQL.
as_user() {
    local user=$1; shift
    if [ "$(id -u)" = 0 ]; then exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups "$@"; else exec "$@"; fi
}

# apt_install PACKAGE...: Debian packages, where this may install them.
apt_install() {
    [ "$(id -u)" = 0 ] || fail "not installed: run \`apt-get install $*\` as root"
    command -v apt-get >/dev/null || fail "not installed, and this is no Debian: install $*"
    local try
    for try in 1 2; do
        if DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >>"$FOLDER/install.log" 2>&1; then return 0; fi
        apt-get update -q >>"$FOLDER/install.log" 2>&1 || true
    done
    tail -n 5 "$FOLDER/install.log" >&2
    fail "could not be installed: $*"
}

ready_server() { true; }
after_start() { true; }
stop_server() { halt main; }

main() {
    FOLDER="$SERVICES/$NAME"
    mkdir -p "$FOLDER"
    # One at a time: of two that start the same server one would forget the other's process.
    exec 9>"$FOLDER/lock"
    if command -v flock >/dev/null && [ "${1:-}" != status ]; then
        flock -w "$LOCK_SECONDS" 9 || fail "is being installed, started or stopped by another command"
    fi
    case "${1:-}" in
    install) install_server; say "installed" ;;
    start)
        if running main >/dev/null; then say "runs already, pid $(running main)"; return 0; fi
        install_server
        start_server
        await
        after_start
        say "runs, pid $(running main)"
        ;;
    stop) stop_server; say "stopped" ;;
    restart) stop_server; exec 9>&-; "$0" start ;;
    # What a power cut does to it: no time to put anything in order.
    kill) halt main KILL; say "killed" ;;
    status) if pid=$(running main) && ready_server >/dev/null 2>&1; then say "runs, pid $pid"; else say "stopped"; return 1; fi ;;
    *) fail "usage: $0 install|start|stop|restart|kill|status" ;;
    esac
}
