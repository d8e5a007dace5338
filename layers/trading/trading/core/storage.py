"""Storage: objects in S3, read as streams and written atomically."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from trading.core import aws

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

CSV = "text/csv; charset=utf-8"
CHUNK_BYTES = 1024 * 1024
PART_BYTES = 8 * 1024 * 1024  # S3 takes parts of 5 MB and more, 10,000 of them


class IncompleteBodyError(Exception):
    """An object's body ended before its stated length; what was read is incomplete."""


class ReplacedError(Exception):
    """Another program wrote the object between our read and our write."""


@dataclass(frozen=True)
class StoredObject:
    """An object in S3: its ETag, its metadata and its body."""

    key: str
    etag: str
    metadata: Mapping[str, str]
    chunks: Iterator[bytes]


def open_object(bucket: str, key: str) -> StoredObject | None:
    """Return an object, whose chunks are read on demand, or None if it does not exist.

    Raises:
        IncompleteBodyError: (while the chunks are read) the body is shorter than S3 said.
    """
    client = aws.s3()
    try:
        answer = client.get_object(Bucket=bucket, Key=key)
    except client.exceptions.NoSuchKey:
        return None
    return StoredObject(
        key,
        answer["ETag"],
        answer["Metadata"],
        _whole(answer["Body"].iter_chunks(CHUNK_BYTES), answer["ContentLength"]),
    )


def describe(bucket: str, key: str) -> tuple[str, Mapping[str, str]] | None:
    """Return an object's ETag and metadata, or None if it does not exist."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - loaded with the client, not before

    try:
        answer = aws.s3().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:  # noqa: PLR2004 - a HEAD response has no body with an error code
            return None
        raise
    return answer["ETag"], answer["Metadata"]


def has(described: tuple[str, Mapping[str, str]], metadata: Mapping[str, str]) -> bool:
    """Whether a described object has this metadata."""
    return described[1].items() >= metadata.items()


def list_keys(bucket: str, prefix: str = "", suffix: str = "", *, after: str = "") -> Iterator[str]:
    """Yield, in order, the keys with this prefix and suffix that sort after `after`."""
    pages = aws.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=after)
    for page in pages:
        yield from (each["Key"] for each in page.get("Contents", []) if each["Key"].endswith(suffix))


def put(  # noqa: PLR0913, PLR0917 - the parts of an object
    bucket: str,
    key: str,
    body: bytes,
    content_type: str,
    metadata: Mapping[str, str],
    condition: Mapping[str, str] | None = None,
) -> None:
    """Write an object if the condition (IfMatch or IfNoneMatch) holds.

    Raises:
        ReplacedError: the condition does not hold; the stored object is unchanged.
    """
    with _conditionally(key):
        aws.s3().put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            ContentType=content_type,
            Metadata=dict(metadata),
            **(condition or {}),  # type: ignore[arg-type]  # IfMatch or IfNoneMatch
        )


@contextmanager
def _conditionally(key: str) -> Iterator[None]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - loaded with the client, not before

    try:
        yield
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in {409, 412}:
            raise ReplacedError(f"{key} was written by another program meanwhile") from error
        raise


def delete(bucket: str, key: str) -> None:
    """Delete an object if it exists."""
    aws.s3().delete_object(Bucket=bucket, Key=key)


class Upload:
    """An object that is written as a stream in bounded memory, and exists only after `complete`.

    Leaving the block before that discards everything.
    """

    def __init__(
        self, bucket: str, key: str, content_type: str, metadata: Mapping[str, str], *, replaces: str | None = ""
    ) -> None:
        """Begin an object that `replaces` the version with this ETag, no version (None), or any version ("")."""
        self._bucket = bucket
        self._key = key
        self._content_type = content_type
        self._metadata = dict(metadata)
        self._condition = {"IfMatch": replaces} if replaces else {"IfNoneMatch": "*"} if replaces is None else {}
        self._held = bytearray()
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []

    def write(self, data: bytes) -> int:
        """Append to the object."""
        self._held += data
        while len(self._held) >= PART_BYTES:
            self._send(bytes(self._held[:PART_BYTES]))
            del self._held[:PART_BYTES]
        return len(data)

    def complete(self) -> None:
        """Create the object, or replace the existing one.

        Raises:
            ReplacedError: the stored version is not the one to replace; it is unchanged.
        """
        if self._upload_id is None:
            put(self._bucket, self._key, bytes(self._held), self._content_type, self._metadata, self._condition)
            return
        if self._held:
            self._send(bytes(self._held))
        with _conditionally(self._key):
            aws.s3().complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": self._parts},
                **self._condition,  # type: ignore[arg-type]  # IfMatch or IfNoneMatch
            )
        self._upload_id = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._upload_id:
            aws.s3().abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)

    def _send(self, part: bytes) -> None:
        client = aws.s3()
        if self._upload_id is None:
            begun = client.create_multipart_upload(
                Bucket=self._bucket, Key=self._key, ContentType=self._content_type, Metadata=self._metadata
            )
            self._upload_id = begun["UploadId"]
        number = len(self._parts) + 1
        answer = client.upload_part(
            Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=part
        )
        self._parts.append({"ETag": answer["ETag"], "PartNumber": number})


def _whole(chunks: Iterator[bytes], length: int) -> Iterator[bytes]:
    read = 0
    for chunk in chunks:
        read += len(chunk)
        yield chunk
    if read != length:
        raise IncompleteBodyError(f"{read} of {length} bytes came")
