#!/usr/bin/env bash
# Installs SoftHSM, the PKCS#11 token in software that the tests of `[keys] provider = "pkcs11"` run on (Debian, Ubuntu).
set -euo pipefail
if command -v softhsm2-util >/dev/null; then
    echo "SoftHSM $(softhsm2-util --version) is there."
    exit 0
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -q
$sudo apt-get install -y -q --no-install-recommends softhsm2
echo "SoftHSM $(softhsm2-util --version) installed."
