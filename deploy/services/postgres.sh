#!/usr/bin/env bash
# PostgreSQL on loopback, from Debian's package; never as root.
NAME=postgres
. "$(dirname "$0")/lib.sh"

USER_NAME=${LIUCUN_POSTGRES_USER:-postgres}

# The newest PostgreSQL of Debian's packages, else one on the path.
programs() {
    local found
    found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
    if [ -n "$found" ] && [ -x "$found/initdb" ]; then echo "$found"; return 0; fi
    found=$(command -v initdb) && dirname "$(realpath "$found")"
}

install_server() {
    programs >/dev/null && return 0
    # Without this Debian makes and starts a cluster of its own on port 5432.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    apt_install postgresql-15
    programs >/dev/null || fail "installed, but initdb is not to be found"
}

own() { if [ "$(id -u)" = 0 ]; then chown -R "$USER_NAME:" "$@"; fi; }

start_server() {
    local bin port password data="$FOLDER/data"
    bin=$(programs)
    port=$(free_port port)
    password=$(secret password)
    if [ ! -s "$data/PG_VERSION" ]; then
        rm -rf "$data" && mkdir -m 700 "$data"
        cp "$FOLDER/password" "$FOLDER/password.once" && chmod 600 "$FOLDER/password.once"
        own "$data" "$FOLDER/password.once"
        (cd / && as_user "$USER_NAME" "$bin/initdb" --pgdata "$data" --username liucun --pwfile "$FOLDER/password.once" \
            --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8) >>"$FOLDER/install.log" 2>&1 ||
            { tail -n 5 "$FOLDER/install.log" >&2; fail "initdb failed; is $SERVICES reachable for the user $USER_NAME?"; }
        rm -f "$FOLDER/password.once"
    fi
    publish "LIUCUN_TEST_POSTGRES=postgresql+psycopg://liucun:$password@127.0.0.1:$port/postgres"
    (umask 077; printf '127.0.0.1:%s:*:liucun:%s\n' "$port" "$password" >"$FOLDER/pgpass")
    # Prepared transactions and sockets in /tmp are not needed; 100 connections are enough for any test. The sizes are
    # what docs/storage.md asks of a server: with the defaults whole pages go to the log again every few minutes.
    cd /
    forget_killed "$data"
    launch main "$HERE/as-user.sh" "$USER_NAME" "$bin/postgres" -D "$data" -c "port=$port" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c max_connections=100 -c log_min_duration_statement=5s \
        -c shared_buffers=1GB -c max_wal_size=4GB -c checkpoint_timeout=15min -c wal_compression=lz4
}

# After a kill: the dead postmaster may not have been reaped yet, which a new one takes for alive, and its
# children need a moment to notice that it is gone.
forget_killed() {
    local data=$1 pid waited=0
    [ -s "$data/postmaster.pid" ] || return 0
    read -r pid <"$data/postmaster.pid"
    while [ "$waited" -lt 100 ] && children_of "$data"; do sleep 0.1; waited=$((waited + 1)); done
    if [ ! -d "/proc/$pid" ] || [ "$(sed 's/.*) //' "/proc/$pid/stat" | cut -c1)" = Z ]; then rm -f "$data/postmaster.pid"; fi
}

# Whether processes still work in a data folder; each PostgreSQL process has it as its working folder.
children_of() {
    local process
    for process in /proc/[0-9]*; do
        if [ "$(readlink "$process/cwd" 2>/dev/null)" = "$(realpath "$1")" ]; then return 0; fi
    done
    return 1
}

ready_server() {
    PGPASSFILE="$FOLDER/pgpass" PGCONNECT_TIMEOUT=3 "$(programs)/psql" -h 127.0.0.1 -p "$(cat "$FOLDER/port")" -U liucun -d postgres -Atc 'select 1'
}

# SIGINT is PostgreSQL's "fast" shutdown: open connections are ended, everything is written.
stop_server() { halt main INT; }

main "$@"
