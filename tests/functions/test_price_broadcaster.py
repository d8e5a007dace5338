import json

import pytest

from local.host.template import ROOT
from tests.conftest import PriceServices, context
from trading.streaming import broadcasts
from trading.streaming.broadcasts import Broadcast, Posted

EVENTS = ROOT / "events" / "price_broadcaster"


@pytest.mark.parametrize(
    ("event", "failed"),
    [("broadcast.json", []), ("broadcast_one_poisoned.json", ["5d7f2a10-51c4-4f0e-9d0b-0b0000000002"])],
)
def test_what_can_be_read_is_posted_and_the_rest_given_back(
    price_services: PriceServices, monkeypatch: pytest.MonkeyPatch, event: str, failed: list[str]
) -> None:
    from functions.price_broadcaster.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    del price_services
    posted: list[Broadcast] = []

    def post(given: list[Broadcast], seconds: float) -> Posted:
        assert 0 < seconds < 30
        posted.extend(given)
        return Posted(0, 0, 0)

    monkeypatch.setattr(broadcasts, "post", post)
    answer = handler(json.loads((EVENTS / event).read_text()), context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
    [broadcast] = posted
    assert str(broadcast.prices[0].price) == "100.10"
    assert broadcast.alerts[0].ticker == "AAPL"


@pytest.mark.parametrize(
    "attributes", [{"ApproximateReceiveCount": "2"}, {"ApproximateFirstReceiveTimestamp": "1748952032000"}]
)
def test_what_comes_again_or_has_waited_is_not_posted_after_newer_prices(
    price_services: PriceServices, monkeypatch: pytest.MonkeyPatch, attributes: dict[str, str]
) -> None:
    from functions.price_broadcaster.app import handler  # noqa: PLC0415 - its environment is set by the fixtures

    del price_services
    event = json.loads((EVENTS / "broadcast.json").read_text())
    event["Records"][0]["attributes"] |= attributes
    counts = []

    def post(given: list[Broadcast], _: float) -> Posted:
        counts.append(len(given))
        return Posted(0, 0, 0)

    monkeypatch.setattr(broadcasts, "post", post)
    assert handler(event, context()) == {"batchItemFailures": []}
    assert counts == [0]
