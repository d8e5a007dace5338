"""The peer of the alert rule: a list of the window's points that is rebuilt and searched at every tick."""

from datetime import datetime, timedelta


class WindowScan:
    """Watches one ticker in floats, as scripts do: drops old points, then searches all others."""

    def __init__(self, seconds: float, threshold: float) -> None:
        self._length = timedelta(seconds=seconds)
        self._threshold = threshold
        self._points: list[tuple[datetime, float]] = []

    def add(self, timestamp: datetime, price: float) -> bool:
        """Add a point to the window, and return whether it is an alert."""
        self._points.append((timestamp, price))
        self._points = [point for point in self._points if timestamp - point[0] <= self._length]
        return price > self._threshold * min(point[1] for point in self._points)
