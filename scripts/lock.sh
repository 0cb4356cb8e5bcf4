#!/usr/bin/env bash
# Writes locks/ from pyproject.toml and constraints.txt: the versions that any Python and machine we
# serve would install, with the hashes of all their files on the package index. What constraints.txt
# does not name (packages of other machines, CUDA's libraries) stays as it was; UPGRADE=1 renews it.
# Not in .venv: that is made from these files.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r locks/uv.txt

lock() { # NAME SOURCE…
  local name=$1
  shift
  "$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    ${UPGRADE:+--upgrade} --custom-compile-command "make lock" \
    --constraints constraints.txt --output-file "locks/$name.txt" "$@"
}

for source in locks/*.in; do
  lock "$(basename "$source" .in)" "$source"
done
lock packages pyproject.toml --all-extras --group dev
