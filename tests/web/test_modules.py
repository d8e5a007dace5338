"""The page's modules that need no browser, by Node's own test runner."""

import os
import subprocess

from local.tools import build_page


def test_the_modules_pass_their_own_tests() -> None:
    files = sorted((build_page.SOURCE / "tests").glob("*.test.js"))
    assert files
    command = [build_page.program("node"), "--test", *map(str, files)]
    zone = {"TZ": "Europe/Berlin"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **zone})
    assert ended.returncode == 0, ended.stdout
