"""AWS's services are asked where a function in the VPC can reach them."""

import pytest

from trading.core import aws


def test_services_are_asked_at_the_names_that_answer_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in {"DEFAULT_REGION": "eu-west-1", "ACCESS_KEY_ID": "local", "SECRET_ACCESS_KEY": "local"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    # Past the kept clients, which other tests use.
    assert aws.sns.__wrapped__().meta.endpoint_url == "https://sns.eu-west-1.amazonaws.com"
    # These are reached by gateway endpoints, which are for IPv4.
    assert aws.s3.__wrapped__().meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"
    assert aws.dynamodb.__wrapped__().meta.endpoint_url == "https://dynamodb.eu-west-1.amazonaws.com"
