import gc
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.sns.models import sns_backends
from moto.sqs.models import Message, sqs_backends

from local.host import aws_state
from local.host.aws_services import AwsError, AwsServer
from local.host.aws_state import State
from local.host.system import free_port
from local.host.template import REGION

ARN = f"arn:aws:sqs:{REGION}:123456789012:"
QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "declared", "VisibilityTimeout": 30}}
HEAP_BYTES = 2**26  # that glibc reserves for a heap of a thread
BUCKET = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "declared"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    server = AwsServer(tmp_path_factory.mktemp("aws"), free_port(0, ["127.0.0.1"]))
    server.declare({"Resources": {"Queue": QUEUE}, "Outputs": {"A": {"Description": "a/b", "Value": {"Ref": "Queue"}}}})
    assert server.start() == {"a/b": "https://sqs.eu-west-1.amazonaws.com/123456789012/declared"}
    yield server
    server.stop()


def kill_and_start(server: AwsServer) -> dict[str, str]:
    """End a server as a power cut would, and start it again."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.ended() is None:
        time.sleep(0.01)
    assert server.ended() == "was ended by signal 9"
    return server.start()


def bodies(sqs: Any, url: str) -> list[str]:
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in messages]


def test_what_was_answered_is_there_after_a_kill(server: AwsServer) -> None:
    sqs, s3, dynamodb, sns = (server.services.client(name) for name in ("sqs", "s3", "dynamodb", "sns"))
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    dead = sqs.create_queue(QueueName="dead.fifo", Attributes=fifo)["QueueUrl"]
    policy = f'{{"deadLetterTargetArn": "{ARN}dead.fifo", "maxReceiveCount": 1}}'
    url = sqs.create_queue(QueueName="q.fifo", Attributes={**fifo, "RedrivePolicy": policy})["QueueUrl"]
    entries = [{"Id": str(number), "MessageBody": str(number), "MessageGroupId": "g"} for number in range(5)]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    first = sqs.receive_message(QueueUrl=url, VisibilityTimeout=300)["Messages"][0]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=300)["Messages"][0]["Body"] == "1"
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    for key, body in (("a", b"1"), ("a", b"2"), ("b", b"3"), ("c/d", os.urandom(9_000_000))):
        s3.put_object(Bucket="kept", Key=key, Body=body)
    s3.delete_object(Bucket="kept", Key="b")
    etag = s3.head_object(Bucket="kept", Key="c/d")["ETag"]
    dynamodb.create_table(
        TableName="kept",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for key in ("put", "updated", "deleted"):
        dynamodb.put_item(TableName="kept", Item={"k": {"S": key}})
    set_n = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "7"}}}
    dynamodb.update_item(TableName="kept", Key={"k": {"S": "updated"}}, **set_n)
    dynamodb.delete_item(TableName="kept", Key={"k": {"S": "deleted"}})
    topic = sns.create_topic(Name="topic")["TopicArn"]
    heard = sqs.create_queue(QueueName="heard")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{ARN}heard", Attributes={"RawMessageDelivery": "true"})
    sns.publish(TopicArn=topic, Message="before")

    kill_and_start(server)
    assert bodies(sqs, url) == ["1", "2", "3", "4"]  # what was received and not deleted too
    assert (bodies(sqs, url), bodies(sqs, dead)) == ([], [])
    assert s3.get_object(Bucket="kept", Key="a")["Body"].read() == b"2"
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="kept")["Contents"]] == ["a", "c/d"]
    assert s3.head_object(Bucket="kept", Key="c/d")["ETag"] == etag
    assert dynamodb.scan(TableName="kept")["Items"] == [{"k": {"S": "put"}}, {"k": {"S": "updated"}, "n": {"N": "7"}}]
    sns.publish(TopicArn=topic, Message="after")
    assert bodies(sqs, heard) == ["before", "after"]


def test_messages_that_were_not_received_too_often_go_to_the_dead_letter_queue_for_good(server: AwsServer) -> None:
    sqs = server.services.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = f'{{"deadLetterTargetArn": "{ARN}dead", "maxReceiveCount": 1}}'
    url = sqs.create_queue(QueueName="live", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    time.sleep(0.01)
    assert bodies(sqs, url) == []
    kill_and_start(server)
    assert bodies(sqs, url) == []
    assert bodies(sqs, dead) == ["poison"]


def test_a_template_that_has_more_is_made_beside_what_is_there(server: AwsServer) -> None:
    sqs, s3 = server.services.client("sqs"), server.services.client("s3")
    url = sqs.get_queue_url(QueueName="declared")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="kept")
    longer = {**QUEUE, "Properties": {**QUEUE["Properties"], "VisibilityTimeout": 60}}  # type: ignore[dict-item]
    server.declare({"Resources": {"Queue": longer, "Bucket": BUCKET}})
    assert kill_and_start(server) == {}
    kill_and_start(server)  # of a template that is known
    assert [found["Name"] for found in s3.list_buckets()["Buckets"] if found["Name"] == "declared"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    assert attributes == {"VisibilityTimeout": "60"}
    assert bodies(sqs, url) == ["kept"]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the mappings of a process are read as on Linux")
def test_many_clients_at_once_share_one_heap(server: AwsServer) -> None:
    sqs = server.services.client("sqs")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: sqs.list_queues(), range(40)))
    assert server.pid is not None
    assert heaps_of_threads(server.pid) == 0


def heaps_of_threads(pid: int) -> int:
    """Return how many there are: glibc reserves a whole aligned block for each, of which the first part is in use."""
    mappings = [line.split()[:2] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    bounds = [[int(address, 16) for address in addresses.split("-")] for addresses, _ in mappings]
    return sum(
        start % HEAP_BYTES == 0 and end == start + HEAP_BYTES and permissions == "---p"
        for (start, _), (_, end), (_, permissions) in zip(bounds, bounds[1:], mappings[1:], strict=False)
    )


def test_a_client_that_sends_slowly_holds_up_nobody(server: AwsServer) -> None:
    port = int(server.services.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"PUT /kept/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
        started = time.monotonic()
        server.services.client("sqs").list_queues()
        assert time.monotonic() - started < 10


def test_who_waits_for_messages_of_a_busy_group_holds_up_nobody(server: AwsServer) -> None:
    sqs = server.services.client("sqs")
    url = sqs.create_queue(QueueName="busy.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    for body in ("first", "second"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g", MessageDeduplicationId=body)
    assert sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"][0]["Body"] == "first"
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=2)
        time.sleep(0.2)
        server.services.client("sqs").list_queues()
        assert not waiting.done()
        assert "Messages" not in waiting.result()


def test_what_cannot_be_read_is_an_error_in_a_line_that_says_what_to_do(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as file:
        file.executescript(aws_state.SCHEMA)
        file.execute("insert into kept (kind, holder, name, value) values ('queue', '', 'q', x'00')")
    with pytest.raises(AwsError, match=r"^AWS's services did not start: .* cannot be read \(.*`make reset` deletes it"):
        AwsServer(tmp_path, free_port(0, ["127.0.0.1"])).start()


# In this process: the state itself.


@pytest.fixture
def state() -> Iterator[State]:
    aws_state.adapt_moto()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as file:
        yield State(file, "eu-north-1")


def test_messages_that_are_gone_are_forgotten(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_state, "REMEMBERED", 100)
    sqs = sqs_backends["123456789012"]["eu-north-1"]
    sqs.create_queue("q")
    for number in range(aws_state.REMEMBERED + 10):
        sqs.send_message("q", str(number))
        [message] = sqs.receive_message("q", 1, 0, 30)
        assert message.receipt_handle is not None
        sqs.delete_message("q", message.receipt_handle)
        state.save()
    gc.collect()
    assert len([each for each in gc.get_objects() if isinstance(each, Message)]) < 10
    assert len(sqs.queues["q"].deleted_messages) <= aws_state.REMEMBERED


def test_keys_of_signatures_are_forgotten(state: State) -> None:
    sqs, sns = sqs_backends["123456789012"]["eu-north-1"], sns_backends["123456789012"]["eu-north-1"]
    queue, topic = sqs.create_queue("heard"), sns.create_topic("said")
    sns.subscribe(topic.arn, queue.queue_arn, "sqs")
    sns.publish("hello", topic.arn)
    keys = sns._message_public_keys  # noqa: SLF001 - moto has no other way to them
    assert len(keys) == 1
    state.save()
    assert len(keys) == 0


def test_items_are_deleted_when_their_time_is_over(state: State) -> None:
    tables = dynamodb_backends["123456789012"]["eu-north-1"]
    schema, attributes = [{"AttributeName": "k", "KeyType": "HASH"}], [{"AttributeName": "k", "AttributeType": "S"}]
    table = Table("t", "123456789012", "eu-north-1", schema, attributes)  # type: ignore[abstract]  # to mypy alone
    tables.tables["t"] = table
    tables.update_time_to_live("t", {"Enabled": True, "AttributeName": "until"})
    for name, until in (("over", time.time() - 1), ("not yet", time.time() + 60)):
        table.put_item({"k": {"S": name}, "until": {"N": str(int(until))}})
    table.put_item({"k": {"S": "never"}})
    state.expire_items()
    assert {item.hash_key.value for item in table.all_items()} == {"not yet", "never"}
