"""Changes: the differences between two revisions of a day's analysis."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that changed; if its ticker was added or removed, the old or new value is null."""

    ticker: str
    figure: str
    old: str | None
    new: str | None


def between(old: Iterable[Mapping[str, str]], new: Iterable[Mapping[str, str]], keys: Sequence[str]) -> list[Change]:
    """Return the first 1,000 differing figures of two analyses, by ticker; `keys` identify a row."""

    def by_key(rows: Iterable[Mapping[str, str]]) -> dict[tuple[str, ...], Mapping[str, str]]:
        return {tuple(row.get(key) or "" for key in keys): row for row in rows}

    before, after = by_key(old), by_key(new)
    changes: list[Change] = []
    for key in sorted(before.keys() | after.keys()):
        changes += _of_ticker(key[0], before.get(key, {}), after.get(key, {}), keys)
        if len(changes) >= LIMIT:
            break
    return changes[:LIMIT]


def _of_ticker(ticker: str, old: Mapping[str, str], new: Mapping[str, str], keys: Sequence[str]) -> Iterator[Change]:
    for figure in {**old, **new}:
        if figure not in keys and old.get(figure) != new.get(figure):
            yield Change(ticker, figure, old.get(figure), new.get(figure))
