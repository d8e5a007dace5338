"""`make page`: builds the browser page from `web/` into `.build/web`, with its chart library and font from npm.

With `--check`, used by `make lint`: checks the types of the page's scripts without building it.
"""

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from local.host.page import BUILT
from local.host.template import ROOT

SOURCE = ROOT / "web"
SCRIPT_LIMIT = 170_000  # bytes of all scripts, gzipped
LIBRARY = "node_modules/lightweight-charts"
FONT = "node_modules/@fontsource-variable/inter"
TOOLS = "node_modules/axe-core"
# A local Node.js for machines that have none; see the Makefile.
OWN_NODE = ROOT / ".venv-web" / "bin"
NO_SIGN_IN = {"signIn": None}
# Comments on lines of their own. Other comments are kept, because finding them would need a parser.
COMMENT = re.compile(rb"^[ \t]*(//.*|/\*\*(?:(?!\*/)[\s\S])*\*/[ \t]*)$", re.MULTILINE)


class PageError(Exception):
    """The page cannot be built; the message gives the reason and the remedy."""


def build() -> int:
    """Build the page, and return the gzipped size of its scripts in bytes.

    Everything but index.html and config.json is in a folder named after a hash of its content, so it can be cached
    forever, and files of two versions never mix.

    Raises:
        PageError: there is no npm, it failed, or the scripts exceed the size limit.
    """
    if not (_is_installed(LIBRARY) and _is_installed(FONT)):
        print("Installing the page's chart library and font…", flush=True)
        _npm("ci", "--omit=dev", "--ignore-scripts", "--no-progress")
    assets = _assets()
    size = sum(len(gzip.compress(data)) for name, data in assets.items() if name.endswith(".js"))
    if size > SCRIPT_LIMIT:
        raise PageError(f"its scripts have {size:,} bytes gzipped; the limit is {SCRIPT_LIMIT:,}")
    folder = f"assets-{_digest(assets.items())}"
    shutil.rmtree(BUILT, ignore_errors=True)
    for name, data in assets.items():
        file = BUILT / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    index = (SOURCE / "index.html").read_text().replace('"assets/', f'"{folder}/')
    (BUILT / "index.html").write_text(index)
    (BUILT / "config.json").write_text(json.dumps(NO_SIGN_IN))
    return size


def _assets() -> dict[str, bytes]:
    """Return the files of the page by name, including those that it needs from its packages."""
    own = {
        str(file.relative_to(SOURCE / "assets")): without_comments(file) if file.suffix == ".js" else file.read_bytes()
        for file in sorted((SOURCE / "assets").rglob("*"))
        if file.is_file() and not file.name.endswith(".d.ts")
    }
    library, font = SOURCE / LIBRARY, SOURCE / FONT
    return {
        **own,
        "vendor/lightweight-charts.js": (library / "dist/lightweight-charts.standalone.production.mjs").read_bytes(),
        "vendor/LICENSE.txt": (library / "LICENSE").read_bytes(),
        "vendor/inter.woff2": (font / "files/inter-latin-wght-normal.woff2").read_bytes(),
        "vendor/inter-LICENSE.txt": (font / "LICENSE").read_bytes(),
    }


def without_comments(script: Path) -> bytes:
    """Return a script without comments, with each statement on its original line."""
    return COMMENT.sub(lambda comment: b"\n" * comment[0].count(b"\n"), script.read_bytes())


def _digest(files: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, data in files:
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:12]


def install_tools() -> None:
    """Install the tools that check the page, in addition to its dependencies.

    Raises:
        PageError: there is no npm, or it failed.
    """
    if not _is_installed(TOOLS):
        _npm("ci", "--ignore-scripts", "--no-progress")


def check_types() -> None:
    """Check the page's scripts against the types in their comments.

    Raises:
        PageError: there are type errors; there is no npm or node; or npm failed.
    """
    install_tools()
    command = [program("node"), "node_modules/typescript/bin/tsc", "--project", "."]
    checked = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    if checked.returncode:
        raise PageError(f"its scripts have type errors:\n{checked.stdout}{checked.stderr}")


def program(name: str) -> str:
    """Return the path of npm or node: on this machine, or in the environment of this checkout.

    Raises:
        PageError: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path=str(OWN_NODE))
    if found is None:
        raise PageError(f"there is no {name}: install Node.js, or run `make .venv-web/.ready`")
    return found


def _is_installed(package: str) -> bool:
    """Whether npm has installed the locked version of this package."""
    lock, installed = SOURCE / "package-lock.json", SOURCE / "node_modules" / ".package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime and (SOURCE / package).exists()


def _npm(*arguments: str) -> None:
    ended = subprocess.run([program("npm"), *arguments], cwd=SOURCE, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise PageError(f"npm could not install what it needs: {ended.stderr.strip()[-500:]}")


def main() -> int:
    """Build the page, or check its types, and print the result."""
    try:
        if sys.argv[1:] == ["--check"]:
            check_types()
            print("The page's scripts have no type errors.")
        else:
            print(f"The page is built: its scripts have {build():,} bytes gzipped, of {SCRIPT_LIMIT:,}.")
    except PageError as error:
        print(f"The page cannot be built: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
