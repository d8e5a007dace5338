import json
import uuid
from pathlib import Path

import pytest

from local.host.aws_services import Aws
from local.tools import publish

OUTPUTS = {"TokenUrl": "https://trading-x.auth.eu-west-1.amazoncognito.com/oauth2/token"}
CLIENT = {"ClientId": "page", "AllowedOAuthScopes": ["openid", "trading/trades:read"]}


def test_a_stack_with_a_pool_of_its_own_says_where_people_sign_in() -> None:
    assert publish.config(OUTPUTS, CLIENT) == {
        "signIn": {
            "url": "https://trading-x.auth.eu-west-1.amazoncognito.com",
            "clientId": "page",
            "scope": "openid trading/trades:read",
        }
    }
    issuer = "https://login.example.com/"
    assert publish.config({}, None, issuer) == {"signIn": None, "issuer": issuer}


def test_what_is_published_has_its_type_and_how_long_it_may_be_kept(
    aws_services: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "assets-1").mkdir()
    (tmp_path / "assets-1" / "main.js").write_text("start();")
    (tmp_path / "index.html").write_text("the page")
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(publish, "BUILT", tmp_path)
    s3, bucket = aws_services.client("s3"), f"page-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    assert publish.upload(s3, bucket, {"signIn": None}) == 3
    script = s3.get_object(Bucket=bucket, Key="assets-1/main.js")
    assert (script["ContentType"], "immutable" in script["CacheControl"]) == ("text/javascript", True)
    index = s3.get_object(Bucket=bucket, Key="index.html")
    assert (index["ContentType"], index["CacheControl"]) == ("text/html", "no-cache")
    assert json.load(s3.get_object(Bucket=bucket, Key="config.json")["Body"]) == {"signIn": None}
