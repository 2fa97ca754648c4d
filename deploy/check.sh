#!/usr/bin/env bash
# Installs the real tools (promtool from Debian, helm by the Go module proxy) and checks deploy/ with them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
TOOLS=${LIUCUN_TOOLS:-$PWD/build/tools}
mkdir -p "$TOOLS"
export PATH=$TOOLS:$PATH
if ! command -v promtool >/dev/null; then
    (cd "$TOOLS" && apt-get download -qq prometheus && dpkg -x prometheus_*.deb unpacked && cp unpacked/usr/bin/promtool . &&
        rm -r unpacked prometheus_*.deb)
fi
command -v helm >/dev/null || GOBIN=$TOOLS go install helm.sh/helm/v3/cmd/helm@v3.22.0
exec "${PYTHON:-.venv/bin/python}" -m pytest -n 0 -rs tests/deploy
