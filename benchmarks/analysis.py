"""Analysis: summarizing trade files, clean and dirty, small and large, and exporting a day's trades."""

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import services
from benchmarks.measure import OURS, PEERS, Figure, Handler, megabytes, say, take_turns

FILE = "benchmarks.handlers.trade_file.handler"
SUMMARY = "benchmarks.handlers.analysis.handler"
FLOOR = "benchmarks.handlers.analysis_floor.handler"
EXPORT = "benchmarks.handlers.exports.handler"
LOOP = "benchmarks.peers.dict_reader.handler"
PANDAS = "benchmarks.peers.pandas_analysis.handler"

TICKERS = 522
FEWER = 10  # the ratio of the rows in the large and small files
BAD = 100  # one bad line in this many lines
COMPARED = {
    "dirty": "with 1 % bad lines",
    "nine": "with nine columns",
    "one": "of the plain read with 1 thread",
    "two": "of the plain read with 2 threads",
    "pandas": "of pandas",
    "whole loop": "of the DictReader loop",
}
ROUNDS = 5
LARGE_EXPORT = 2_000_000
DAYS = {"small": "2025-06-02", "large": "2025-06-03"}

_LOAD = """
insert into trades (ticker, price, quantity, side, timestamp, recorded_by)
select
    'T' || chr(65 + n %% 522 / 26) || chr(65 + n %% 522 %% 26),
    (100 + n %% 9973 * 0.01)::numeric(18, 2),
    1 + n %% 500,
    case n %% 2 when 0 then 'BUY' else 'SELL' end,
    timestamptz %(day)s + n * interval '86399 seconds' / %(rows)s,
    'local'
from generate_series(1, %(rows)s) as n
"""


class Runs:
    """Runs of handlers in separate processes: by name, the maximum memory and the minimum CPU time."""

    def __init__(self) -> None:
        self.peak_bytes: dict[str, int] = {}
        self.processor_seconds: dict[str, float] = {}

    def run(self, name: str, handler: str, event: Mapping[str, Any], python: Path = OURS) -> list[float]:
        """Return the seconds that one call of a handler took, without its imports."""
        with Handler(handler, {}, python) as process:
            before = process.processor_seconds()
            seconds = process.call(event, 1, 200)
            taken = process.processor_seconds() - before
            self.processor_seconds[name] = min(self.processor_seconds.get(name, taken), taken)
            self.peak_bytes[name] = max(self.peak_bytes.get(name, 0), process.peak_bytes())
        return seconds


def figures(rows: int) -> Iterator[Figure]:
    """Measure the analysis of a file with `rows` rows, and exports."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _summaries(Path(folder), rows)
    yield from _exports(min(rows, LARGE_EXPORT))


def _summaries(folder: Path, rows: int) -> Iterator[Figure]:
    runs = Runs()
    few = rows // FEWER
    say(f"  files of {rows:,} and {few:,} rows")
    large = _new_file(runs, folder / "large.csv", rows)
    small = _new_file(runs, folder / "small.csv", few)
    nine = _new_file(runs, folder / "nine.csv", rows, is_export=True)
    dirty = {**large, "file": str(folder / "dirty.csv"), "rejected": (rows + BAD // 2) // BAD}
    runs.run("file", FILE, {"file": dirty["file"], "clean": large["file"]})

    say("  the large file")
    rounds = take_turns(
        ROUNDS,
        ours=partial(runs.run, "ours", SUMMARY, large),
        dirty=partial(runs.run, "dirty", SUMMARY, dirty),
        nine=partial(runs.run, "nine", SUMMARY, nine),
        one=partial(runs.run, "one", FLOOR, {**large, "threads": 1}),
        two=partial(runs.run, "two", FLOOR, {**large, "threads": 2}),
        pandas=partial(runs.run, "pandas", PANDAS, large, PEERS),
    )
    seconds = median(rounds.seconds["ours"])
    yield Figure(f"{rows:,} rows", f"{seconds:.2f} s, {rows / seconds:,.0f} rows/s")
    yield rounds.at_most("- against DuckDB's plain read with 2 threads", None, "ours", "two")
    yield rounds.at_most("- against DuckDB's plain read with 1 thread", None, "ours", "one")
    yield rounds.times_as_fast("- against pandas", 1, "ours", "pandas")
    yield rounds.at_most("- 1 % bad lines, against none", 1.3, "dirty", "ours")
    yield rounds.at_most("- the nine columns of an export, against five", None, "nine", "ours")

    say("  the small file")
    fewer = take_turns(
        ROUNDS,
        ours=partial(runs.run, "small", SUMMARY, small),
        loop=partial(runs.run, "loop", LOOP, small, PEERS),
    )
    yield fewer.times_as_fast(f"{few:,} rows, against the DictReader loop", 20, "ours", "loop")
    say("  the large file, once, by the DictReader loop")
    (whole,) = runs.run("whole loop", LOOP, large, PEERS)
    ratio = whole / seconds
    value = f"{ratio:.2f} x ({seconds:.2f} s against {whole:.2f} s, once)"
    yield Figure(f"{rows:,} rows, against the DictReader loop", value, ">= 20 x as fast", ratio >= 20)

    peak = runs.peak_bytes
    growth = peak["ours"] / peak["small"]
    yield Figure(f"Peak memory at {rows:,} rows", megabytes(peak["ours"]), "<= 230 MB", peak["ours"] <= 230e6)
    small_peak = megabytes(peak["small"])
    yield Figure(f"- against that at {few:,} rows", f"{growth:.2f} x ({small_peak})", "<= 1.2 x", growth <= 1.2)
    for name, what in COMPARED.items():
        yield Figure(f"- {what}", megabytes(peak[name]))
    # CPU time is less affected by other load than elapsed time.
    seconds_of = runs.processor_seconds
    times = seconds_of["ours"] / seconds_of["one"]
    value = f"{seconds_of['ours']:.2f} s, {times:.2f} x of the plain read's with 1 thread"
    yield Figure(f"Processor time for {rows:,} rows", value, "<= 1.9 x", times <= 1.9)
    for name, what in COMPARED.items():
        yield Figure(f"- {what}", f"{seconds_of[name]:.2f} s")


def _new_file(runs: Runs, file: Path, rows: int, *, is_export: bool = False) -> dict[str, Any]:
    """Write a trade file with the five required columns or those of an export, and return its event."""
    event = {"file": str(file), "rows": rows, "tickers": TICKERS, "rejected": 0, "is_export": is_export}
    runs.run("file", FILE, event)
    return event


def _exports(rows: int) -> Iterator[Figure]:
    counts = {"small": rows // FEWER, "large": rows}
    with services.postgres() as server:
        database = services.new_database(server, "exports")
        say(f"  loading {sum(counts.values()):,} trades")
        with services.cursor_of(database) as cursor:
            for name, count in counts.items():
                cursor.execute(_LOAD, {"rows": count, "day": f"{DAYS[name]}T00:00:00Z"})
            cursor.execute("vacuum (analyze) trades")
        for what, sink in (("S3 that keeps nothing", services.s3()), ("moto's S3", services.moto())):
            with sink as endpoint:
                yield from _exports_to(what, services.environment(database, endpoint), counts)


def _exports_to(what: str, environment: Mapping[str, str], counts: Mapping[str, int]) -> Iterator[Figure]:
    say(f"  exports to {what}")
    with Handler(EXPORT, environment) as exporter:
        peaks, seconds = {}, {}
        for name, count in counts.items():
            event = {"bucket": "trades", "day": DAYS[name], "rows": count}
            seconds[name] = median(exporter.call(event, ROUNDS, 200))
            peaks[name] = exporter.peak_bytes()
    per_second = counts["large"] / seconds["large"]
    growth = peaks["large"] / peaks["small"]
    large, small = counts["large"], counts["small"]
    yield Figure(
        f"Export of {large:,} rows to {what}", f"{per_second:,.0f} rows/s", ">= 200,000/s", per_second >= 200_000
    )
    yield Figure(
        f"- its peak memory, against that of {small:,} rows",
        f"{growth:.2f} x ({megabytes(peaks['large'])})",
        "<= 1.2 x",
        growth <= 1.2,
    )
