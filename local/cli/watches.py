"""The alert rules for every ticker of a feed, including one that restarts at an earlier time."""

from collections.abc import Sequence

from trading.prices.alert_rules import DEFAULT_RULE, EVERY_TICKER, ActiveRule, AlertRule, Detection, Detector, Outcome
from trading.prices.ticks import Tick


class Watches:
    """A watch for each ticker. Two ticks in a row that are too old for it, in order, are the beginning of a new run.

    One alone is a straggler. So a recording that is played again, or a server whose clock was set back, is followed.
    """

    def __init__(self, rules: Sequence[AlertRule] = (DEFAULT_RULE,)) -> None:
        self._rules = rules
        self._watches: dict[str, Detector] = {}
        self._new_runs: dict[str, Detector] = {}  # of tickers whose latest tick was too old

    def __len__(self) -> int:
        return len(self._watches)

    def update(self, tick: Tick) -> tuple[Detection, bool]:
        """Return what becomes of a tick, and whether its ticker has begun anew."""
        ticker = tick.ticker
        watch = self._watches.get(ticker) or self._watches.setdefault(ticker, self._begun(ticker))
        judgement = watch.update(tick)
        if judgement.outcome is not Outcome.TOO_OLD:
            self._new_runs.pop(ticker, None)
            return judgement, False
        begun = self._new_runs.pop(ticker, None)
        if begun and begun.newest and begun.newest < tick.timestamp:
            self._watches[ticker] = begun
            return begun.update(tick), True
        self._new_runs[ticker] = self._begun(ticker)
        self._new_runs[ticker].update(tick)
        return judgement, False

    def _begun(self, ticker: str) -> Detector:
        rules = [ActiveRule(rule) for rule in self._rules if rule.ticker in {ticker, EVERY_TICKER}]
        return Detector(ticker, rules)
