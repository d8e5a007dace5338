#!/bin/sh
# environment.sh UV_VERSION: make .venv with Python 3.13, found on this machine or fetched with uv, and install what
# requirements/dev.txt pins. PYTHON names a Python to take, and no other. Nothing is installed before there is one.
set -eu
uv_version=$1
wanted=3.13

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# A Python of the wanted version, or nothing.
find_python() {
  for candidate in "python$wanted" python3 python; do
    if [ "$(version_of "$candidate")" = "$wanted" ]; then
      echo "$candidate"
      return
    fi
  done
}

# A uv: this machine's, or one that any Python of this machine installs beside the checkout.
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
  [ -n "$version" ] || fail "PYTHON=$PYTHON is not a Python that runs here. Leave PYTHON out, and one is found or fetched."
  [ "$version" = "$wanted" ] ||
    fail "PYTHON=$PYTHON is Python $version, and this project needs $wanted. Leave PYTHON out, and one is found or fetched."
  python=$PYTHON
else
  python=$(find_python)
fi

if [ -n "$python" ]; then
  "$python" -m venv --clear .venv || fail "$python cannot make a virtual environment: install its venv and pip (on Debian and Ubuntu, python$wanted-venv)."
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
else
  echo "There is no Python $wanted on the PATH: uv fetches one${UV_PYTHON_INSTALL_MIRROR:+ from $UV_PYTHON_INSTALL_MIRROR}." >&2
  uv=$(find_uv)
  [ -n "$uv" ] || fail "There is nothing to fetch it with. Install Python $wanted, or uv" \
    "(https://docs.astral.sh/uv/getting-started/installation/), and run this again."
  "$uv" venv --clear --python "$wanted" .venv || fail "Python $wanted could not be fetched." \
    "Install it, or set UV_PYTHON_INSTALL_MIRROR to a mirror that this machine reaches, and run this again."
  "$uv" pip install --quiet --python .venv/bin/python "uv==$uv_version"
  rm -rf .venv-uv
fi
.venv/bin/python -m uv pip install --quiet --require-hashes -r requirements/dev.txt
.venv/bin/python -m uv pip install --quiet --no-deps --editable .
