"""A proxy on loopback between a client and a server, which does to each request what a plan says.

It reads a request whole, and only then decides: so it knows of every write that was sent.
"""

import contextlib
import json
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import attrs

from ..server import answer as made
from ..server import header

LIMIT = 30.0
DELAY = 0.03
RESET = struct.pack("ii", 1, 0)

Fault = Literal[
    "pass", "delay", "lose request", "hold request", "cut request", "repeat request",
    "lose answer", "cut answer", "repeat answer", "replace answer",
]  # fmt: skip
Point = Literal["seen", "forwarded", "answered"]
Victim = Literal["client", "server"]


@attrs.frozen
class Step:
    """What becomes of one request."""

    fault: Fault = "pass"
    end: Literal["close", "reset", "silence"] = "close"
    """How a client learns that it gets no answer; silence: by its own deadline."""
    cut: float = 0.5
    """Which part comes through of what is cut: of 0 a byte, of 1 all but a byte."""
    second: bool = False
    """Of a request that is repeated the second answer is handed on, not the first."""
    release: Literal["before", "after"] | None = None
    """What was held is delivered before this request, or between it and its answer."""
    kill: tuple[Victim, Point] | None = None
    """Who is killed, when the proxy has seen the request, has forwarded it, has the answer."""


PASS = Step()
Plan = Mapping[str, Sequence[Step]]
"""Method -> what becomes of one request after the other; those that follow pass."""


@attrs.define
class Exchange:
    """A request that came, and the answer that was handed on whole, if one was."""

    request: bytes
    step: Step
    answer: bytes | None = None

    @property
    def method(self) -> str:
        return self.request.partition(b" ")[0].decode()

    @property
    def body(self) -> Any:
        """That of the request."""
        return json.loads(self.request.partition(b"\r\n\r\n")[2] or b"null")

    @property
    def answered(self) -> tuple[int, Any]:
        """Status and body of the answer; 0 without one."""
        if self.answer is None:
            return 0, None
        return int(self.answer.split(b" ", 2)[1]), json.loads(self.answer.partition(b"\r\n\r\n")[2])


def whole(sock: socket.socket) -> bytes:
    """A request or an answer; b"" if it does not come whole."""
    data = b""
    while True:
        head, found, body = data.partition(b"\r\n\r\n")
        if found and len(body) >= int(header(head, "content-length") or 0):
            return data
        more = sock.recv(65536)
        if not more:
            return b""
        data += more


def part(data: bytes, share: float) -> bytes:
    """At least one byte, and never all."""
    return data[: 1 + int(share * (len(data) - 2))]


class Proxy:
    """Serves while the `with` block lasts.

    Args:
        kill: Kills a client or a server, and starts a server anew.

    Attributes:
        upstream: The server's port.
        exchanges: What came since the plan was made, in order.
        held: Requests that the client has given up, and that are yet to come.
        met: How often each fault, end and kill came to pass.
    """

    def __init__(self, kill: Callable[[Victim], None]) -> None:
        self.upstream = 0
        self.exchanges: list[Exchange] = []
        self.held: list[bytes] = []
        self.met: Counter[Any] = Counter()
        self._kill = kill
        self._plan: dict[str, Iterator[Step]] = {}
        self._changed = threading.Condition()
        self._busy = 0
        self._connections: set[socket.socket] = set()
        self._stopping, self._stop = socket.socketpair()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def begin(self, plan: Plan) -> None:
        """Forgets what was, but for what is held."""
        self.exchanges = []
        self._plan = {method: iter(steps) for method, steps in plan.items()}

    def release(self) -> None:
        """What was held reaches the server, and is carried out; nobody hears the answer."""
        while self.held:
            self.met["late"] += 1
            self._forward(self.held.pop(0))

    def settle(self) -> None:
        """Waits until all that was sent to it has been dealt with."""
        with self._changed:
            assert self._changed.wait_for(self._is_quiet, LIMIT)

    def hang_up(self) -> None:
        """Ends all connections."""
        with self._changed:
            for sock in self._connections:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        with self._changed:
            assert self._changed.wait_for(lambda: not self._connections, LIMIT)

    def _is_quiet(self) -> bool:
        return not self._busy and not self._readable(self._listener, *self._connections)

    @staticmethod
    def _readable(*socks: socket.socket, seconds: float = 0.0) -> list[socket.socket]:
        return select.select(socks, (), (), seconds)[0]

    # What comes is taken, and noted, in one go: so nothing is on its way unseen when all is quiet.

    def _accept(self) -> None:
        while self._stopping not in self._readable(self._listener, self._stopping, seconds=LIMIT):
            if not self._readable(self._listener):
                continue
            with self._changed:
                sock, _ = self._listener.accept()
                self._connections.add(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        goes_on = True
        while goes_on:
            goes_on = False
            with contextlib.suppress(OSError):
                sock.recv(1, socket.MSG_PEEK)
            with self._changed:
                self._busy += 1
            with contextlib.suppress(OSError):
                request = whole(sock)
                goes_on = bool(request) and self._deal_with(request, sock)
            with self._changed:
                if not goes_on:
                    self._connections.remove(sock)
                    sock.close()
                self._busy -= 1
                self._changed.notify_all()

    def _deal_with(self, request: bytes, sock: socket.socket) -> bool:
        """May the client send another one on this connection?"""
        exchange = Exchange(request, PASS)
        exchange.step = step = next(self._plan.get(exchange.method, iter(())), PASS)
        self.exchanges.append(exchange)
        self.met[step.fault] += 1
        if step.release == "before":
            self.release()
        self._reached("seen", step)
        answer = self._answer_to(request, step)
        self._reached("answered", step)
        if step.release == "after":
            self.release()
        if not answer or step.fault == "lose answer":
            return self._give_none(sock, step)
        if step.fault == "cut answer":
            sock.sendall(part(answer, step.cut))
            return self._give_none(sock, step)
        sock.sendall(answer * (2 if step.fault == "repeat answer" else 1))
        exchange.answer = answer
        return True

    def _answer_to(self, request: bytes, step: Step) -> bytes:
        """The server's; b"" without one."""
        if step.fault == "hold request":
            self.held.append(request)
        if step.fault in ("hold request", "lose request"):
            return b""
        if step.fault == "cut request":
            with self._to_server() as server:
                server.sendall(part(request, step.cut))
            return b""
        answer = self._forward(request, step)
        if step.fault == "repeat request":
            again = self._forward(request)
            answer = again if step.second else answer
        elif step.fault == "replace answer":
            answer = made(504, {"detail": "the server did not answer in time"})
        elif step.fault == "delay":
            self._readable(self._stopping, seconds=DELAY)
        return answer

    def _to_server(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.upstream), LIMIT)

    def _forward(self, request: bytes, step: Step = PASS) -> bytes:
        with contextlib.suppress(OSError), self._to_server() as server:
            server.sendall(request)
            self._reached("forwarded", step)
            return whole(server)
        return b""

    def _reached(self, point: Point, step: Step) -> None:
        if step.kill and step.kill[1] == point:
            self.met[step.kill] += 1
            self._kill(step.kill[0])

    def _give_none(self, sock: socket.socket, step: Step) -> bool:
        self.met[step.end] += 1
        if step.end == "silence":
            sock.settimeout(LIMIT)
            sock.recv(1)
        elif step.end == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        return False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.send(b"x")
        self._thread.join()
        self.hang_up()
        for each in (self._listener, self._stop, self._stopping):
            each.close()
