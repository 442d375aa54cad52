import asyncio
import gc
import gzip
import signal
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from itertools import count
from typing import Any

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    AtomscaleError,
    Client,
    ClientClosedError,
    _transport,
)
from atomscale_target_materials._transport import (
    INFLATE_AT_ONCE,
    WRITE_AT_ONCE,
    Body,
    Limits,
    Unreadable,
)

from .conftest import Caller
from .faults.rows_network import contexts, ids_of_two_calls
from .faults.table import once
from .server import Peer, Server, answer, message, replies

SIZES = st.sampled_from([0, 1, INFLATE_AT_ONCE - 1, INFLATE_AT_ONCE, INFLATE_AT_ONCE + 1, 300_000])
STEPS = st.integers(1, 40_000)


def fed(data: bytes, step: int) -> Body:
    body = Body("gzip", 10**6)
    for start in range(0, len(data), step):
        body.feed(data[start : start + step])
    body.end()
    return body


@given(SIZES, st.binary(max_size=99), STEPS)
def test_a_gzip_body_is_read_however_it_comes(size: int, more: bytes, step: int) -> None:
    content = b" " * size + more
    assert fed(gzip.compress(content), step).content == content


@given(SIZES, st.binary(min_size=1, max_size=99), STEPS)
def test_whatever_follows_a_gzip_body_is_refused(size: int, more: bytes, step: int) -> None:
    for after in (more, gzip.compress(more), bytes(len(more))):
        with pytest.raises(Unreadable, match="bytes follow the gzip body"):
            fed(gzip.compress(b" " * size) + after, step)


@given(SIZES, st.integers(1, 30), STEPS)
def test_a_gzip_body_that_breaks_off_is_not_complete(size: int, cut: int, step: int) -> None:
    data = gzip.compress(b" " * size)[:-cut]
    with pytest.raises(httpcore.RemoteProtocolError, match="not complete"):
        fed(data or b"\x1f", step)


@given(st.binary(max_size=200_000), STEPS)
def test_any_bytes_end_in_a_body_or_in_an_error_of_ours(data: bytes, step: int) -> None:
    with suppress(Unreadable, httpcore.RemoteProtocolError):
        fed(data, step)


def test_a_body_is_inflated_in_pieces() -> None:
    bomb, body = gzip.compress(bytes(10**7)), Body("gzip", 9)
    tracemalloc.start()
    with pytest.raises(Unreadable):
        body.feed(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * INFLATE_AT_ONCE


def test_64_kib_are_inflated_at_a_time() -> None:
    sizes = []

    class Pieces(Body):
        def _add(self, piece: bytes) -> None:
            sizes.append(len(piece))

    Pieces("gzip", 9).feed(gzip.compress(bytes(100_000)))
    assert sizes == [64 * 1024, 100_000 - 64 * 1024]


def test_64_requests_are_under_way_in_an_event_loop() -> None:
    async def act() -> None:
        turns = _transport.AsyncTransport(None).turns()
        for _ in range(64):
            assert not turns.locked()
            await turns.acquire()
        assert turns.locked()

    asyncio.run(act())


def test_a_call_whose_turn_does_not_come_ends_with_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_transport, "AT_ONCE", 1)

    async def act(server: Server) -> None:
        async with AsyncClient("sk-key", base_url=server.base_url) as client:
            first = asyncio.create_task(client.list_target_materials())
            while not server.requests:  # noqa: ASYNC110 - the server is a thread
                await asyncio.sleep(0.001)
            second = client.with_options(timeout=0.05).list_target_materials()
            with pytest.raises(APITimeoutError, match="waiting for a connection"):
                await asyncio.wait_for(second, 2)
            first.cancel()

    with Server(once(Peer.hang), patience=9) as server:
        asyncio.run(act(server))


def added(peer: Peer) -> None:
    while peer.request():
        peer.send(answer(201, {"id": 1, "layer_id": 1}))


# What is left


class Recorder:
    """A network stream, and what makes one, that notes how long each operation may take."""

    def __init__(self) -> None:
        self.waits: list[Any] = []
        self.hosts: list[str] = []

    def read(self, _: int, timeout: Any) -> bytes:
        self.waits.append(timeout)
        return b""

    def write(self, _: bytes, timeout: Any) -> None:
        self.waits.append(timeout)

    def start_tls(self, _: object, __: object, timeout: Any) -> None:
        self.waits.append(timeout)

    def connect_tcp(self, host: str, _: int, timeout: Any) -> None:
        self.hosts.append(host)
        self.waits.append(timeout)
        raise httpcore.ConnectError(host)


def test_each_operation_on_a_socket_may_take_what_is_left() -> None:
    recorder = Recorder()
    stream = _transport.Stream(recorder)
    limits = Limits(time.monotonic() + 40, 9)
    stream.read(9, limits)
    stream.write(b"x" * (WRITE_AT_ONCE + 1), limits)
    stream.start_tls(None, None, limits)
    assert recorder.waits == pytest.approx([40] * 4, abs=9)


def test_a_handshake_that_comes_too_late_fails_at_once() -> None:
    recorder = Recorder()
    _transport.Stream(recorder).start_tls(None, None, Limits(time.monotonic() - 4, 9))
    assert 0 < recorder.waits[0] < 0.02


def test_addresses_share_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(httpcore, "SyncBackend", lambda: recorder)
    addresses = [("127.0.0.1", 0), ("fe80::1", 0, 0, 1), ("127.0.0.1", 0), ("::1", 0, 0, 0)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", x) for x in addresses])
    with pytest.raises(httpcore.ConnectError, match=r"^::1$"):
        _transport.Backend().connect_tcp("localhost", 1, Limits(time.monotonic() + 120, 9))
    first, second, third = recorder.hosts
    assert (first, third) == ("127.0.0.1", "::1")
    assert second.startswith("fe80::1%"), "a link-local address is nothing without its interface"
    # Here no time passes: after the first, two share all of it.
    assert recorder.waits == pytest.approx([40, 60, 120], abs=9)


def test_the_name_of_a_service_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpcore, "SyncBackend", Recorder)
    asked = []

    def name(address: Any, flags: int) -> tuple[str, str]:
        asked.append(flags)
        return address[0], "0"

    monkeypatch.setattr(socket, "getnameinfo", name)
    with pytest.raises(httpcore.ConnectError, match=r"127\.0\.0\.1"):
        _transport.Backend().connect_tcp("127.0.0.1", 1, Limits(time.monotonic() + 120, 9))
    assert asked == [socket.NI_NUMERICHOST | socket.NI_NUMERICSERV]


def test_at_its_very_end_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    with pytest.raises(TimeoutError):
        Limits(5.0, 9).grant()
    stream = _transport.Stream(None)
    stream.fresh_until = 5.0
    assert not stream._is_stale()


def test_an_operation_in_an_event_loop_ends_when_nothing_is_left() -> None:
    async def never() -> None:
        await asyncio.sleep(9)
        raise AssertionError

    async def act() -> None:
        with pytest.raises(TimeoutError):
            await Limits(time.monotonic() + 0.01, 9).within(never)

    asyncio.run(act())


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_is_used_again(caller: Caller, tls: bool) -> None:
    of_server, of_client = contexts() if tls else (None, None)
    with Server(added, of_server) as server:
        twice = ids_of_two_calls("add", lambda _: None)
        assert caller(twice, base_url=server.base_url, ssl_context=of_client) == [1, 1]
    assert (server.connections, len(server.requests)) == (1, 2)


# Past the pool


class Fake:
    """What a transport sees of a connection, and of a pool; it is never there to be had."""

    def __init__(self, *, available: bool = True, of: Any = ()) -> None:
        self.is_available, self.connections = (lambda: available), list(of)

    def handle_request(self, _: object) -> Any:
        raise httpcore.ConnectionNotAvailable

    async def handle_async_request(self, _: object) -> Any:
        raise httpcore.ConnectionNotAvailable


BUSY, FREE, OTHER = Fake(available=False), Fake(), Fake()


@pytest.mark.parametrize(
    ("connections", "free"),
    [
        pytest.param([], [None, None], id="none"),
        pytest.param([BUSY], [None, None], id="busy"),
        pytest.param([BUSY, FREE, BUSY], [FREE, FREE], id="free"),
        pytest.param([OTHER, FREE], [OTHER, FREE, OTHER], id="in turn"),
    ],
)
def test_an_idle_connection_is_taken_past_the_pool(
    connections: list[Fake], free: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Fake(of=connections)
    monkeypatch.setattr(_transport, "ROUND", count())
    assert [_transport._free(pool) for _ in free] == [each or pool for each in free]


def test_a_connection_that_is_gone_meanwhile_is_left_to_the_pool(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transport, "_free", lambda _: Fake())
    with Server(replies(answer(200, []))) as server:
        assert not caller(lambda client: client.list_target_materials(), base_url=server.base_url)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """In the loop of the client: so a turn of the loop stands for a step of the exchange."""
    ends = asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
    with suppress(*ends), closing(writer):
        while request := await message(reader):
            is_list = request.startswith(b"GET")
            writer.write(answer(200, [] if is_list else {"id": 1, "layer_id": 1}))


async def cancelled(client: AsyncClient, turns: int, cancels: int) -> bool:
    """Was a call cancelled, so often, after that many turns of the loop, or was it done by then?"""
    call = asyncio.create_task(client.add_layer(layer_id=1))
    for _ in range(turns):
        await asyncio.sleep(0)
    for _ in range(cancels):
        call.cancel()
        await asyncio.sleep(0)
    with suppress(asyncio.CancelledError):
        await call
    return call.cancelled()


def in_use(client: AsyncClient) -> list[Any]:
    """Pools that serve a request, and connections that are neither idle nor closed."""
    pools = [pool for pool, _ in client._driver._transport._pools.values()]
    connections = [each for pool in pools for each in pool.connections]
    serving = [pool for pool in pools if "[Requests: 0 active, 0 queued |" not in repr(pool)]
    return serving + [each for each in connections if not each.is_idle() and not each.is_closed()]


@pytest.mark.parametrize("cancels", [1, 2])
@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_call_cancelled_at_any_moment_leaves_no_connection_in_use(
    tls: bool, kept: bool, cancels: int
) -> None:
    of_server, of_client = contexts() if tls else (None, None)

    async def calls() -> int:
        server = await asyncio.start_server(serve, "127.0.0.1", ssl=of_server)
        port = server.sockets[0].getsockname()[1]
        url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        async with server:
            for turns in count():
                async with AsyncClient("key", base_url=url, ssl_context=of_client) as client:
                    if kept:
                        await client.list_target_materials()
                    if not await cancelled(client, turns, cancels):
                        return turns
                    for _ in range(1000):
                        await asyncio.sleep(0)
                    assert in_use(client) == [], f"after {turns} turns"
        raise AssertionError

    assert asyncio.run(calls()) > 10


def test_a_loop_that_ends_within_a_handshake_closes_the_connection() -> None:
    async def leave() -> None:
        client = AsyncClient("key", base_url=f"https://127.0.0.1:{server.port}")
        calls_of(client, 1)
        while not server.connections:  # noqa: ASYNC110 - the server is a thread
            await asyncio.sleep(0.001)

    with Server(Peer.hang) as server:
        asyncio.run(leave())
        gc.collect()  # A socket that was left open warns, and a warning is an error.


@pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to a thread there")
def test_a_signal_handler_may_close_the_client_that_it_interrupts() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGURG)
        peer.hang()

    with Server(script) as server, Client("key", base_url=server.base_url) as client:
        before = signal.signal(signal.SIGURG, lambda *_: client.close())
        try:
            with pytest.raises(ClientClosedError):
                client.list_target_materials()
        finally:
            signal.signal(signal.SIGURG, before)


# Turns


@pytest.fixture
def one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "AT_ONCE", 1)


def calls_of(client: AsyncClient, *layer_ids: int) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(client.add_layer(layer_id=each)) for each in layer_ids]


async def asked(server: Server) -> None:
    while not server.requests:  # noqa: ASYNC110 - the server is a thread
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("at_once", [1, 3])
def test_more_requests_than_turns_wait_in_order(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transport, "AT_ONCE", at_once)

    async def calls(base_url: str) -> None:
        async with AsyncClient("key", base_url=base_url) as client:
            await asyncio.gather(*calls_of(client, *range(9)))

    with Server(added) as server:
        asyncio.run(calls(server.base_url))
    assert server.connections == at_once
    sent = [request.rpartition(b"\r\n")[2] for request in server.requests]
    assert len(sent) == 9
    assert at_once > 1 or sent == [b'{"layer_id":%d}' % each for each in range(9)]


def test_each_event_loop_has_turns_of_its_own(one_turn: None) -> None:
    async def calls() -> None:
        await asyncio.gather(*calls_of(client, 1, 2))

    with Server(added) as server:
        client = AsyncClient("key", base_url=server.base_url)
        for _ in range(2):
            asyncio.run(calls())
    assert server.connections == 2


class Meeting(httpx.AsyncBaseTransport):
    """Answers when so many have met."""

    def __init__(self, together: int) -> None:
        self._together = asyncio.Barrier(together)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._together.wait()
        return httpx.Response(200, json=[])


def test_a_transport_of_the_users_own_knows_no_turns(one_turn: None) -> None:
    async def calls() -> None:
        async with AsyncClient("key", transport=Meeting(3), timeout=5) as client:
            await asyncio.gather(*[client.list_target_materials() for _ in range(3)])

    asyncio.run(calls())


def test_ended_loops_are_let_go() -> None:
    async def call() -> None:
        await client.list_target_materials()

    with Server(replies(answer(200, []))) as server:
        client = AsyncClient("key", base_url=server.base_url)
        for _ in range(3):
            asyncio.run(call())
    transport = client._driver._transport
    assert (len(transport._turns), len(transport._pools)) == (1, 1)


def test_a_wait_that_outlasts_the_call_has_sent_nothing(one_turn: None) -> None:
    async def calls(base_url: str) -> APITimeoutError:
        async with AsyncClient("key", base_url=base_url) as client:
            first = asyncio.create_task(client.list_target_materials())
            await asked(server)
            with pytest.raises(APITimeoutError, match="waiting for a connection") as caught:
                await client.with_options(timeout=0.1).add_layer(layer_id=1)
            first.cancel()
            return caught.value

    with Server(once(Peer.hang), patience=5) as server:
        error = asyncio.run(calls(server.base_url))
    assert error.outcome_unknown is False
    assert (server.connections, len(server.requests)) == (1, 1)


def test_a_call_that_waits_while_the_client_is_closed(one_turn: None) -> None:
    async def calls(base_url: str) -> list[Any]:
        client = AsyncClient("key", base_url=base_url, max_tries=1)
        tasks = calls_of(client, 1, 2, 3)
        await asked(server)
        await client.aclose()
        return await asyncio.gather(*tasks, return_exceptions=True)

    with Server(once(Peer.hang), patience=5) as server:
        errors = asyncio.run(calls(server.base_url))
    assert [type(each) for each in errors] == [
        APIConnectionError, ClientClosedError, ClientClosedError,
    ]  # fmt: skip
    assert [each.outcome_unknown for each in errors] == [True, False, False]
    assert (server.connections, len(server.requests)) == (1, 1)


async def _failing(client: AsyncClient, _: Server) -> None:
    with pytest.raises(AtomscaleError):
        await client.with_options(timeout=0.3).add_layer(layer_id=0)


async def _cancelled_under_way(client: AsyncClient, server: Server) -> None:
    [call] = calls_of(client, 0)
    await asked(server)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def _cancelled_in_wait(client: AsyncClient, server: Server) -> None:
    first, *waiting = calls_of(client, 0, 1, 2)
    await asked(server)
    for call in (waiting[0], first, waiting[1]):
        call.cancel()
    assert len(await asyncio.gather(first, *waiting, return_exceptions=True)) == 3


@pytest.mark.parametrize(
    ("ends", "act"),
    [
        pytest.param(_failing, lambda _: None, id="broken off"),
        pytest.param(_failing, Peer.hang, id="too late"),
        pytest.param(
            _failing, lambda peer: peer.send(answer(500, connection="close")), id="refused"
        ),
        pytest.param(
            _failing, lambda peer: peer.send(answer(200, content_encoding="br")), id="unreadable"
        ),
        pytest.param(_cancelled_under_way, Peer.hang, id="cancelled under way"),
        pytest.param(_cancelled_in_wait, Peer.hang, id="cancelled in wait"),
    ],
)
def test_a_turn_is_given_back(
    ends: Callable[[AsyncClient, Server], Coroutine[Any, Any, None]],
    act: Callable[[Peer], Any],
    one_turn: None,
) -> None:
    def script(peer: Peer) -> None:
        once(act)(peer) if not server.requests else added(peer)

    async def calls(base_url: str) -> None:
        async with AsyncClient("key", base_url=base_url) as client:
            await ends(client, server)
            assert (await client.add_layer(layer_id=1)).id == 1

    with Server(script, patience=5) as server:
        asyncio.run(calls(server.base_url))
