import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.host.template import ROOT

SCRIPT = "local/tools/environment.sh"
# A Python that says its version, makes environments with itself in them, and writes down what else it is asked.
PYTHON = """#!/bin/sh
case "$1 $2" in
  -c*) echo VERSION ;;
  "-m venv")
    for folder; do :; done
    /bin/mkdir -p "$folder/bin" && /bin/cp "$0" "$folder/bin/python" && /bin/cp "TMP/uv" "$folder/bin/uv"
    echo "${0##*/} makes $folder" >> "TMP/log" ;;
  *) echo "$@" >> "TMP/log" ;;
esac
"""
UV = """#!/bin/sh
echo "uv $@" >> "TMP/log"
[ "$1" != venv ] || { /bin/mkdir -p .venv/bin && /bin/cp "TMP/fetched" .venv/bin/python; }
"""


@dataclass
class Machine:
    """A checkout, in a folder with a space in its name, on a machine that has what the test puts on its PATH."""

    tmp: Path

    @property
    def folder(self) -> Path:
        return self.tmp / "a checkout"

    def has(self, name: str, script: str) -> None:
        file = self.tmp / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(script.replace("TMP", str(self.tmp)))
        file.chmod(0o755)

    def has_python(self, name: str, version: str) -> None:
        self.has(f"programs/{name}", PYTHON.replace("VERSION", version))

    def has_uv(self) -> None:
        self.has("programs/uv", UV)

    def set_up(self, **environment: str) -> tuple[int, str, list[str]]:
        """Return the exit code, what is said, and what was done."""
        log = self.tmp / "log"
        done = subprocess.run(
            ["/bin/sh", SCRIPT, "1.2.3"],
            cwd=self.folder,
            env={"PATH": str(self.tmp / "programs"), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return (
            done.returncode,
            done.stdout + done.stderr,
            log.read_text().splitlines() if log.exists() else [],
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One that has neither Python nor uv."""
    machine = Machine(tmp_path)
    (machine.folder / "local/tools").mkdir(parents=True)
    shutil.copy(ROOT / SCRIPT, machine.folder / SCRIPT)
    machine.has("uv", UV)
    machine.has("fetched", PYTHON.replace("VERSION", "3.13"))
    (machine.folder / "requirements").mkdir()
    (machine.folder / "requirements/dev.txt").touch()
    for name in ("rm", "mkdir", "rmdir", "sleep", "touch"):
        machine.has(f"programs/{name}", f'#!/bin/sh\nexec {shutil.which(name)} "$@"\n')
    return machine


INSTALLED = ["-m uv pip install --quiet --require-hashes -r requirements/dev.txt",
             "-m uv pip install --quiet --no-deps --editable ."]  # fmt: skip
WITH_PIP = ["-m pip install --quiet --disable-pip-version-check uv==1.2.3", *INSTALLED]
WITH_UV = [
    "uv venv --clear --python 3.13 .venv",
    "uv pip install --quiet --python .venv/bin/python uv==1.2.3",
    *INSTALLED,
]


@pytest.mark.parametrize("name", ["python3.13", "python3", "python"])
def test_a_python_of_the_right_version_is_found_by_any_of_its_names(machine: Machine, name: str) -> None:
    machine.has_python("python3", "3.12")
    machine.has_python(name, "3.13")
    assert machine.set_up() == (0, f"Setting up .venv with {name}…\n", [f"{name} makes .venv", *WITH_PIP])


def test_without_one_uv_fetches_it_and_that_is_said(machine: Machine) -> None:
    machine.has_python("python3", "3.12")
    machine.has_uv()
    code, said, done = machine.set_up()
    assert (code, done) == (0, WITH_UV)
    assert said == "Setting up .venv: there is no Python 3.13 on the PATH, so uv fetches one.\n"


def test_a_mirror_is_named_where_one_is_set(machine: Machine) -> None:
    machine.has_uv()
    said = machine.set_up(UV_PYTHON_INSTALL_MIRROR="https://mirror.example.com/python")[1]
    assert said.endswith("uv fetches one from https://mirror.example.com/python.\n")


def test_without_uv_another_python_installs_it_beside_the_checkout(machine: Machine) -> None:
    machine.has_python("python3", "3.11")
    code, _, done = machine.set_up()
    pip = "-m pip install --quiet --disable-pip-version-check uv==1.2.3"
    assert (code, done) == (0, ["python3 makes .venv-uv", pip, *WITH_UV])
    assert not (machine.folder / ".venv-uv").exists()


def test_without_any_python_or_uv_what_to_install_is_said(machine: Machine) -> None:
    code, said, done = machine.set_up()
    assert (code, done) == (1, [])
    assert "Install Python 3.13, or uv" in said


def without_network(machine: Machine) -> None:
    machine.has("programs/uv", "#!/bin/sh\nexit 2\n")


def without_venv(machine: Machine) -> None:
    machine.has("programs/python3.13", '#!/bin/sh\n[ "$1" = -c ] && echo 3.13\n')


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (without_network, "Python 3.13 could not be fetched"),
        (without_venv, "python3.13 cannot create a virtual environment"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_helps(
    machine: Machine, broken: Callable[[Machine], None], said: str
) -> None:
    broken(machine)
    code, text, _ = machine.set_up()
    assert (code, said in text) == (1, True)


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("nothing", "PYTHON=nothing is not a Python that runs here."),
        ("python3", "PYTHON=python3 is Python 3.12, and this project needs 3.13."),
    ],
)
def test_a_wrong_python_is_said_before_anything_is_touched(machine: Machine, python: str, said: str) -> None:
    machine.has_python("python3", "3.12")
    machine.has_python("python3.13", "3.13")
    (machine.folder / ".venv").mkdir()
    code, text, done = machine.set_up(PYTHON=python)
    assert (code, done) == (1, [])
    assert said in text
    assert (machine.folder / ".venv").exists()


def test_a_second_setup_waits_for_the_first_and_does_nothing_itself(machine: Machine) -> None:
    machine.has_python("python3.13", "3.13")
    lock = machine.folder / ".venv-lock"
    lock.mkdir()
    with ThreadPoolExecutor() as threads:
        second = threads.submit(machine.set_up)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        (machine.folder / ".venv").mkdir()
        (machine.folder / ".venv/.ready").touch()
        lock.rmdir()
        code, said, done = second.result(10)
    assert (code, done) == (0, [])
    assert "Waiting for another setup of this checkout" in said
    assert not lock.exists()


def test_the_python_that_is_named_is_taken(machine: Machine) -> None:
    machine.has_python("python3.13", "3.13")
    machine.has_python("mine", "3.13")
    assert machine.set_up(PYTHON="mine")[2][0] == "mine makes .venv"
