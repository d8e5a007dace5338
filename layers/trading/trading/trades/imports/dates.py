"""Parsing the date formats of brokers."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from trading.core.values import INSTANT_PATTERN
from trading.trades.imports.format import ISO

NOON = time(12)  # used for a date without a time of day

_DIRECTIVES = {
    "%Y": ("year", r"[0-9]{4}"),
    "%m": ("month", r"[0-9]{1,2}"),
    "%d": ("day", r"[0-9]{1,2}"),
    "%b": ("month_name", r"[A-Za-z]{3}"),
    "%H": ("hour", r"[0-9]{1,2}"),
    "%M": ("minute", r"[0-9]{2}"),
    "%S": ("second", r"[0-9]{2}"),
    "%f": ("microsecond", r"[0-9]{1,6}"),
}
_DIRECTIVE = re.compile(r"%.|[^%]+|%", re.DOTALL)
_ISO_INSTANT = re.compile(INSTANT_PATTERN, re.ASCII)
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Dates:
    """Reads the dates of a file; results are cached, because many trades have the same date."""

    def __init__(self, formats: Sequence[str], zone: ZoneInfo, part: str, months: Mapping[str, str]) -> None:
        self._formats = formats
        self._zone = zone
        self._part = re.compile(part, re.DOTALL)
        self._months = months
        self._patterns = [pattern(each) for each in formats if each != ISO]
        self._known: dict[str, datetime] = {}

    def read(self, text: str) -> datetime:
        """Parse a cell and return the instant in UTC; a date without a time means noon.

        Raises:
            ValueError: it has another format, or there is no such day.
        """
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._read(text)
        return known

    def _read(self, text: str) -> datetime:
        found = self._part.fullmatch(text)
        wanted = found[1].strip() if found else text
        try:
            local = self._parsed(wanted)
            return (local if local.tzinfo else local.replace(tzinfo=self._zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            written = " or ".join(self._formats)
            raise ValueError(f"date must be written as {written}, not {text[:40]!r}") from None

    def _parsed(self, text: str) -> datetime:
        if ISO in self._formats:
            if _ISO_INSTANT.fullmatch(text):
                return datetime.fromisoformat(text.upper())
            if _ISO_DAY.fullmatch(text):
                return datetime.combine(datetime.fromisoformat(text), NOON)
        for each in self._patterns:
            if match := each.fullmatch(text):
                return self._built(match.groupdict())
        raise ValueError

    def _built(self, parts: dict[str, str]) -> datetime:
        name = parts.pop("month_name", "").lower()
        if name:
            parts["month"] = str(_MONTHS.index(self._months.get(name, name)) + 1)
        if "microsecond" in parts:
            parts["microsecond"] = parts["microsecond"].ljust(6, "0")
        numbers = {part: int(digits) for part, digits in parts.items()}
        day = datetime(numbers.pop("year"), numbers.pop("month"), numbers.pop("day"))  # noqa: DTZ001 - the zone is added below
        return day.replace(**numbers) if numbers else datetime.combine(day, NOON)  # type: ignore[arg-type]


def pattern(written: str) -> re.Pattern[str]:
    """Return a regular expression for a date format.

    Raises:
        ValueError: the format has an unknown directive, or does not have exactly one year, month and day.
    """
    pieces = _DIRECTIVE.findall(written)
    unknown = [piece for piece in pieces if piece.startswith("%") and piece not in _DIRECTIVES]
    if unknown:
        raise ValueError(f"has {unknown[0]}, and may have {' '.join(_DIRECTIVES)}")
    names = [_DIRECTIVES[piece][0] for piece in pieces if piece in _DIRECTIVES]
    if len(set(names)) < len(names) or not {"year", "day"} <= set(names) or not {"month", "month_name"} & set(names):
        raise ValueError("must have a year, a month and a day, each once")
    text = ""
    for position, piece in enumerate(pieces):
        if piece not in _DIRECTIVES:
            text += re.escape(piece)
            continue
        name, digits = _DIRECTIVES[piece]
        # Adjacent parts without a separator are distinguished by their widths.
        neighbours = pieces[max(position - 1, 0) : position] + pieces[position + 1 : position + 2]
        if any(each in _DIRECTIVES for each in neighbours):
            digits = digits.replace("{1,2}", "{2}")
        text += f"(?P<{name}>{digits})"
    return re.compile(text)
