#!/bin/sh
# environment.sh UV_VERSION: creates .venv with Python 3.13, found on this machine or downloaded with uv, and installs
# requirements/dev.txt. PYTHON selects a specific Python. Nothing is installed until a Python is found.
set -eu
uv_version=$1
wanted=3.13

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# Print a Python of the required version, or nothing.
find_python() {
  for candidate in "python$wanted" python3 python; do
    if [ "$(version_of "$candidate")" = "$wanted" ]; then
      echo "$candidate"
      return
    fi
  done
}

# Print a uv: the machine's, or one installed in the checkout with any Python.
find_uv() {
  if command -v uv >/dev/null; then
    echo uv
    return
  fi
  for candidate in python3 python; do
    [ -n "$(version_of "$candidate")" ] || continue
    "$candidate" -m venv --clear .venv-uv >&2 || continue
    .venv-uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version" >&2 || continue
    echo ".venv-uv/bin/uv"
    return
  done
}

if [ -n "${PYTHON:-}" ]; then
  version=$(version_of "$PYTHON")
  [ -n "$version" ] || fail "PYTHON=$PYTHON is not a Python that runs here. Omit PYTHON to find or download one."
  [ "$version" = "$wanted" ] ||
    fail "PYTHON=$PYTHON is Python $version, and this project needs $wanted. Omit PYTHON to find or download one."
  python=$PYTHON
else
  python=$(find_python)
fi

# One at a time: concurrent runs, such as `make start` and `trading`, would delete each other's environment.
lock=.venv-lock
if ! mkdir "$lock" 2>/dev/null; then
  echo "Waiting for another setup of this checkout. If there is none, remove $lock." >&2
  while ! mkdir "$lock" 2>/dev/null; do sleep 1; done
fi
trap 'rmdir "$lock"' EXIT
trap 'exit 130' INT TERM HUP
if [ -e .venv/.ready ] && [ ! requirements/dev.txt -nt .venv/.ready ]; then
  exit 0
fi

if [ -n "$python" ]; then
  echo "Setting up .venv with $python…" >&2
  "$python" -m venv --clear .venv || fail "$python cannot create a virtual environment." \
    "Install its venv and pip (on Debian and Ubuntu, the package python$wanted-venv), and try again."
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
else
  mirror=${UV_PYTHON_INSTALL_MIRROR:+ from $UV_PYTHON_INSTALL_MIRROR}
  echo "Setting up .venv: there is no Python $wanted on the PATH, so uv fetches one$mirror." >&2
  uv=$(find_uv)
  [ -n "$uv" ] || fail "It cannot be downloaded without uv. Install Python $wanted, or uv" \
    "(https://docs.astral.sh/uv/getting-started/installation/), and try again."
  "$uv" venv --clear --python "$wanted" .venv || fail "Python $wanted could not be fetched." \
    "Install it, or set UV_PYTHON_INSTALL_MIRROR to a mirror that this machine reaches, and try again."
  "$uv" pip install --quiet --python .venv/bin/python "uv==$uv_version"
  rm -rf .venv-uv
fi
.venv/bin/python -m uv pip install --quiet --require-hashes -r requirements/dev.txt
.venv/bin/python -m uv pip install --quiet --no-deps --editable .
touch .venv/.ready
