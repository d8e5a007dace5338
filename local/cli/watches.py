"""Evaluates alert rules for all tickers of a feed, including feeds that restart at an earlier time."""

from collections.abc import Sequence

from trading.prices.alert_rules import DEFAULT_RULE, EVERY_TICKER, ActiveRule, AlertRule, Detection, Detector, Outcome
from trading.prices.ticks import Tick


class Watches:
    """A detector for each ticker. Two consecutive ticks that are too old but in order are the start of a new run.

    A single one is a late tick. So a recording that is repeated, or a server whose clock was set back, is followed.
    """

    def __init__(self, rules: Sequence[AlertRule] = (DEFAULT_RULE,)) -> None:
        self._rules = rules
        self._watches: dict[str, Detector] = {}
        self._new_runs: dict[str, Detector] = {}  # for tickers whose latest tick was too old

    def __len__(self) -> int:
        return len(self._watches)

    def update(self, tick: Tick) -> tuple[Detection, bool]:
        """Process a tick; return the result, and whether its ticker has restarted."""
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
