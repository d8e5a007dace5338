"""Persistence of the local AWS services: changes of a request are written to a file before the response.

A commit is a write to SQLite's journal that does not wait for the disk, so acknowledged changes survive any end of the
process. The file has queues, buckets, tables, topics, subscriptions and rules, with their messages, objects and items.
"""

import json
import pickle
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator
from copy import copy
from threading import Condition, RLock
from typing import Any

from moto.core.common_models import BaseModel
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import unix_time_millis
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.events.models import events_backends
from moto.s3.models import MultipartDict, s3_backends
from moto.s3.utils import _VersionedKeyStore
from moto.sns.models import sns_backends
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

SCHEMA = """
create table if not exists kept (
    number integer primary key, -- the order in which it is put back
    kind text not null,
    holder text not null, -- the queue, table or bucket that it lies in; empty for those
    name text not null,
    value blob not null
);
create index if not exists kept_by_name on kept (kind, holder, name);
"""
# In the order of their dependencies.
RESOURCES = ("queue", "bucket", "table", "topic", "subscription", "rule")
KINDS = (*RESOURCES, "message", "object", "item")
# The number of deleted messages that moto remembers.
REMEMBERED = 1_000
# The maximum delay of a message after it becomes receivable: its group was busy, or its visibility timeout ran.
HELD_SECONDS = 0.05

# moto's server handles each request in a separate thread with little locking. So one request is processed at a time,
# and a long poll for messages releases the lock while it waits.
turn = Condition(RLock())
_looked_up: set[tuple[str, Any, Any]] = set()  # items: table, hash key, range key


class UnreadableStateError(Exception):
    """The stored state cannot be read, for example because another version of moto wrote it."""


def adapt_moto() -> None:
    """Patch moto: queues wait on `turn` without counters, item lookups are recorded, and models are not retained."""

    def new(model: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
        return object.__new__(model)

    def get_item(table: Table, hash_key: Any, range_key: Any = None, *rest: Any, **names: Any) -> Any:
        _looked_up.add((table.name, hash_key, range_key))
        return look_up(table, hash_key, range_key, *rest, **names)

    def wait_for_messages(queue: Queue, timeout: float) -> None:
        # moto returns immediately if a message is visible, even if its group is busy. A poll of such a queue would then
        # never release the lock.
        turn.wait(HELD_SECONDS if queue._messages else timeout)  # noqa: SLF001

    def is_kept(services: Any, queue_name: str, message: Any) -> bool:
        # moto would count all messages of the queue for each received one.
        age = time.time() - message.sent_timestamp / 1000
        return bool(age < services.get_queue(queue_name).message_retention_period)

    def available(queue: Queue) -> list[Message]:
        # moto would read the clock twice for each message, here and below, and each call to send or receive does this.
        now = unix_time_millis()
        return [each for each in queue._messages if each.visible_at < now >= each.delayed_until]  # noqa: SLF001

    def delayed(queue: Queue) -> int:
        now = unix_time_millis()
        return sum(each.delayed_until > now for each in queue._messages)  # noqa: SLF001

    def hidden(queue: Queue) -> int:
        now = unix_time_millis()
        return sum(each.visible_at >= now for each in queue._messages)  # noqa: SLF001

    look_up = Table.get_item
    BaseModel.__new__ = new  # type: ignore[method-assign, assignment]
    Table.get_item = get_item  # type: ignore[method-assign, assignment]
    Queue.messages = property(available)  # type: ignore[method-assign, assignment]
    Queue.approximate_number_of_messages_delayed = property(delayed)  # type: ignore[method-assign, assignment]
    Queue.approximate_number_of_messages_not_visible = property(hidden)  # type: ignore[method-assign, assignment]
    Queue.wait_for_messages = wait_for_messages  # type: ignore[method-assign, assignment]
    SQSBackend.is_message_valid_based_on_retention_period = is_kept  # type: ignore[method-assign, assignment]
    Queue._messages_lock = property(lambda _: turn, lambda *_: None)  # type: ignore[assignment]  # noqa: SLF001


class State:
    """The services of a region and the file with their state. The caller must hold `turn`."""

    def __init__(self, file: sqlite3.Connection, region: str) -> None:
        self._sqs = sqs_backends[DEFAULT_ACCOUNT_ID][region]
        self._sns = sns_backends[DEFAULT_ACCOUNT_ID][region]
        self._dynamodb = dynamodb_backends[DEFAULT_ACCOUNT_ID][region]
        self._events = events_backends[DEFAULT_ACCOUNT_ID][region]
        self._s3 = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self._file = file
        self._file.execute("pragma journal_mode = wal")
        self._file.execute("pragma synchronous = normal")
        self._file.executescript(SCHEMA)
        # The contents of the file: names of messages, row numbers of object versions, values of resources.
        self._messages: set[tuple[str, str]] = set()
        self._objects: dict[Any, int] = {}
        self._resources: dict[tuple[str, str], bytes] = {}

    def note(self, name: str) -> str:
        """Return the note with this name, or None."""
        found = self._file.execute("select value from kept where kind = 'note' and name = ?", [name]).fetchone()
        return found[0].decode() if found else ""

    def write_note(self, name: str, text: str) -> None:
        """Store a note under a name, replacing an earlier one."""
        self._delete("note", "", name)
        self._insert("note", "", name, text.encode())

    def save(self, *, items: bool = False, objects: bool = False, resources: str = "") -> None:
        """Store added and deleted messages, and what else a request may have changed.

        `resources` is the text of a request that may have changed resources.
        """
        self._file.execute("begin")
        self._save_messages()
        if items:
            for table, hash_key, range_key in _looked_up:
                self._save_item(table, hash_key, range_key)
        if objects:
            self._save_objects()
        if resources:
            self._save_resources(resources)
        self._file.execute("commit")
        _looked_up.clear()
        self._forget()

    def restore(self) -> None:
        """Restore the stored state, in addition to resources that were just deployed.

        Raises:
            UnreadableStateError: it cannot be read.
        """
        try:
            for kind in KINDS:
                rows = self._file.execute(
                    "select number, holder, name, value from kept where kind = ? order by number", [kind]
                )
                for number, holder, name, value in rows:
                    self._put_back(kind, number, holder, name, value)
        except Exception as error:
            raise UnreadableStateError(f"{type(error).__name__}: {error}") from error
        for queue in self._sqs.queues.values():
            if isinstance(queue.dead_letter_queue, str):
                queue.dead_letter_queue = self._sqs.queues.get(queue.dead_letter_queue)
        self.save(resources=" ".join(name for (_, name), _ in self._present_resources()) or "none")

    def expire_items(self) -> None:
        """Delete items whose time to live has passed, because moto does not."""
        for table in self._dynamodb.tables.values():
            if table.ttl["TimeToLiveStatus"] != "ENABLED":
                continue
            for item in list(table.all_items()):
                expires = item.attrs.get(table.ttl["AttributeName"])
                if expires and expires.type == "N" and float(expires.value) < time.time():
                    table.delete_item(item.hash_key, item.range_key)
                    _looked_up.add((table.name, item.hash_key, item.range_key))
        self.save(items=True)

    def _put_back(self, kind: str, number: int, holder: str, name: str, value: bytes) -> None:
        if kind in RESOURCES:
            self._resources[kind, name] = value
            self._put_back_resource(kind, name, _read(value))
        elif kind == "message":
            message = Message("", "")
            vars(message).update(_read(value))
            self._sqs.queues[holder]._messages.append(message)  # noqa: SLF001
            self._messages.add((holder, name))
        elif kind == "object":
            version = _read(value)
            self._s3.buckets[holder].keys[name] = version
            self._objects[version] = number
        else:
            self._dynamodb.tables[holder].put_item(json.loads(value), overwrite=True)

    def _put_back_resource(self, kind: str, name: str, resource: Any) -> None:
        """Restore a resource unless it was just deployed."""
        match kind:
            case "queue":
                self._sqs.queues.setdefault(name, resource)
            case "bucket":
                self._s3.buckets.setdefault(name, resource)
                s3_backends.bucket_accounts.setdefault(name, (resource.partition, resource.account_id))
            case "table":
                self._dynamodb.tables.setdefault(name, resource)
            case "topic":
                resource.sns_backend = self._sns
                self._sns.topics.setdefault(name, resource)
            case "subscription" if resource.topic in self._sns.topics:
                resource.topic = self._sns.topics[resource.topic]
                self._sns.subscriptions[name] = resource
            case "rule":
                self._events.event_buses["default"].rules.setdefault(name, resource)

    def _save_messages(self) -> None:
        present = {
            (queue.name, message.id): message
            for queue in self._sqs.queues.values()
            for message in queue._messages  # noqa: SLF001 - including messages in flight
        }
        for queue_name, message_id in self._messages - present.keys():
            self._delete("message", queue_name, message_id)
        for (queue_name, message_id), message in present.items():
            if (queue_name, message_id) not in self._messages:
                self._insert("message", queue_name, message_id, pickle.dumps(vars(message)))
        self._messages = set(present)

    def _save_item(self, table_name: str, hash_key: Any, range_key: Any) -> None:
        name = json.dumps([hash_key.to_json(), range_key and range_key.to_json()])
        table = self._dynamodb.tables.get(table_name)
        item = table and table.get_item(hash_key, range_key)
        self._delete("item", table_name, name)
        if item:
            self._insert("item", table_name, name, json.dumps(item.to_json()["Attributes"]).encode())

    def _save_objects(self) -> None:
        present = {
            version: bucket.name
            for bucket in self._s3.buckets.values()
            for _, versions in bucket.keys.lists()
            for version in versions
        }
        for version in self._objects.keys() - present.keys():
            self._file.execute("delete from kept where number = ?", [self._objects.pop(version)])
        for version, bucket_name in present.items():
            if version not in self._objects:
                version.multipart = None  # the parts are in its value
                self._objects[version] = self._insert("object", bucket_name, version.name, pickle.dumps(version))

    def _save_resources(self, request: str) -> None:
        """Store added and deleted resources, and those named in a request, which may have changed them."""
        present = dict(self._present_resources())
        for kind, name in self._resources.keys() - present.keys():
            self._delete(kind, "", name)
            del self._resources[kind, name]
        for (kind, name), resource in present.items():
            kept = self._resources.get((kind, name))
            if kept is not None and name not in request:
                continue
            value = pickle.dumps(_bare(kind, resource))
            if value != kept:
                self._delete(kind, "", name)
                self._insert(kind, "", name, value)
                self._resources[kind, name] = value

    def _present_resources(self) -> Iterator[tuple[tuple[str, str], Any]]:
        holders: dict[str, dict[str, Any]] = {
            "queue": self._sqs.queues,
            "bucket": self._s3.buckets,
            "table": self._dynamodb.tables,
            "topic": self._sns.topics,
            "subscription": self._sns.subscriptions,
            "rule": self._events.event_buses["default"].rules,
        }
        for kind, resources in holders.items():
            for name, resource in resources.items():
                yield (kind, name), resource

    def _forget(self) -> None:
        """Drop data about deleted messages that moto would keep forever."""
        for queue in self._sqs.queues.values():
            if len(queue.deleted_messages) > REMEMBERED:
                queue.deleted_messages.clear()
        for topic in self._sns.topics.values():
            topic.sent_notifications.clear()
        self._sns._message_public_keys.clear()  # noqa: SLF001 - of signatures that nobody checks here

    def _insert(self, kind: str, holder: str, name: str, value: bytes) -> int:
        statement = "insert into kept (kind, holder, name, value) values (?, ?, ?, ?)"
        number = self._file.execute(statement, [kind, holder, name, value]).lastrowid
        assert number is not None
        return number

    def _delete(self, kind: str, holder: str, name: str) -> None:
        self._file.execute("delete from kept where kind = ? and holder = ? and name = ?", [kind, holder, name])


def _read(value: bytes) -> Any:
    return pickle.loads(value)  # noqa: S301 - the file is private


def _bare(kind: str, resource: Any) -> Any:
    """Return a copy of a resource without its contents, and with names in place of other resources."""
    bare = copy(resource)
    match kind:
        case "queue":
            bare._messages, bare._pending_messages, bare.deleted_messages = [], set(), set()  # noqa: SLF001
            bare.dead_letter_queue = resource.dead_letter_queue and resource.dead_letter_queue.name
        case "bucket":
            bare.keys, bare.multiparts = _VersionedKeyStore(), MultipartDict()
        case "table":
            bare.items, bare.stream_shard = defaultdict(dict), None
        case "topic":
            bare.sns_backend, bare.sent_notifications = None, []
        case "subscription":
            bare.topic = resource.topic.arn
    return bare
