import asyncio
import gzip
from contextlib import suppress
from itertools import count
from typing import Any

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials import AsyncClient, _drivers, _transport
from atomscale_target_materials._transport import INFLATE_AT_ONCE, Body, Unreadable

from .conftest import Caller
from .server import Server, answer, replies

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


# Past the pool


class Fake:
    """What a transport sees of a connection, and of a pool; it is never there to be had."""

    def __init__(self, *, available: bool = True, expired: bool = False, of: Any = ()) -> None:
        self.is_available, self.has_expired = (lambda: available), (lambda: expired)
        self.connections = list(of)

    def handle_request(self, _: object) -> Any:
        raise httpcore.ConnectionNotAvailable

    async def handle_async_request(self, _: object) -> Any:
        raise httpcore.ConnectionNotAvailable


BUSY, FREE, OLD = Fake(available=False), Fake(), Fake(expired=True)


@pytest.mark.parametrize(
    ("connections", "free"),
    [
        pytest.param([], [None, None], id="none"),
        pytest.param([BUSY], [None, None], id="busy"),
        pytest.param([BUSY, FREE, BUSY], [FREE, FREE], id="free"),
        pytest.param([OLD, FREE], [None, FREE, None], id="in turn"),
        pytest.param([FREE] * 99, [FREE], id="nearly full"),
        pytest.param([FREE] * 100, [None], id="full"),
    ],
)
def test_an_idle_connection_is_taken_past_the_pool(
    connections: list[Fake], free: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Fake(of=connections)
    monkeypatch.setattr(_transport, "TURNS", count())
    assert [_transport._free(pool) for _ in free] == [each or pool for each in free]


def test_a_connection_that_is_gone_meanwhile_is_left_to_the_pool(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transport, "_free", lambda _: Fake())
    with Server(replies(answer(200, []))) as server:
        assert not caller(lambda client: client.list_target_materials(), base_url=server.base_url)


def test_a_call_that_is_cancelled_last_leaves_an_idle_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def calls(base_url: str) -> None:
        async with AsyncClient("key", base_url=base_url) as client:
            await client.list_target_materials()
            [(pool, _)] = client._driver._transport._pools.values()
            closing, closed = asyncio.Event(), httpcore.AsyncHTTP11Connection._response_closed

            async def late(connection: Any) -> None:
                closing.set()
                await asyncio.sleep(0)
                await closed(connection)

            monkeypatch.setattr(httpcore.AsyncHTTP11Connection, "_response_closed", late)
            call = asyncio.create_task(client.list_target_materials())
            await closing.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await client.list_target_materials()
            assert [each.is_idle() for each in pool.connections] == [True]

    with Server(replies(answer(200, []))) as server:
        asyncio.run(calls(server.base_url))
    assert server.connections == 1


def test_more_requests_than_64_at_once_wait_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_drivers, "AT_ONCE", 2)

    async def calls(base_url: str) -> None:
        async with AsyncClient("key", base_url=base_url) as client:
            await asyncio.gather(*[client.list_target_materials() for _ in range(9)])

    with Server(replies(answer(200, []))) as server:
        asyncio.run(calls(server.base_url))
    assert server.connections == 2
