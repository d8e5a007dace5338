"""`python -m local.tools.publish STACK`, or `make publish`: uploads the built page to a deployed stack's bucket."""

import json
import sys
from collections.abc import Mapping
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any

import boto3

from local.host.page import BUILT, FOR_EVER, REVALIDATED
from local.tools.build_page import NO_SIGN_IN

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path, not a token
# The fields of a client's description that an update does not accept.
READ_ONLY = {"ClientSecret", "CreationDate", "LastModifiedDate"}


def config(outputs: Mapping[str, str], client: Mapping[str, Any] | None, issuer: str = "") -> dict[str, Any]:
    """Return the page's config.json for a stack: its sign-in pages, or the external token issuer."""
    if client is None:
        return {**NO_SIGN_IN, "issuer": issuer}
    return {
        "signIn": {
            "url": outputs["TokenUrl"].removesuffix(TOKEN_PATH),
            "clientId": client["ClientId"],
            "scope": " ".join(client["AllowedOAuthScopes"]),
        }
    }


def upload(s3: "S3Client", bucket: str, settings: Mapping[str, Any]) -> int:
    """Upload the page's files to a bucket, index.html last, and return their number.

    Files of earlier versions are kept for pages that are still open.
    """
    names = sorted(str(file.relative_to(BUILT)) for file in BUILT.rglob("*") if file.is_file())
    for name in sorted(names, key=lambda name: (name == "index.html", name)):
        body = json.dumps(settings).encode() if name == "config.json" else (BUILT / name).read_bytes()
        s3.put_object(
            Bucket=bucket,
            Key=name,
            Body=body,
            ContentType=guess_type(name)[0] or "application/octet-stream",
            CacheControl=FOR_EVER if "/" in name else REVALIDATED,
        )
    return len(names)


def main() -> int:
    """Publish to the stack named on the command line."""
    [stack] = boto3.client("cloudformation").describe_stacks(StackName=sys.argv[1])["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    client = _let_people_return(outputs) if "PageClientId" in outputs else None
    parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", [])}
    settings = config(outputs, client, parameters.get("TokenIssuer", ""))
    count = upload(boto3.client("s3"), outputs["PageBucketName"], settings)
    print(f"{count} files are published. The page: {outputs['PageUrl']}/")
    return 0


def _let_people_return(outputs: Mapping[str, str]) -> dict[str, Any]:
    """Set the page as redirect URL of the sign-in pages, and return the client's description."""
    cognito: Any = boto3.client("cognito-idp")
    described = cognito.describe_user_pool_client(UserPoolId=outputs["UserPoolId"], ClientId=outputs["PageClientId"])[
        "UserPoolClient"
    ]
    address = [f"{outputs['PageUrl']}/"]
    wanted = {name: value for name, value in described.items() if name not in READ_ONLY}
    # An update resets omitted fields to their defaults.
    cognito.update_user_pool_client(**{**wanted, "CallbackURLs": address, "LogoutURLs": address})
    return {**described, "CallbackURLs": address, "LogoutURLs": address}


if __name__ == "__main__":
    sys.exit(main())
