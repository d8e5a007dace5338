"""Receivers of webhooks on real sockets, honest and hostile, and a certificate authority for those with TLS."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PATIENCE_SECONDS = 10  # of a receiver that waits for a request

# What a receiver does with a connection when it has read a request.
Behavior = Callable[[socket.socket], None]


def answers(status: int, *headers: str, body: bytes = b"ok") -> Behavior:
    """Return the behavior of one who answers with a status."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers))
    return lambda connection: connection.sendall(f"{head}\r\n".encode() + body)


def sends(*parts: bytes) -> Behavior:
    """Return the behavior of one who sends bytes, whether they are HTTP or not, and closes."""
    return lambda connection: connection.sendall(b"".join(parts))


def repeats(part: bytes, head: bytes = b"", every: float = 0.0) -> Behavior:
    """Return the behavior of one who never stops sending, as long as somebody reads."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        with suppress(OSError):
            while True:
                connection.sendall(part)
                threading.Event().wait(every)

    return send


def keeps_silent(connection: socket.socket) -> None:
    """Say nothing until the other side has enough."""
    connection.settimeout(PATIENCE_SECONDS)
    with suppress(OSError):
        connection.recv(1)


def closes(connection: socket.socket) -> None:
    """Hang up without an answer."""
    del connection


@dataclass(frozen=True)
class Request:
    """A request that a receiver has read whole."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A receiver: where it listens, what it has read, and how it behaves next."""

    port: int
    behavior: Behavior = field(default_factory=lambda: answers(200))
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        """Where webhooks reach it on this machine."""
        return f"http://127.0.0.1:{self.port}/hooks"


@contextmanager
def listening(address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver that answers every connection in a thread of its own."""
    with socket.create_server((address, port)) as listener:
        receiver = Receiver(listener.getsockname()[1])

        def serve(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                connection.settimeout(PATIENCE_SECONDS)
                wrapped = tls.wrap_socket(connection, server_side=True) if tls else connection
                with wrapped:
                    request = _read(wrapped)
                    receiver.requests.append(request)
                    receiver.behavior(wrapped)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    receiver.connections += 1
                    threading.Thread(target=serve, args=[connection], daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield receiver
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def _read(connection: socket.socket) -> Request:
    with connection.makefile("rb") as file:
        line = file.readline().decode("latin-1").strip()
        headers = {}
        while text := file.readline().decode("latin-1").strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        return Request(line, headers, file.read(int(headers.get("content-length", 0))))


@dataclass(frozen=True)
class Authority:
    """Who certifies names: its certificate, and contexts of servers that have one from it."""

    folder: Path
    key: Any
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        """Make an authority that keeps its files in a folder; `certificate.pem` is what its clients must trust."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tests")])
        usage = x509.KeyUsage(*(place in {5, 6} for place in range(9)))  # it signs certificates and lists of them
        builder = (
            _certificate(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(usage, critical=True)
        )
        certificate = builder.sign(key, hashes.SHA256())
        (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, key, certificate)

    def server(self, host: str) -> ssl.SSLContext:
        """Return the context of a server with a certificate of a host's name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a host")])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _certificate(subject, self.certificate.subject, key)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(issuer, critical=False)
        )
        file = self.folder / f"{host}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        signed = builder.sign(self.key, hashes.SHA256())
        file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _certificate(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )
