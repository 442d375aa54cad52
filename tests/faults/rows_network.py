"""Rows on time, connections, repeats and framing: promises 1 to 4 and 13."""

import asyncio
import contextlib
import errno
import functools
import gzip
import inspect
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import anyio
import attrs
import h11
import httpcore
import pytest
import trustme
from httpcore._async import http11 as async_http11
from httpcore._sync import http11

from atomscale_target_materials import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AtomscaleError,
    Client,
    NotFoundError,
    RateLimitError,
    _codec,
    _drivers,
    _steps,
    _transport,
)
from atomscale_target_materials.errors import class_for_status

from ..conftest import Caller
from ..server import PATIENCE, Peer, Script, Server, answer, replies
from .mechanisms import Disable, Mechanism, pooled, replacing
from .table import (
    ALL,
    BOTH,
    CALLS,
    GOOD,
    Check,
    Expected,
    Fault,
    Guest,
    GuestError,
    answered,
    counted,
    expect,
    good,
    once,
    paused,
    wire,
)

# How each mechanism of these rows is disabled


def _tries_end(later: Callable[[Any], float | None]) -> Disable:
    init = _drivers._Exchange.__init__

    def begin(exchange: Any, step: Any) -> None:
        init(exchange, attrs.evolve(step, end=later(step)))

    return replacing(_drivers._Exchange, "__init__", begin)


def _writes_in_one(patch: pytest.MonkeyPatch) -> None:
    async def write(stream: Any, buffer: bytes, timeout: Any) -> None:
        timeout.sends(buffer, stream)
        for start in range(0, len(buffer), 16384):
            await stream._stream.write(buffer[start : start + 16384], float(timeout))

    patch.setattr(_transport, "WRITE_AT_ONCE", 10**9)
    patch.setattr(_transport.AsyncStream, "write", write)


def _one_address_after_the_other(patch: pytest.MonkeyPatch) -> None:
    def connect(_: Any, host: str, port: int, timeout: Any, **options: Any) -> Any:
        return _transport.Stream(httpcore.SyncBackend().connect_tcp(host, port, timeout, **options))

    patch.setattr(_transport.Backend, "connect_tcp", connect)
    patient = functools.partial(anyio.connect_tcp, happy_eyeballs_delay=60)
    patch.setattr(anyio, "connect_tcp", patient)


def _waits_for_the_pool(patch: pytest.MonkeyPatch) -> None:
    core = _transport._core

    def patient(request: Any) -> Any:
        made = core(request)
        made.extensions = {"timeout": {**made.extensions["timeout"], "pool": None}}
        return made

    patch.setattr(_transport, "_core", patient)


def _connects_again(patch: pytest.MonkeyPatch) -> None:
    async def sleep(*_: Any) -> None: ...

    patch.setattr(_transport.Backend, "sleep", lambda *_: None, raising=False)
    patch.setattr(_transport.AsyncBackend, "sleep", sleep, raising=False)
    pooled("retries", 1)(patch)


def _reads_any_retry_after(outcome: Any) -> float | None:
    try:
        return float(outcome.headers["retry-after"])
    except ValueError:
        return 0.0
    except KeyError:
        return None


def _is_never_readable(patch: pytest.MonkeyPatch) -> None:
    def info(stream: Any, name: str) -> Any:
        return False if name == "is_readable" else stream._stream.get_extra_info(name)

    for kind in (_transport.Stream, _transport.AsyncStream):
        patch.setattr(kind, "get_extra_info", info)


def _is_idle_anyhow(patch: pytest.MonkeyPatch) -> None:
    def idle(connection: Any) -> None:
        connection._state = http11.HTTPConnectionState.IDLE
        connection._h11_state = h11.Connection(our_role=h11.CLIENT)
        connection._network_stream.fresh_until = time.monotonic() + _transport.LONGEST_IDLE

    async def async_idle(connection: Any) -> None:
        idle(connection)

    patch.setattr(http11.HTTP11Connection, "_response_closed", idle)
    patch.setattr(async_http11.AsyncHTTP11Connection, "_response_closed", async_idle)


def _believes_any_length(patch: pytest.MonkeyPatch) -> None:
    events: Any = h11._events
    validate = events.normalize_and_validate

    def believe(headers: Any, _parsed: Any = False) -> Any:
        lengths = [value for name, value in headers if name.lower() == b"content-length"]
        if _parsed and lengths:
            framing = (b"content-length", b"transfer-encoding")
            headers = [(name, value) for name, value in headers if name.lower() not in framing]
            headers += [(b"content-length", value) for value in lengths[:1] if value.isdigit()]
        return validate(headers, _parsed=_parsed)

    patch.setattr(events, "normalize_and_validate", believe)


def _writes_at_any_age(limits: Any, data: bytes, _: object) -> None:
    limits.sent = limits.sent or not data.startswith(b"CONNECT ")


def _without_bounds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_steps, "FIRST_PAUSE", 1e4)
    patch.setattr(_steps, "LONGEST_PAUSE", 1e4)


MECHANISMS: dict[str, Mechanism] = {
    "one clock": Mechanism(
        "_operations.call",
        "each try has what is left of the call's time",
        _tries_end(lambda _: None),
    ),
    "pauses count": Mechanism(
        "_drivers._Exchange",
        "a pause takes its time from the tries that follow",
        _tries_end(lambda step: step.end and step.end + step.pause),
    ),
    "writes in pieces": Mechanism(
        "_transport.Stream.write",
        "the deadline holds for a whole request, not for each part that the socket takes",
        _writes_in_one,
    ),
    "addresses share": Mechanism(
        "_transport.Backend.connect_tcp",
        "the addresses of a host share the time that is left",
        _one_address_after_the_other,
    ),
    "waiting for the pool": Mechanism(
        "_drivers._http_request",
        "the wait for a free connection ends with the call's time",
        _waits_for_the_pool,
    ),
    "turns": Mechanism(
        "_drivers.AsyncDriver",
        "of a client's requests in an event loop 64 are under way, the others wait in order",
        replacing(_transport.AsyncTransport, "turns", lambda _: contextlib.nullcontext()),
    ),
    "nothing sent yet": Mechanism(
        "_transport._core",
        "until a byte of the request leaves, a failure has done nothing",
        replacing(_transport.Limits, "sent", property(lambda _: True, lambda *_: None)),
    ),
    "certain refusals": Mechanism(
        "_codec.CERTAINLY_NOT_DONE",
        "tells the refusals that did nothing from those that may have",
        replacing(_codec, "CERTAINLY_NOT_DONE", {*range(300, 1000)} - {*_codec.CERTAINLY_NOT_DONE}),
    ),
    "one layer of retries": Mechanism(
        "_transport._pool", "httpcore itself tries nothing again", _connects_again
    ),
    "passing statuses": Mechanism(
        "_steps.PASSING_STATUSES",
        "tells the statuses that may pass from those that last",
        replacing(_steps, "PASSING_STATUSES", range(300, 1000)),
    ),
    "bounded pauses": Mechanism(
        "_steps.pause",
        "pauses grow up to 8 seconds",
        _without_bounds,
    ),
    "jitter": Mechanism(
        "_steps.pause",
        "pauses are drawn at random",
        replacing(_drivers, "random", SimpleNamespace(random=lambda: 0.5)),
    ),
    "garbage is no pause": Mechanism(
        "_steps.retry_after",
        "what is neither a number of seconds nor a date is ignored",
        replacing(_steps, "retry_after", _reads_any_retry_after),
    ),
    "idle means silent": Mechanism(
        "_transport.Stream.get_extra_info",
        "an idle connection on which something has come is not used again",
        _is_never_readable,
    ),
    "given up means closed": Mechanism(
        "httpcore",
        "a connection that a call has given up on serves no other",
        _is_idle_anyhow,
    ),
    "idle for a second": Mechanism(
        "_transport.settle",
        "a connection that was idle for over a second is not used again",
        replacing(_transport, "LONGEST_IDLE", 9.0),
    ),
    "a look before the write": Mechanism(
        "_transport.Limits.sends",
        "a request does not begin on a connection that has grown old since it was chosen",
        replacing(_transport.Limits, "sends", _writes_at_any_age),
    ),
    "kept connections": Mechanism(
        "_transport._pool",
        "a connection serves call after call",
        pooled("max_keepalive_connections", 0),
    ),
    "Connection: close": Mechanism(
        "h11",
        "a server that wants to close gets no second request",
        replacing(h11._connection, "_keep_alive", lambda _: True),
    ),
    "strict framing": Mechanism(
        "h11",
        "an answer has one length, which is a number, or is chunked",
        _believes_any_length,
    ),
}


# What rows are made with

LARGE = 16_000_000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
LONGER = b"content-length: 99\r\n\r\n["
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


def in_turn(rows: Iterable[Fault]) -> Fault:
    """One row of several that differ in a detail."""
    faults = list(rows)

    def check(caller: Caller, operation: str) -> None:
        for fault in faults:
            caller.pauses.clear()
            fault.check(caller, operation)

    return attrs.evolve(faults[0], check=check)


@functools.cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a server, and for the client that trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


def handshake(
    promise: int,
    name: str,
    mechanism: str,
    script: Script,
    expected: Expected,
    *,
    connections: int = 1,
    **options: Any,
) -> Fault:
    """A row whose fault happens while TLS begins."""

    def check(caller: Caller, operation: str) -> None:
        with Server(script) as server:
            url = f"https://127.0.0.1:{server.port}"
            options["ssl_context"] = contexts()[1]
            call = functools.partial(caller, CALLS[operation], base_url=url, **options)
            expect(caller, call, operation, expected)
        counted(caller, "connections", server.connections, connections)
        paused(caller, expected.pauses)

    return Fault(promise, name, mechanism, check)


def upload(
    promise: int, name: str, mechanism: str, script: Script, expected: Expected, **options: Any
) -> Fault:
    """A row whose fault happens while a large request is sent."""

    def check(caller: Caller, operation: str) -> None:
        def add(client: Any) -> Any:
            return client.add_layer(layer_id=1, composition_string="x" * LARGE)

        with Server(script) as server:
            call = functools.partial(caller, add, base_url=server.base_url, **options)
            expect(caller, call, operation, expected)
        for thread in server._threads:
            thread.join(PATIENCE)
        counted(caller, "connections", server.connections, 1)
        assert not server.requests, "sends it all"

    return Fault(promise, name, mechanism, check, ("add",))


@contextlib.contextmanager
def full_backlog(address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port that takes no connection; after a while the listener is gone."""
    if sys.platform != "linux":
        pytest.skip("other systems refuse when the backlog is full")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((address, port), backlog=0))
        giving_up = threading.Timer(0.9, listener.close)
        giving_up.start()
        stack.callback(giving_up.cancel)
        name = listener.getsockname()
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(name)
        yield name[1]


@contextlib.contextmanager
def resolving(port: int, *answers: list[str]) -> Iterator[str]:
    """The URL of a host with these addresses; the next ones each time it is looked up."""
    rest = iter(answers)
    names = ("localhost", b"localhost")

    def look_up(host: str | bytes, *_: Any, **__: Any) -> list[Any]:
        found: Any = next(rest, answers[-1]) if host in names else [host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        yield f"http://localhost:{port}"


def numbered(peer: Peer, number: int | None = None) -> bytes:
    """A right answer whose id is the number of the request."""
    start = (peer.server.requests or [peer.sock.recv(4, socket.MSG_PEEK)])[-1]
    kind = "list" if start.startswith(b"GET") else "add"
    fields = {"id": len(peer.server.requests) if number is None else number}
    return answer(
        200, [{**GOOD[kind][0], **fields}] if kind == "list" else {**GOOD[kind], **fields}
    )


FORGED = 666


def forged(peer: Peer) -> bytes:
    return numbered(peer, FORGED)


def ids_of_two_calls(operation: str, between: Callable[[Any], None]) -> Callable[[Any], Any]:
    """Calls twice, on one client: the ids in the answers, or the types of the errors."""

    async def plan(client: Any) -> list[Any]:
        found: list[Any] = []
        for _ in range(2):
            try:
                value = CALLS[operation](client)
                value = await value if inspect.isawaitable(value) else value
                found.append(value[0].id if operation == "list" else value.id)
            except (AtomscaleError, GuestError) as error:
                found.append(type(error))
            if len(found) == 1:
                between(client)
        return found

    def call(client: Any) -> Any:
        if isinstance(client, AsyncClient):
            return plan(client)
        with pytest.raises(StopIteration) as ended:
            plan(client).send(None)
        return ended.value.value

    return call


def two_calls(
    name: str,
    mechanism: str,
    script: Script,
    ids: list[Any],
    *,
    connections: int = 2,
    between: Callable[[Any], None] = lambda _: None,
    tls: bool = False,
    **options: Any,
) -> Fault:
    """A row on what the first call leaves behind for the second."""

    def check(caller: Caller, operation: str) -> None:
        tls_of_server, tls_of_client = contexts() if tls else (None, None)
        with Server(script, tls_of_server) as server:
            both = ids_of_two_calls(operation, between)
            url = server.base_url
            found = caller(both, base_url=url, ssl_context=tls_of_client, **options)
        if not isinstance(caller, Guest):
            assert found == ids
        assert FORGED not in found, "takes the forged answer"
        for one, right in zip(found, ids, strict=True):
            assert one is not GuestError or isinstance(right, type), "a call fails"
        if operation == "add":
            assert len(server.requests) <= len(ids), f"{len(server.requests)} writes"
        counted(caller, "connections", server.connections, connections)
        paused(caller, lambda pauses: pauses == [])

    return Fault(13, name, mechanism, check)


def until_something_came(client: Any) -> None:
    """Waits until the client's idle connection has something to read."""
    if not isinstance(client, Client | AsyncClient):
        client.until_something_came()
        return
    pools = [*client._driver._transport._pools.values()]
    for pool in (pools[0][0] if isinstance(client, AsyncClient) else pools[0]).connections:
        stream = pool._connection._network_stream
        select.select([stream.get_extra_info("socket")], [], [], PATIENCE)


# 1. Deadline


def drips(before: bytes, *, then: bytes = b"x" * 99) -> Script:
    def drip(peer: Peer) -> None:
        peer.send(before)
        peer.drip(then)

    return once(drip)


def continues_for_ever(peer: Peer) -> None:
    while not peer.server.stopping.wait(0.1):
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def floods(peer: Peer) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    while not peer.server.stopping.wait(0.005):
        peer.send((b"HTTP/1.1 102 Processing\r\n\r\n" + hints) * 50)


def refuses_slowly(peer: Peer) -> None:
    while peer.request():
        peer.server.stopping.wait(0.26)
        peer.send(answer(429, retry_after="0"))


def asks_to_wait_then_is_slow(peer: Peer) -> None:
    if len(peer.server.requests) == 1:
        peer.send(answer(429, retry_after="1"))
    else:
        peer.server.stopping.wait(0.8)
        peer.send(good(peer))


def begins_tls(peer: Peer) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = contexts()[0].wrap_bio(incoming, outgoing, server_side=True)
    while not outgoing.pending and (data := peer.sock.recv(65536)):
        incoming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
    flight = outgoing.read()
    peer.send(flight[: len(flight) // 2])
    peer.drip(flight[len(flight) // 2 :])


def reads_slowly(peer: Peer) -> None:
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**18)
    count = 0
    while count < LARGE and (data := peer.sock.recv(2**18)):
        count += len(data)
        peer.server.stopping.wait(0.02)
    if count >= LARGE:
        peer.server.requests.append(ALL)


def never_accepts(caller: Caller, operation: str) -> None:
    with full_backlog() as port:
        url = f"http://127.0.0.1:{port}"
        call = functools.partial(caller, CALLS[operation], base_url=url, timeout=0.4)
        expect(caller, call, operation, NOT_CONNECTED)


def one_address_never_accepts(caller: Caller, operation: str) -> None:
    with (
        Server(answered) as server,
        full_backlog("127.0.0.2", server.port),
        resolving(server.port, ["127.0.0.2", "127.0.0.1"]) as url,
    ):
        call = functools.partial(caller, CALLS[operation], base_url=url, timeout=0.7)
        expect(caller, call, operation, Expected())
    assert len(server.requests) == 1
    paused(caller, lambda pauses: pauses == [])


def all_in_use(bound: Disable, kind: str = "") -> Check:
    """The one connection, or turn, that there is serves another call."""

    def check(caller: Caller, operation: str) -> None:
        call = CALLS[operation]
        held, ended = threading.Event(), threading.Event()
        in_time: list[bool] = []

        def script(peer: Peer) -> None:
            while peer.request():
                held.set()
                in_time.append(ended.wait(PATIENCE - 0.2))
                peer.send(good(peer))

        def sync(client: Any) -> Any:
            holder = threading.Thread(target=call, args=(client,))
            holder.start()
            held.wait(PATIENCE)
            try:
                return call(client.with_options(timeout=0.3))
            finally:
                ended.set()
                holder.join()

        async def awaited(client: Any) -> Any:
            holder = asyncio.create_task(call(client))
            await asyncio.to_thread(held.wait, PATIENCE)
            try:
                return await call(client.with_options(timeout=0.3))
            finally:
                ended.set()
                await holder

        caller = Caller(kind or caller.kind)
        with pytest.MonkeyPatch.context() as patch, Server(script) as server:
            bound(patch)
            both = sync if caller.kind == "sync" else awaited
            call_both = functools.partial(caller, both, base_url=server.base_url)
            expect(caller, call_both, operation, NOT_CONNECTED)
        assert in_time == [True]

    return check


TIME_IS_UP = Expected(error=APITimeoutError, says=r"within timeout=0\.4 seconds", unknown=True)
NOT_CONNECTED = Expected(error=APITimeoutError, says="waiting for a connection. Nothing was sent")
GZIP = b"content-encoding: gzip\r\ncontent-length: 999\r\n\r\n"

DEADLINE = [
    Fault(1, "never accepts", "deadline", never_accepts),
    Fault(1, "one of two addresses never accepts", "addresses share", one_address_never_accepts),
    handshake(1, "never begins TLS", "deadline", Peer.hang, NOT_CONNECTED, timeout=0.4),
    handshake(1, "drips the TLS handshake", "deadline", begins_tls, NOT_CONNECTED, timeout=0.4),
    *(
        wire(1, name, "deadline", script, TIME_IS_UP, timeout=0.4)
        for name, script in {
            "never answers": once(Peer.hang),
            "drips the status line": drips(b"", then=HEAD),
            "drips the header": drips(HEAD + b"x-filler: "),
            "drips the body": drips(HEAD + LONGER, then=b" " * 99),
            "drips the size of a chunk": drips(CHUNKED + b"1;"),
            "drips the trailers": drips(CHUNKED + b"2\r\n[]\r\n0\r\nx-filler: "),
            "drips a gzip body": drips(HEAD + GZIP, then=gzip.compress(b"[]")),
            "sends 100 Continue for ever": once(continues_for_ever),
            "floods with 102 and 103": once(floods),
        }.items()
    ),
    wire(
        1,
        "refuses slowly, try after try",
        "one clock",
        refuses_slowly,
        Expected(error=APITimeoutError, requests=2, unknown=True),
        timeout=0.5,
    ),
    wire(
        1,
        "asks to wait, then is slow",
        "pauses count",
        once(asks_to_wait_then_is_slow),
        Expected(
            error=APITimeoutError, requests=2, unknown=True, pauses=lambda pauses: pauses == [1.0]
        ),
        timeout=1.4,
    ),
    upload(
        1, "reads the request slowly", "writes in pieces", reads_slowly, TIME_IS_UP, timeout=0.4
    ),
    upload(1, "never reads the request", "deadline", Peer.hang, TIME_IS_UP, timeout=0.4),
    Fault(
        1,
        "all connections are in use",
        "waiting for the pool",
        all_in_use(pooled("max_connections", 1)),
    ),
    Fault(
        1, "all turns are taken", "turns", all_in_use(replacing(_transport, "AT_ONCE", 1), "async")
    ),
]


# 2. A POST at most once


def reads_a_part(peer: Peer) -> None:
    peer.server.requests.append(peer.sock.recv(100))


def reads_nothing(peer: Peer) -> None:
    peer.server.requests.append(b"")


def reads_a_hello(peer: Peer) -> None:
    peer.sock.recv(100)


def resets(peer: Peer) -> None:
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def breaks_off(after: bytes) -> Script:
    return once(lambda peer: peer.send(after))


def refuses_early(peer: Peer) -> None:
    peer.sock.recv(300)
    peer.send(answer(413, connection="close"))
    peer.sock.shutdown(socket.SHUT_WR)
    while peer.sock.recv(65536):
        pass


def refuses_the_connection(caller: Caller, operation: str) -> None:
    with Server(answered) as server:
        url = server.base_url
    says = rf"Errno {errno.ECONNREFUSED}\b.* Nothing was sent"
    expected = Expected(error=APIConnectionError, says=says)
    call = functools.partial(caller, CALLS[operation], base_url=url)
    expect(caller, call, operation, expected)
    paused(caller, lambda pauses: len(pauses) == 3)


def refuses_the_connection_once(caller: Caller, operation: str) -> None:
    with (
        Server(answered) as server,
        resolving(server.port, ["127.0.0.2"], ["127.0.0.1"]) as url,
    ):
        call = functools.partial(caller, CALLS[operation], base_url=url)
        expect(caller, call, operation, Expected())
    assert len(server.requests) == 1
    paused(caller, lambda pauses: len(pauses) == 1)


def statuses(
    promise: int, name: str, mechanism: str, found: Iterable[int], operations: Any, *, unknown: bool
) -> Fault:
    """A row for statuses that are final, whatever other headers say."""
    return in_turn(
        wire(
            promise,
            name,
            mechanism,
            replies(answer(status, x_should_retry="true", retry_after="1")),
            Expected(
                error=class_for_status(status), unknown=unknown, pauses=lambda pauses: not pauses
            ),
            operations=operations,
        )
        for status in found
    )


BROKEN_OFF = Expected(
    error=APIConnectionError,
    requests=(4, 1),
    unknown=True,
    pauses=lambda pauses: len(pauses) in (0, 3),
)

AT_MOST_ONCE = [
    *(
        wire(2, name, "no second write", script, BROKEN_OFF)
        for name, script in {
            "closes before it reads": reads_nothing,
            "closes in the middle of the request": reads_a_part,
            "answers, but not in HTTP": once(lambda peer: peer.send(b"220 ready\r\n" * 9)),
        }.items()
    ),
    in_turn(
        wire(2, "hangs up instead of answering", "no second write", once(act), BROKEN_OFF)
        for act in (lambda _: None, resets)
    ),
    in_turn(
        wire(2, "breaks off its answer", "no second write", script, BROKEN_OFF)
        for script in map(breaks_off, (b"HTTP/1.1 200", HEAD, HEAD + LONGER, CHUNKED + b"9\r\n["))
    ),
    wire(
        2,
        "asks for a repeat after a failure",
        "no second write",
        replies(answer(503, retry_after="1", x_should_retry="true")),
        Expected(
            error=class_for_status(503),
            says="look before you send it again",
            unknown=True,
            pauses=lambda pauses: pauses == [],
        ),
        operations=("add",),
    ),
    statuses(
        2,
        "refuses, and has done nothing",
        "certain refusals",
        (400, 401, 403, 404, 405, 409, 413, 415, 422),
        BOTH,
        unknown=False,
    ),
    statuses(
        2,
        "refuses, and may have done something",
        "certain refusals",
        (302, 402, 406, 408, 410, 418, 423, 499, 500, 501, 502, 504, 505, 520, 530, 599, 999),
        ("add",),
        unknown=True,
    ),
    upload(
        2,
        "refuses before it has read all",
        "certain refusals",
        refuses_early,
        Expected(error=APIStatusError, has={"status_code": 413}),
    ),
    Fault(2, "refuses the connection", "retries", refuses_the_connection),
    Fault(2, "refuses the connection once", "nothing sent yet", refuses_the_connection_once),
    handshake(
        2,
        "breaks off the TLS handshake",
        "one layer of retries",
        reads_a_hello,
        Expected(
            error=APIConnectionError,
            says="Nothing was sent",
            pauses=lambda pauses: len(pauses) == 3,
        ),
        connections=4,
    ),
]


# 3. A GET at most max_tries times


def at_first(act: Callable[[Peer], Any]) -> Script:
    """Misbehaves on the first request, then serves."""

    def script(peer: Peer) -> None:
        while peer.request():
            if len(peer.server.requests) == 1:
                act(peer)
                return
            peer.send(good(peer))

    return script


def refuses_first(*refusals: bytes) -> Script:
    """Gives these answers, then right ones."""

    def script(peer: Peer) -> None:
        while peer.request():
            count = len(peer.server.requests)
            peer.send(refusals[count - 1] if count <= len(refusals) else good(peer))

    return script


def resets_in_the_body(peer: Peer) -> None:
    peer.send(HEAD + LONGER)
    resets(peer)


def grow(pauses: list[float]) -> bool:
    return all(0 <= pause <= min(8, 0.5 * 2**i) for i, pause in enumerate(pauses))


def refuses_many_clients(caller: Caller, operation: str) -> None:
    drawn = []
    for _ in range(3):
        client = Caller(caller.kind)
        with Server(replies(answer(429))) as server, pytest.raises(RateLimitError):
            client(CALLS[operation], base_url=server.base_url)
        drawn += client.pauses
    assert len(set(drawn)) == len(drawn) == 9


SERVED_AGAIN = Expected(requests=2, pauses=lambda pauses: len(pauses) == 1 and grow(pauses))

TRIES = [
    *(
        wire(3, name, "retries", at_first(act), SERVED_AGAIN, operations=("list",))
        for name, act in {
            "closes once, then serves": lambda _: None,
            "resets in a body, then serves": resets_in_the_body,
            "breaks off a chunk, then serves": lambda peer: peer.send(CHUNKED + b"9\r\n["),
        }.items()
    ),
    in_turn(
        wire(
            3,
            "fails for a moment",
            "retries",
            refuses_first(answer(status)),
            SERVED_AGAIN,
            operations=("list",),
        )
        for status in (408, 429, 500, 502, 503, 504, *range(520, 530))
    ),
    statuses(
        3,
        "fails for good",
        "passing statuses",
        (400, 401, 404, 409, 410, 418, 422, 425, 501, 505, 507, 511, 519, 530, 599, 999),
        ("list",),
        unknown=False,
    ),
    wire(
        3,
        "breaks off a refusal",
        "no second write",
        breaks_off(b"HTTP/1.1 404 X\r\n" + LONGER),
        Expected(error=NotFoundError),
    ),
    in_turn(
        wire(
            3,
            "refuses every try",
            "max_tries",
            replies(answer(429)),
            Expected(
                error=RateLimitError,
                requests=tries,
                pauses=lambda pauses, tries=tries: len(pauses) == tries - 1,  # type: ignore[misc]
            ),
            max_tries=tries,
        )
        for tries in (4, 1, 2)
    ),
    wire(
        3,
        "refuses for long",
        "bounded pauses",
        replies(answer(429)),
        Expected(
            error=RateLimitError,
            requests=8,
            pauses=lambda pauses: len(pauses) == 7 and grow(pauses),
        ),
        max_tries=8,
        timeout=100,
    ),
    Fault(3, "refuses many clients at once", "jitter", refuses_many_clients),
]


# 4. Retry-After


def asks_to_wait(*values: str) -> Script:
    return refuses_first(*(answer(429, retry_after=value) for value in values))


def asks_to_wait_until_soon(peer: Peer) -> None:
    while request := peer.request():
        soon = formatdate(time.time() + 20, usegmt=True)
        refusal = answer(503 if request.startswith(b"GET") else 429, retry_after=soon)
        peer.send(refusal if len(peer.server.requests) == 1 else good(peer))


def waits(*seconds: float) -> Callable[[list[float]], bool]:
    return lambda pauses: pauses == list(seconds)


GARBAGE = (
    "soon | -5 | +5 | 1.5 | nan | inf | 0x10 | 7, 9 | 7\r\nretry-after: 9 | Mon, "
    "| Mon, 99 Jan 2024 12:00:00 GMT"
)
TOO_LONG = Expected(error=RateLimitError, pauses=waits())

ASKED = [
    in_turn(
        wire(4, "asks to wait", "Retry-After", asks_to_wait(value), Expected(requests=2, pauses=p))
        for value, p in {
            "7": waits(7.0),
            "0": waits(),
            "Wed, 21 Oct 2015 07:28:00 GMT": waits(),
        }.items()
    ),
    wire(
        4,
        "asks to wait until a date",
        "Retry-After",
        asks_to_wait_until_soon,
        Expected(requests=2, pauses=lambda pauses: len(pauses) == 1 and 9 < pauses[0] <= 20),
    ),
    wire(4, "asks to wait for a day", "pauses fit", asks_to_wait("86400"), TOO_LONG),
    in_turn(
        wire(4, "asks to wait for ages", "Retry-After", asks_to_wait(*[value] * 9), TOO_LONG)
        for value in ("9" * 400, "9" * 18, "Fri, 31 Dec 9999 23:59:59 GMT")
    ),
    in_turn(
        wire(4, "asks for no time at all", "garbage is no pause", asks_to_wait(value), SERVED_AGAIN)
        for value in GARBAGE.split(" | ")
    ),
    wire(
        4,
        "asks to wait again and again",
        "pauses count",
        asks_to_wait(*["12"] * 9),
        Expected(error=RateLimitError, requests=3, pauses=waits(12.0, 12.0)),
    ),
]


# 13. Connections


def serves(peer: Peer) -> None:
    while peer.request():
        peer.send(numbered(peer))


def adds(more: Callable[[Peer], bytes]) -> Script:
    """Each answer is followed by something, in one packet."""

    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(numbered(peer) + more(peer))

    return script


def adds_after_the_last_chunk(peer: Peer) -> None:
    while peer.request():
        body = numbered(peer).partition(b"\r\n\r\n")[2]
        peer.send(CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) + forged(peer))


def adds_later(peer: Peer) -> None:
    while peer.request():
        peer.send(numbered(peer))
        peer.server.stopping.wait(0.05)
        peer.send(forged(peer))


def adds_a_record(peer: Peer) -> None:
    while peer.request():
        in_one_packet(peer, lambda: peer.send(numbered(peer)), lambda: peer.send(forged(peer)))


def in_one_packet(peer: Peer, *sends: Callable[[], None]) -> None:
    if sys.platform == "linux":
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    for send in sends:
        send()
    if sys.platform == "linux":
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


def says_goodbye_in_tls(peer: Peer) -> None:
    def goodbye() -> None:
        peer.sock.settimeout(0.01)
        with contextlib.suppress(OSError):
            peer.sock.unwrap()  # type: ignore[attr-defined]

    if peer.request():
        in_one_packet(peer, lambda: peer.send(numbered(peer)), goodbye)
        peer.sock.settimeout(peer.server.patience)
        socket.socket.recv(peer.sock, 1)


def adds_to_an_empty_answer(peer: Peer) -> None:
    if peer.request() and len(peer.server.requests) == 1:
        peer.send(b"HTTP/1.1 204 No Content\r\n\r\n" + forged(peer))
        peer.request()
    peer.send(numbered(peer))


def answers_unasked(peer: Peer) -> None:
    peer.sock.recv(1, socket.MSG_PEEK)
    peer.send(numbered(peer, peer.server.connections))
    if peer.request():
        peer.server.stopping.wait(0.05)
        peer.send(forged(peer))
        peer.hang()


def answers_the_last_call(peer: Peer) -> None:
    if peer.server.connections > 1:
        serves(peer)
    elif peer.request() and peer.request():
        peer.send(forged(peer))


def serves_once(peer: Peer) -> None:
    if peer.request():
        peer.send(numbered(peer))


def wants_to_close(peer: Peer) -> None:
    while peer.request():
        peer.send(numbered(peer).replace(b"\r\n", b"\r\nconnection: close\r\n", 1))


def refuses_once(peer: Peer) -> None:
    if peer.request():
        peer.send(answer(404, {"detail": "no such sample"}))
    serves(peer)


def has_lengths(*lengths: str) -> Script:
    """A right answer but for its length; "true" stands for the true one."""

    def act(peer: Peer) -> None:
        body = good(peer).partition(b"\r\n\r\n")[2]
        told = b"".join(b"content-length: %s\r\n" % each.encode() for each in lengths)
        peer.send(HEAD + told.replace(b"true", b"%d" % len(body)) + b"\r\n" + body)

    return once(act)


def has_a_length_and_chunks(peer: Peer) -> None:
    body = good(peer).partition(b"\r\n\r\n")[2]
    peer.send(CHUNKED.replace(b"\r\n", b"\r\ncontent-length: 2\r\n", 1))
    peer.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))


@contextlib.contextmanager
def time_leaps(caller: Caller) -> Iterator[tuple[pytest.MonkeyPatch, Callable[..., None]]]:
    """To patch, and a call that makes the client's clock leap ahead by a bit over a second."""
    leaps: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caller, "_monotonic", lambda: time.monotonic() + sum(leaps))
        yield patch, lambda *_: leaps.append(1.01)


def idle_for_over_a_second(caller: Caller, operation: str) -> None:
    with time_leaps(caller) as (_, leap):
        two_calls("", "", serves, [1, 2], between=leap).check(caller, operation)


def grows_old_when_it_was_chosen(caller: Caller, operation: str) -> None:
    free = _transport._free
    with time_leaps(caller) as (patch, leap):
        patch.setattr(_transport, "_free", lambda pool: (free(pool), leap())[0])
        two_calls("", "", serves, [1, 2]).check(caller, operation)


def fills_what_is_read_at_once(peer: Peer) -> None:
    while peer.request():
        whole = numbered(peer)
        filler = b"\r\nx: %s\r\n" % (b"x" * (2**16 - len(whole) - 5))
        peer.send(whole.replace(b"\r\n", filler, 1) + forged(peer))


def adds_of_a_record(size: int) -> Script:
    record = (b"\x17\x03\x03\x00\x20" + bytes(32))[:size]

    def script(peer: Peer) -> None:
        while peer.request():
            in_one_packet(
                peer,
                lambda: peer.send(numbered(peer)),
                lambda: socket.socket.sendall(peer.sock, record),
            )

    return script


CONNECTIONS = [
    two_calls("adds an answer", "nothing left over", adds(forged), [1, 2]),
    two_calls("adds rubbish", "nothing left over", adds(lambda _: b"rubbish\r\n\r\n"), [1, 2]),
    two_calls(
        "adds an answer to the last chunk", "nothing left over", adds_after_the_last_chunk, [1, 2]
    ),
    two_calls(
        "adds an answer to an empty one",
        "nothing left over",
        adds_to_an_empty_answer,
        [APIResponseValidationError, 2],
    ),
    two_calls(
        "adds an answer later",
        "idle means silent",
        adds_later,
        [1, 2],
        between=until_something_came,
    ),
    two_calls("says goodbye in TLS", "idle means silent", says_goodbye_in_tls, [1, 2], tls=True),
    two_calls("adds a TLS record", "idle means silent", adds_a_record, [1, 2], tls=True),
    two_calls(
        "adds an answer after 64 KiB", "idle means silent", fills_what_is_read_at_once, [1, 2]
    ),
    *(
        two_calls(name, "idle means silent", adds_of_a_record(size), [1, 2], tls=True)
        for name, size in {
            "adds a broken TLS record": 37,
            "adds a part of a TLS record": 20,
        }.items()
    ),
    two_calls(
        "answers unasked",
        "idle means silent",
        answers_unasked,
        [1, 2],
        between=until_something_came,
    ),
    two_calls(
        "closes an idle connection",
        "idle means silent",
        serves_once,
        [1, 2],
        between=until_something_came,
    ),
    two_calls(
        "answers the last call",
        "given up means closed",
        answers_the_last_call,
        [APITimeoutError, 2],
        timeout=0.4,
    ),
    Fault(
        13, "a connection is idle for over a second", "idle for a second", idle_for_over_a_second
    ),
    Fault(
        13,
        "a connection grows old when it was chosen",
        "a look before the write",
        grows_old_when_it_was_chosen,
    ),
    two_calls("wants to close, but does not", "Connection: close", wants_to_close, [1, 2]),
    two_calls(
        "refuses, then serves", "kept connections", refuses_once, [NotFoundError, 2], connections=1
    ),
    in_turn(
        wire(13, "tells no length that can be", "strict framing", has_lengths(*each), BROKEN_OFF)
        for each in (("true", "2"), ("true, 2",), ("-1",), ("ten",), ("0x10",), ("1.5",))
    ),
    wire(
        13,
        "tells a length, but sends chunks",
        "strict framing",
        once(has_a_length_and_chunks),
        Expected(pauses=waits()),
    ),
]

ROWS: list[Fault] = [*DEADLINE, *AT_MOST_ONCE, *TRIES, *ASKED, *CONNECTIONS]
