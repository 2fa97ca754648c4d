#!/usr/bin/env bash
# Installs the real tools (promtool from Debian; helm, kubeconform and Docker Compose by the Go module proxy, in about ten
# minutes of one core) and checks deploy/ with them. Schemas of Kubernetes come from PyPI, the operator's from Maven Central.
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
command -v kubeconform >/dev/null || GOBIN=$TOOLS go install github.com/yannh/kubeconform/cmd/kubeconform@v0.6.7
# The last release whose module can be installed by name; the file uses nothing that came later.
command -v docker-compose >/dev/null || {
    GOBIN=$TOOLS go install github.com/docker/compose/v2/cmd@v2.32.4 && mv "$TOOLS/cmd" "$TOOLS/docker-compose"
}
PYTHON=${PYTHON:-.venv/bin/python}
if [ ! -d "$TOOLS/schemas" ]; then
    OPERATOR=1.10.0
    "$PYTHON" -m pip download --quiet --no-deps --only-binary :all: --dest "$TOOLS" kubernetes-validate==1.37.0
    mvn -q -B dependency:copy -Dartifact=org.apache.flink:flink-kubernetes-operator-api:$OPERATOR -DoutputDirectory="$TOOLS"
    "$PYTHON" deploy/schemas.py "$TOOLS/schemas.new" "$TOOLS"/kubernetes_validate-*.whl "$TOOLS"/flink-kubernetes-operator-api-*.jar
    mv "$TOOLS/schemas.new" "$TOOLS/schemas"
fi
export LIUCUN_KUBE_SCHEMAS=$TOOLS/schemas
exec "$PYTHON" -m pytest -n 0 -rs tests/deploy
