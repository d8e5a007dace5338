"""Charts: line charts and heat maps as inline SVG without scripts.

Curves are drawn in a viewBox that stretches to the available width, with non-scaling strokes. Text and marks are
positioned in percent and keep their size. Colors come from the page: each line, mark and cell has a CSS class.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

SIDE = 10_000  # of the viewBox; points have integer coordinates
BUCKETS = 1_000  # a curve with more points is reduced to the lowest and highest point of each bucket
DATE_LABELS = 5
VALUE_LABELS = 6
HEAD_ROOM = 0.05


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: its CSS class, its name, and a value for each position (None: no value yet)."""

    css: str
    name: str
    values: Sequence[float | None]
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of interest: the id of its symbol in the page, its position, and its tooltip."""

    symbol: str
    position: int
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a heat map, by its column and row; empty without a value."""

    column: int
    row: int
    value: float | None
    text: str
    is_best: bool


def line_chart(title: str, labels: Sequence[str], lines: Sequence[Line], marks: Sequence[Mark] = ()) -> str:
    """Return a line chart over the positions named by `labels`, scaled from the lowest to the highest value."""
    scale = _Scale.of([value for line in lines for value in line.values if value is not None])
    width = max(1, len(labels) - 1)
    ticks = [(_percent(scale.height(value)), _number(value)) for value in scale.ticks()]
    grid = "".join(f'<line x2="100%" y1="{y}" y2="{y}"/>' for y, _ in ticks)
    values = "".join(f'<text y="{y}" dy="-4">{text}</text>' for y, text in ticks)
    curves = "".join(_curve(line, scale, width) for line in lines)
    symbols = "".join(
        f'<use href="#{mark.symbol}" class="{mark.symbol}" x="{_percent(mark.position / width)}"'
        f' y="{_percent(scale.height(mark.value))}"><title>{escape(mark.text)}</title></use>'
        for mark in marks
    )
    legend = "".join(f'<span class="{line.css}">{escape(line.name)}</span>' for line in lines)
    return f"""<figure><figcaption>{escape(title)}<span class="legend">{legend}</span></figcaption>
<svg class="plot" role="img" aria-label="{escape(title)}"><g class="grid">{grid}</g>
<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" width="100%" height="100%">{curves}</svg>
{symbols}<g class="values">{values}</g></svg>
<svg class="dates" aria-hidden="true">{_dates(labels, width)}</svg></figure>
"""


def heat_map(
    title: str, columns: tuple[str, Sequence[str]], rows: tuple[str, Sequence[str]], cells: Sequence[Cell]
) -> str:
    """Return a heat map with darker cells for higher values; columns and rows are a name and labels each."""
    values = [cell.value for cell in cells if cell.value is not None and math.isfinite(cell.value)]
    lowest, highest = min(values, default=0), max(values, default=0)
    width, height = 1 / len(columns[1]), 1 / len(rows[1])
    drawn = "".join(
        f'<rect x="{_percent(cell.column * width)}" y="{_percent(cell.row * height)}" width="{_percent(width)}"'
        f' height="{_percent(height)}" class="{"best" if cell.is_best else "cell"}"'
        f' fill-opacity="{_strength(cell.value, lowest, highest):.2f}"><title>{escape(cell.text)}</title></rect>'
        for cell in sorted(
            cells, key=lambda cell: cell.is_best
        )  # the best last, so that no other cell covers its frame
    )
    downs = "".join(
        f'<text x="36" y="{_percent((row + 0.5) * height)}" dy="4">{escape(rows[1][row])}</text>'
        for row in some(len(rows[1]), 12)
    )
    across = "".join(
        f'<text x="{_percent((column + 0.5) * width)}" y="14">{escape(columns[1][column])}</text>'
        for column in some(len(columns[1]), 10)
    )
    key = f'{_number(lowest)}<span class="ramp"></span>{_number(highest)}'
    return f"""<figure class="heat"><figcaption>{escape(title)}<span class="legend">{key}</span></figcaption>
<p class="axis">{escape(rows[0])} down, {escape(columns[0])} across</p>
<div><svg class="downs" aria-hidden="true">{downs}</svg>
<svg class="cells" role="img" aria-label="{escape(title)}">{drawn}</svg></div>
<svg class="across" aria-hidden="true">{across}</svg></figure>
"""


@dataclass(frozen=True, slots=True)
class _Scale:
    """The values at the bottom and the top of a chart."""

    bottom: float
    top: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "_Scale":
        lowest, highest = min(values), max(values)
        room = (highest - lowest) * HEAD_ROOM or abs(highest) * HEAD_ROOM or 1
        return cls(lowest - room, highest + room)

    def height(self, value: float) -> float:
        """Return the vertical position of a value, from 0 at the top to 1 at the bottom."""
        return (self.top - value) / (self.top - self.bottom)

    def ticks(self) -> list[float]:
        """Return round values between bottom and top, in steps of 1, 2 or 5 times a power of ten."""
        rough = (self.top - self.bottom) / VALUE_LABELS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
        first = math.ceil(self.bottom / step)
        return [number * step for number in range(first, math.floor(self.top / step) + 1)]


def _curve(line: Line, scale: _Scale, width: int) -> str:
    points = [
        (round(position / width * SIDE), round(scale.height(value) * SIDE))
        for position, value in _thinned(line.values)
        if value is not None
    ]
    text = " ".join(f"{x},{y}" for x, y in points)
    if not line.filled or not points:
        return f'<polyline class="{line.css}" points="{text}"/>'
    base = round(scale.height(0) * SIDE)
    return f'<polygon class="{line.css}" points="{points[0][0]},{base} {text} {points[-1][0]},{base}"/>'


def _thinned(values: Sequence[float | None]) -> list[tuple[int, float | None]]:
    """Return positions and values, reduced to what a screen can show without losing peaks."""
    known = [(position, value) for position, value in enumerate(values) if value is not None]
    if len(known) <= 2 * BUCKETS:
        return list(known)
    size = math.ceil(len(known) / BUCKETS)
    thinned: list[tuple[int, float | None]] = []
    for start in range(0, len(known), size):
        bucket = known[start : start + size]
        extremes = {min(bucket, key=lambda each: each[1]), max(bucket, key=lambda each: each[1])}
        thinned += sorted(extremes)
    return thinned


def _dates(labels: Sequence[str], width: int) -> str:
    last = len(labels) - 1
    texts = []
    for number, position in enumerate(some(len(labels), DATE_LABELS)):
        anchor = "start" if position == 0 else "end" if position == last else "middle"
        css = "odd" if number % 2 else "even"  # phones show only every second label
        texts.append(
            f'<text x="{_percent(position / width)}" y="14" text-anchor="{anchor}" class="{css}">'
            f"{escape(labels[position])}</text>"
        )
    return "".join(texts)


def some(length: int, most: int) -> list[int]:
    """Return at most `most` positions, evenly spaced from the first to the last."""
    count = min(length, most)
    return [round(number * (length - 1) / max(1, count - 1)) for number in range(count)]


def _strength(value: float | None, lowest: float, highest: float) -> float:
    if value is None:
        return 0
    return 0.08 + 0.92 * ((min(value, highest) - lowest) / (highest - lowest) if highest > lowest else 1)


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"


def _number(value: float) -> str:
    return f"{value:,.2f}".removesuffix(".00") if abs(value) >= 1 or not value else f"{value:.3g}"
