#!/usr/bin/env bash
# Makes .venv ready: `set_up.sh run` to run the platform, `set_up.sh dev` for its tests and linters as well.
# What is installed is pinned in locks/ by version and hash; pip's own settings (an index, a proxy, wheel
# folders) hold, so that one of PyTorch's builds can be had from where you like.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly want=${1:?usage: set_up.sh run|dev}
readonly venv=.venv

say() { printf '%s\n' "$*" >&2; }
die() { say "set_up: $*"; exit 1; }

# apt, as root or through sudo. False where neither is possible, so that the caller can say what is missing.
apt_install() {
  command -v apt-get >/dev/null || return 1
  local -a as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || return 1
    as_root=(sudo)
    [ -t 0 ] || as_root=(sudo -n)
  fi
  say "installing $* through apt"
  "${as_root[@]}" apt-get update -q >&2 || say "apt-get update failed; trying with the lists there are"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "$@" >&2 </dev/null
}

# The first interpreter that really starts, is new enough and can make an environment.
find_python() {
  local name
  for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
      2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

make_venv() {
  [ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null && return
  local python
  python=$(find_python) || {
    apt_install python3 python3-venv || true
    python=$(find_python)
  } || die "Python 3.11, 3.12 or 3.13 with venv must be on PATH: apt install python3 python3-venv"
  say "making $venv with $("$python" --version)"
  "$python" -m venv "$venv"
}

# The stamp holds what was installed from; a start that finds it unchanged installs nothing.
install_packages() {
  local stamp="$venv/.installed-$1" wanted
  wanted=$(cat pyproject.toml locks/*.txt | sha256sum)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
  say "installing Python packages (minutes at first: PyTorch is large)"
  local -a parts=(api worker whisper cli operator simulate) pip=("$venv/bin/python" -m pip install --disable-pip-version-check)
  [ "$1" = dev ] && parts+=(dev)
  [ -t 2 ] || pip+=(-q)
  export PIP_BUILD_CONSTRAINT=locks/build.txt
  # PyTorch without hashes, since its build is that of the index: CUDA from PyPI, or one for this machine.
  # What a CUDA build needs beside itself is in locks/packages.txt like everything else.
  { "${pip[@]}" --require-hashes -r locks/pip.txt \
    && "${pip[@]}" --no-deps -c constraints.txt torch \
    && "$venv/bin/python" scripts/requirements.py "${parts[@]}" \
    | "${pip[@]}" --require-hashes -c locks/packages.txt -r /dev/stdin \
    && "${pip[@]}" --no-deps -e .
  } >&2 || die "pip could not install the packages; its message is above"
  printf '%s\n' "$wanted" >"$stamp"
  if [ "$1" = dev ]; then cp "$stamp" "$venv/.installed-run"; fi
}

find_redis() {
  "$venv/bin/python" -m asr_cli.local.redis_server
}

need_redis() {
  find_redis >/dev/null 2>&1 && return
  apt_install redis-server || true
  local found
  found=$(find_redis 2>&1 >/dev/null) || die "$found"
}

case $want in
  run | dev) ;;
  *) die "unknown: $want" ;;
esac
make_venv
install_packages "$want"
need_redis
# Tests drive the pages in a browser; where there can be none, they are skipped and say so. Ubuntu's
# package only points to a snap, which a container cannot run.
find_chromium() {
  local name
  for name in chromium chromium-browser google-chrome; do
    "$name" --version >/dev/null 2>&1 && return
  done
  return 1
}
if [ "$want" = dev ] && ! find_chromium; then
  apt_install chromium || say "there is no Chromium: the tests of the pages will be skipped"
fi
# The chart's alerts and dashboards are tested with the real thing; without it they are skipped.
if [ "$want" = dev ] && ! command -v promtool >/dev/null; then
  apt_install prometheus || say "there is no Prometheus: the tests of rules and dashboards will be skipped"
fi
# A test runs the very curl lines that `asr up` prints.
if [ "$want" = dev ] && ! command -v curl >/dev/null; then
  apt_install curl || die "curl must be on PATH for the tests"
fi
