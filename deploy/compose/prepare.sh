#!/usr/bin/env bash
# Makes the stack's secrets, once: the store's passphrase, and passwords of its servers. What is there is left as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077
random() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
mkdir -p secrets
if [ ! -s secrets/passphrase ]; then
    random >secrets/passphrase
    # The container's user must read it; the folder around it keeps this machine's others out.
    chmod 444 secrets/passphrase
    echo "secrets/passphrase: made. Keep a copy where this machine is not: without it the archive cannot be read." >&2
fi
touch .env
for name in POSTGRES_PASSWORD S3_ROOT_PASSWORD S3_PASSWORD ELASTIC_PASSWORD GRAFANA_PASSWORD; do
    grep -q "^$name=." .env || printf '%s=%s\n' "$name" "$(random)" >>.env
done
