#!/usr/bin/env bash
# A Chinese font, which reports are set in and their tests need: Debian's, where none is here and it can be installed.
set -euo pipefail
if fc-list :lang=zh 2>/dev/null | grep -q . || ls /usr/share/fonts/*/*/*CJK* >/dev/null 2>&1; then exit 0; fi
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "No Chinese font here: install one (Debian: fonts-noto-cjk)."; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends fonts-noto-cjk >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends fonts-noto-cjk >/dev/null; }
echo "Chinese font installed."
