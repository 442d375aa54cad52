"""A scripted server on loopback: each connection runs a script, which may misbehave as it likes."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Self

Script = Callable[["Peer"], None]
PATIENCE = 1.5
"""Seconds after which a server gives up: a client that hangs must not hang the tests."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, server: "Server") -> None:
        self.sock = sock
        self.server = server

    def request(self) -> bytes:
        """Reads one whole request and records it; b"" when the client has closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(header(head, "content-length") or 0)
        while len(body) < length:
            body += self.sock.recv(65536)
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return self.server.requests[-1]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes) -> None:
        """A byte every tenth of a second, until the server gives up or the client goes."""
        for index in range(len(data)):
            self.send(data[index : index + 1])
            if self.server.stopping.wait(0.1):
                return

    def hang(self) -> None:
        """Until the server gives up."""
        self.server.stopping.wait(self.server.patience)


class Server:
    """Serves while the `with` block lasts, and records what came in."""

    def __init__(
        self, script: Script, tls: ssl.SSLContext | None = None, patience: float = PATIENCE
    ) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self.patience = patience
        self._giving_up = threading.Timer(patience, self.stopping.set)
        self._giving_up.daemon = True
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []

    @property
    def base_url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(self.patience)
        with contextlib.suppress(OSError):
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            self._script(Peer(sock, self))
        sock.close()

    def __enter__(self) -> Self:
        self._threads.append(threading.Thread(target=self._accept, daemon=True))
        self._threads[0].start()
        self._giving_up.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._giving_up.cancel()
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def header(head: bytes, name: str) -> str | None:
    """A request's or answer's header."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name.encode():
            return value.strip().decode()
    return None


async def message(reader: asyncio.StreamReader) -> bytes:
    """A whole request, or a whole answer, that comes in an event loop."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(int(header(head, "content-length") or 0))


def answer(
    status: int | str = 200,
    body: Any = b"",
    *,
    content_type: str | None = "application/json",
    **headers: str,
) -> bytes:
    """The bytes of an answer; a body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}"]
    if content_type is not None:
        lines.append(f"content-type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def replies(*answers: bytes) -> Script:
    """Answers request after request, over all connections; the last answer is repeated."""

    def script(peer: Peer) -> None:
        while peer.request():
            number = min(len(peer.server.requests), len(answers))
            peer.send(answers[number - 1])

    return script
