"""Our httpx transports, and what a try may use, seconds and bytes: each socket operation obeys.

httpx applies its timeouts to each read: a server that drips a byte a second holds a call for ever.
httpcore hands the values of `request.extensions["timeout"]` on to the network stream as they are:
so one `Limits` travels there, and the streams below ask it what is left, and tell it what they did.
"""

import asyncio
import os
import socket
import ssl
import threading
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, Self

import httpcore
import httpx

from ._settings import Proxy
from ._steps import T
from .errors import ConfigurationError

# Seconds: after a longer idle time the server may have dropped a connection, which a write cannot
# find out safely. So few are idle, and nobody waits for one: see `AsyncTransport.turns`.
LONGEST_IDLE = 1.0
AT_ONCE = 64
INFLATE_AT_ONCE, WRITE_AT_ONCE = 64 * 1024, 16 * 1024
ROUND = count()


class Unreadable(Exception):  # noqa: N818 - it never leaves the package: the driver makes a Failure of it
    """An answer that is too large, or coded in a way that was not asked for."""


class Limits(float):
    """The seconds left at the start, a plain timeout; `left()` tells those left now."""

    ours = False
    """Is the transport one of ours, which keeps the record of what was sent?"""
    sent = False
    """May a byte of the request have left?"""

    def __new__(cls, end: float, _: int) -> Self:
        """Until `end`, by the monotonic clock, at most so many bytes on the wire."""
        return super().__new__(cls, end - time.monotonic())

    def __init__(self, end: float, max_bytes: int) -> None:
        self.end, self._room = end, max_bytes

    def left(self) -> float:
        """Seconds left now, zero or less when none are."""
        return self.end - time.monotonic()

    def grant(self) -> float:
        """Seconds left now, for a socket operation; an error when none are."""
        left = self.left()
        if left <= 0:
            raise TimeoutError
        return left

    async def within(self, work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """A socket operation, awaited for the seconds that are left now."""
        async with asyncio.timeout(self.grant()) as self._operation:
            return await work(*arguments)

    def end_now(self, task: asyncio.Task[None]) -> None:
        """Ends what `task` does as if time were up: its socket operation, and whatever follows.

        It is not cancelled in between: that may leave connections of httpcore in use for ever.
        """
        self.end = 0.0
        if not self.ours:
            task.cancel()
        with suppress(AttributeError, RuntimeError):  # There is none, or it is over.
            self._operation.reschedule(0.0)

    def sends(self, data: bytes, stream: "Stream") -> None:
        """Notes that `data` is about to leave; no request begins on what should be dropped."""
        self.grant()
        if not self.sent and stream.fresh_until and stream.get_extra_info("is_readable"):
            raise httpcore.ConnectionNotAvailable
        # What asks a proxy for a tunnel is not the request, which goes through the tunnel.
        self.sent = self.sent or bool(data and not data.startswith(b"CONNECT "))

    def received(self, data: bytes) -> bytes:
        """`data`, counted."""
        self._room -= len(data)
        if self._room < 0:
            raise Unreadable("more bytes came than max_response_bytes leaves room for")
        return data


class Stream:
    """A network stream that obeys the limits; the rest is that of the stream underneath."""

    fresh_until = 0.0
    """Until when it is fit for another request, by the monotonic clock; 0: it had none yet."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._in_use = stream, threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def get_extra_info(self, info: str) -> Any:
        """As underneath; what is readable while it should be idle makes httpcore drop it."""
        stale = info == "is_readable" and self._is_stale()
        return stale or self._stream.get_extra_info(info)

    def _is_stale(self) -> bool:
        return self.fresh_until < time.monotonic()

    def read(self, max_bytes: int, timeout: Any) -> Any:
        """Some bytes."""
        with self._in_use:
            return timeout.received(self._stream.read(max_bytes, timeout.grant()))

    def write(self, buffer: bytes, timeout: Any) -> Any:
        """In pieces: the stream underneath grants its timeout to each send() anew."""
        for start in range(0, len(buffer), WRITE_AT_ONCE):
            timeout.sends(buffer, self)
            with self._in_use:
                self._stream.write(buffer[start : start + WRITE_AT_ONCE], timeout.grant())

    def close(self) -> None:
        """Closes it, after any other thread that waits for it has noticed."""
        # Closed at once, its number could be another connection's before that.
        with suppress(OSError):
            socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)
        with self._in_use:
            self._stream.close()

    def start_tls(self, ssl_context: Any, server_hostname: Any, timeout: Any) -> Any:
        """The stream inside TLS."""
        # A moment at least, in which httpcore fails and closes it.
        left = max(timeout.left(), 0.001)
        return Stream(self._stream.start_tls(ssl_context, server_hostname, left))


class Backend:
    """Connects within the deadline; the addresses of a host share what is left."""

    def connect_tcp(self, host: str, port: int, timeout: Any, **_: Any) -> Any:
        """A stream to the first address that takes the connection."""
        # Of each kind of socket, so each address comes more than once.
        found = dict.fromkeys(each[4] for each in socket.getaddrinfo(host, None))
        for place, address in enumerate(found):
            share = timeout.grant() / (len(found) - place)
            plain = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
            try:
                return Stream(httpcore.SyncBackend().connect_tcp(plain, port, share))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


class AsyncStream(Stream):
    """As `Stream`, awaited."""

    def _is_stale(self) -> bool:
        # Also with what anyio, and its TLS, have taken from the socket and not handed on.
        stale: Any = super()._is_stale()
        with suppress(AttributeError):
            stream = self._stream._stream  # noqa: SLF001 - guarded
            if hasattr(stream, "_read_bio"):
                stale = stale or stream._read_bio.pending  # noqa: SLF001
                stream = stream.transport_stream
            return bool(stale or stream._protocol.read_queue)  # noqa: SLF001
        return True

    async def read(self, max_bytes: int, timeout: Any) -> bytes:
        """As `Stream.read`."""
        return timeout.received(await timeout.within(self._stream.read, max_bytes))  # type: ignore[no-any-return]

    async def write(self, buffer: bytes, timeout: Any) -> None:
        """As `Stream.write`; here one timeout holds for all of it."""
        timeout.sends(buffer, self)
        await timeout.within(self._stream.write, buffer)

    async def start_tls(self, ssl_context: Any, server_hostname: Any, timeout: Any) -> Any:
        """As `Stream.start_tls`."""
        start_tls = self._stream.start_tls
        try:
            return AsyncStream(await timeout.within(start_tls, ssl_context, server_hostname))
        except (TimeoutError, asyncio.CancelledError):
            await self._stream.aclose()
            raise


class AsyncBackend:
    """As `Backend`, awaited: anyio races the addresses within the one timeout."""

    async def connect_tcp(self, host: str, port: int, timeout: Any, **_: Any) -> Any:
        """As `Backend.connect_tcp`."""
        return AsyncStream(await timeout.within(httpcore.AnyIOBackend().connect_tcp, host, port))


class Body:
    """An answer's body as it comes in: counted, decompressed in pieces, at most `limit` bytes."""

    def __init__(self, coding: str, limit: int) -> None:
        known = coding.strip().lower()
        if known not in ("", "identity", "gzip", "x-gzip"):
            raise Unreadable(f"the content coding {coding!r} was not asked for (only gzip was)")
        self._gzip = zlib.decompressobj(wbits=31) if known.endswith("gzip") else None
        self._limit, self._begun, self.content = limit, False, bytearray()

    def feed(self, data: bytes) -> None:
        """Takes bytes from the wire."""
        self._begun = True
        if self._gzip is None:
            self._add(data)
            return
        while data and not self._gzip.eof:
            try:
                piece = self._gzip.decompress(data, INFLATE_AT_ONCE)
            except zlib.error:
                raise Unreadable("the body is not valid gzip") from None
            self._add(piece)
            data = self._gzip.unconsumed_tail
        if data or self._gzip.unused_data:
            raise Unreadable("bytes follow the gzip body")

    def end(self) -> None:
        """No more bytes come."""
        if self._gzip is not None and self._begun and not self._gzip.eof:
            raise httpcore.RemoteProtocolError("the gzip body is not complete")

    def _add(self, piece: bytes) -> None:
        room = self._limit - len(self.content)
        self.content += piece[:room]
        if len(piece) > room:
            raise Unreadable(f"the answer is larger than max_response_bytes={self._limit}")


def ssl_context_for(base_url: str, given: ssl.SSLContext | None) -> ssl.SSLContext | None:
    """The user's own, else httpx's default, which honours SSL_CERT_FILE and SSL_CERT_DIR."""
    if not isinstance(given, ssl.SSLContext | None):
        raise TypeError(f"ssl_context: an ssl.SSLContext is needed, got {type(given)}")
    if given is not None or not base_url.startswith("https:"):
        return given
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        told = f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {error}"
    raise ConfigurationError(told)


def _core(request: httpx.Request) -> httpcore.Request:
    url, extensions = request.url, request.extensions
    vars(extensions["timeout"]["pool"]).update(sent=False, ours=True)
    scheme, host, port = url.raw_scheme, url.raw_host, url.port
    there = httpcore.URL(scheme=scheme, host=host, port=port, target=url.raw_path)
    core = httpcore.Request(request.method, there, content=request.stream, extensions=extensions)
    # Past its check of each: they are bytes already.
    core.headers = request.headers.raw
    return core


def _answer(response: Any) -> httpx.Response:
    # The stream as httpcore has it: whoever iterates over it closes it too.
    rest = {"stream": response.stream, "extensions": response.extensions}
    return httpx.Response(response.status, headers=response.headers, **rest)


def _free(pool: Any) -> Any:
    """An idle connection, past the pool's queue, which costs more than the rest; else the pool."""
    idle = [each for each in pool.connections if each.is_available()]
    # In turn: an awaited one is not busy at once, and none grows old unseen.
    return idle[next(ROUND) % len(idle)] if idle else pool


def settle(response: Any) -> None:
    """When an answer of ours is complete: what is left over would be taken for the next one."""
    network_stream = response.extensions["network_stream"]
    network_stream.fresh_until = -1.0
    with suppress(AttributeError):
        stream = getattr(response.stream, "_stream", response.stream)
        if not stream._connection._h11_state.trailing_data[0]:  # noqa: SLF001 - guarded
            network_stream.fresh_until = time.monotonic() + LONGEST_IDLE


def _pool(kinds: Any, backend: Any, ssl_context: ssl.SSLContext | None, proxy: Proxy | None) -> Any:
    options = {"ssl_context": ssl_context, "network_backend": backend, "max_connections": None}
    if proxy is None:
        return kinds[0](**options)
    return kinds[1](proxy.url, proxy.auth and proxy.auth.reveal(), **options)


class Transport(httpx.BaseTransport):
    """httpcore's connection pool with our network backend; a forked child has its own."""

    def __init__(self, ssl_context: ssl.SSLContext | None, proxy: Proxy | None = None) -> None:
        kinds = httpcore.ConnectionPool, httpcore.HTTPProxy
        self._new_pool = partial(_pool, kinds, Backend(), ssl_context, proxy)
        self._pools: dict[int, httpcore.ConnectionPool] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request; follows nothing, retries nothing."""
        pid = os.getpid()
        # Of threads that make one at the same time all use the same.
        pool = self._pools.get(pid) or self._pools.setdefault(pid, self._new_pool())
        core = _core(request)
        with suppress(httpcore.ConnectionNotAvailable):
            return _answer(_free(pool).handle_request(core))
        return _answer(pool.handle_request(core))

    def close(self) -> None:
        """Closes the connections of this process."""
        if os.getpid() in self._pools:
            self._pools[os.getpid()].close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """As `Transport`, awaited; each event loop that meets it has a pool of its own."""

    def __init__(self, ssl_context: ssl.SSLContext | None, proxy: Proxy | None = None) -> None:
        kinds = httpcore.AsyncConnectionPool, httpcore.AsyncHTTPProxy
        self._new_pool = partial(_pool, kinds, AsyncBackend(), ssl_context, proxy)
        self._pools: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[Any]]] = {}
        self._turns: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}

    def turns(self) -> asyncio.Semaphore:
        """Room for 64 requests in an event loop: to wait in httpcore's pool costs more."""
        return self._turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As `Transport.handle_request`."""
        pool = await self._pool_of(asyncio.get_running_loop())
        core = _core(request)
        with suppress(httpcore.ConnectionNotAvailable):
            return _answer(await _free(pool).handle_async_request(core))
        return _answer(await pool.handle_async_request(core))

    async def _pool_of(self, loop: asyncio.AbstractEventLoop) -> Any:
        # A list: the loops of other threads come and go meanwhile.
        for ended in [each for each in list(self._turns) if each.is_closed()]:
            self._pools.pop(ended, None)
            self._turns.pop(ended, None)
        if loop not in self._pools:
            life = self._life_of_pool()
            self._pools[loop] = await anext(life), life
        return self._pools[loop][0]

    async def _life_of_pool(self) -> AsyncGenerator[Any]:
        # A loop closes the async generators that began in it before it ends (`asyncio.run` does):
        # so the connections of a loop are closed while it still runs, whoever forgets to.
        async with self._new_pool() as pool:
            yield pool

    async def aclose(self) -> None:
        """Closes the connections of this event loop; those of others are closed when they end."""
        if entry := self._pools.pop(asyncio.get_running_loop(), None):
            await entry[1].aclose()
