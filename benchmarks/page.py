"""The page: how large its scripts are, how soon it is seen, and whether it keeps up with prices."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from statistics import median, quantiles

from benchmarks import measure
from benchmarks.laptop import checkout, started
from benchmarks.measure import ROOT, Figure, say
from local.host.page import BUILT
from local.host.system import LOOPBACK
from local.tools import build_page
from local.tools.browser import NoBrowserError, executable

BROWSER = ROOT / ".venv-browser" / "bin" / "python"
LOADS = 15
FRAME = 1_000 / 60  # milliseconds


def figures(_: int) -> Iterator[Figure]:
    """Measure the page of a system that runs for it."""
    size = build_page.build()
    limit = build_page.SCRIPT_LIMIT
    yield Figure("All scripts, gzipped", f"{size:,} bytes", f"<= {limit:,} bytes", size <= limit)
    try:
        executable()
    except NoBrowserError as error:
        yield Figure("The page in a browser", f"not measured: {error}")
        return
    say("  the page in a browser")
    with checkout() as folder:
        shutil.copytree(BUILT, folder / BUILT.relative_to(ROOT))
        with started(folder) as (_seconds, _system, port):
            url = f"http://{LOOPBACK}:{port}"
            command = [str(BROWSER), "-m", "benchmarks.browser", url, str(measure.rounds(LOADS))]
            measured = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    for view, paints in measured["paints"].items():
        value = f"median {median(paints):.0f} ms, slowest of {len(paints)} {max(paints):.0f} ms"
        yield Figure(f"First paint of {view}, without a cache", value, "<= 300 ms", median(paints) <= 300)
    between, seconds = measured["between"], measured["seconds"]
    late = sum(each > 1.5 * FRAME for each in between)
    due = round(seconds * 1_000 / FRAME)
    value = f"{len(between)} frames of {due}, {late} late, 99th percentile {quantiles(between, n=100)[98]:.1f} ms"
    yield Figure(f"Twenty updates a second of ten tickers, for {seconds} s", value, "none dropped", late == 0)
    yield Figure("- tasks of more than 50 ms", str(len(measured["tasks"])), "none", not measured["tasks"])
