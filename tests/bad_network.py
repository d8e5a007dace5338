"""A network between a client and a server that is bad rather than dead: a TCP proxy that delays, drips and breaks."""

import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

RESET = struct.pack("ii", 1, 0)  # lingers for no second


@dataclass(frozen=True)
class Faults:
    """What is wrong with a network.

    Each piece of at most `piece` bytes takes `latency` seconds and up to `jitter` more. Where `ends` says how, a
    connection ends so after some bytes of the server's, at most `after`: closed, reset, or silent and half open.
    """

    latency: float = 0
    jitter: float = 0
    piece: int = 65_536
    ends: Literal["never", "closed", "reset", "silent"] = "never"
    after: int = 0


class BadNetwork:
    """A proxy of one server; the faults can be changed at any time, and count for new connections."""

    def __init__(self, server_port: int, seed: int = 0) -> None:
        self.faults = Faults()
        self.broken = 0  # connections
        self._server_port = server_port
        self._random = random.Random(seed)  # noqa: S311 - any
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = {self._listener}
        self.port: int = self._listener.getsockname()[1]

    @contextmanager
    def running(self) -> Iterator["BadNetwork"]:
        """Carry bytes between clients and the server."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                client = self._listener.accept()[0]
                threading.Thread(target=self._carry, args=[client, self.faults], daemon=True).start()

    def _carry(self, client: socket.socket, faults: Faults) -> None:
        left = self._random.randint(0, faults.after)
        with client, socket.create_connection(("127.0.0.1", self._server_port)) as server, suppress(OSError):
            self._open |= {client, server}
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(faults.piece)
                    if not data:
                        return
                    time.sleep(faults.latency + self._random.random() * faults.jitter)
                    if source is client:
                        server.sendall(data)
                        continue
                    client.sendall(data if faults.ends == "never" else data[:left])
                    left -= len(data)
                    if left <= 0 and faults.ends != "never":
                        self.broken += 1
                        self._end(client, faults)
                        return

    def _end(self, client: socket.socket, faults: Faults) -> None:
        if faults.ends == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        while faults.ends == "silent" and client.recv(65_536):
            pass
