#!/usr/bin/env bash
# The demo of `make run`: a fresh store, a seeded sample of 200,000 records, the pipeline over it, the summary.
set -euo pipefail
cd "$(dirname "$0")/.."

demo="${DEMO:-demo}"
records="${RECORDS:-200000}"
liucun=".venv/bin/liucun"
marker="$demo/.liucun-demo"

if [ -e "$demo" ] && [ ! -e "$marker" ]; then
	echo "demo.sh: '$demo' exists and is no demo of Liucun. What to do: make run DEMO=another-folder" >&2
	exit 2
fi
rm -rf "$demo"
mkdir -p "$demo"
touch "$marker"

# The demo's passphrase is random and lies beside the demo; a real store's does not.
(umask 077 && .venv/bin/python -c 'import secrets; print(secrets.token_urlsafe(24))' >"$demo/passphrase")
export LIUCUN_PASSPHRASE_FILE="$demo/passphrase"
export LIUCUN_STORE="$demo/store"

echo "== 1. liucun init 建库"
"$liucun" init
echo
echo "== 2. liucun sample 生成样本"
"$liucun" sample --out "$demo/sample" --records "$records" --seed 1
echo
cat "$demo/sample/sources.toml" >>"$demo/store/liucun.toml"
echo
echo "== 3. liucun run 采集、封存、监测"
"$liucun" run
echo
echo "For these commands here:"
echo "  export LIUCUN_STORE=$demo/store LIUCUN_PASSPHRASE_FILE=$demo/passphrase; source .venv/bin/activate"
