#!/usr/bin/env bash
# An S3 server with versioning, object lock and conditional put on loopback: MinIO, built from the Go module proxy.
#
# Only a server for tests and trial: nothing of it is part of Liucun. Its version is pinned; the built
# program is kept in the user's cache, so that it is built once a machine (about 5 minutes of one core).
NAME=s3
. "$(dirname "$0")/lib.sh"

MODULE=github.com/minio/minio
VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
PROGRAM="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/liucun-services/minio-$VERSION"
USER_NAME=${LIUCUN_S3_USER:-nobody}
BUCKET=liucun

go_program() {
    local found
    found=$(command -v go || true)
    [ -n "$found" ] || found=/usr/local/go/bin/go
    [ -x "$found" ] && echo "$found"
}

install_server() {
    [ -x "$PROGRAM" ] && return 0
    local go building
    go=$(go_program) || fail "not installed: it is built with Go 1.21 or newer, which is not on this machine (https://go.dev/dl)"
    say "building $MODULE $VERSION, once on this machine (some minutes) ..."
    mkdir -p "$(dirname "$PROGRAM")"
    building=$(mktemp -d "$(dirname "$PROGRAM")/building.XXXXXX")
    # GOTOOLCHAIN=auto lets an older Go fetch the one that the module asks for.
    if ! GOBIN="$building" GOTOOLCHAIN=auto GOFLAGS=-trimpath "$go" install "$MODULE@$VERSION" >>"$FOLDER/install.log" 2>&1; then
        rm -rf "$building"
        tail -n 5 "$FOLDER/install.log" >&2
        fail "could not be built"
    fi
    mv "$building/minio" "$PROGRAM" && rmdir "$building"
}

start_server() {
    local port program="$FOLDER/minio"
    port=$(free_port port)
    mkdir -p "$FOLDER/data"
    # The cache may lie where the server's user cannot look.
    cmp -s "$PROGRAM" "$program" || { cp "$PROGRAM" "$program.new" && chmod 755 "$program.new" && mv "$program.new" "$program"; }
    if [ "$(id -u)" = 0 ]; then chown -R "$USER_NAME:" "$FOLDER/data"; fi
    export MINIO_ROOT_USER=liucun-archive MINIO_ROOT_PASSWORD MINIO_BROWSER=off MINIO_UPDATE=off MINIO_CI_CD=1
    MINIO_ROOT_PASSWORD=$(secret password)
    publish "LIUCUN_TEST_S3_ENDPOINT=http://127.0.0.1:$port" "LIUCUN_TEST_S3_BUCKET=$BUCKET" \
        "LIUCUN_TEST_S3_ACCESS_KEY=$MINIO_ROOT_USER" "LIUCUN_TEST_S3_SECRET_KEY=$MINIO_ROOT_PASSWORD"
    cd /
    launch main "$HERE/as-user.sh" "$USER_NAME" "$program" server "$FOLDER/data" --address "127.0.0.1:$port" --quiet
}

ready_server() {
    "$PYTHON" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=3)' "http://127.0.0.1:$(cat "$FOLDER/port")/minio/health/ready"
}

# The bucket of a trial, with versioning and object lock; tests make their own.
after_start() {
    (set -a; . "$FOLDER/env"; "$PYTHON" "$HERE/s3_bucket.py")
}

main "$@"
