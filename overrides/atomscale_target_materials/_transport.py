"""Our httpx transports, and the reading of an answer's body within its size limit."""

import asyncio
import os
import ssl
import zlib
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import httpcore
import httpx

from ._network import AsyncBackend, Backend, Limits, Unreadable
from ._settings import Proxy
from .errors import ConfigurationError

# Seconds of the last: after a longer idle time the server may have dropped a connection, which a
# write cannot find out safely. So few are idle, and those that are need no limit of their own.
POOL = {"max_connections": 64, "keepalive_expiry": 1.0}
INFLATE_AT_ONCE = 64 * 1024


class Body:
    """An answer's body as it comes in: counted, decompressed in pieces, at most `limit` bytes."""

    def __init__(self, coding: str, limit: int) -> None:
        known = coding.strip().lower()
        if known not in ("", "identity", "gzip", "x-gzip"):
            raise Unreadable(f"the content coding {coding!r} was not asked for (only gzip was)")
        self._gzip = zlib.decompressobj(wbits=31) if known.endswith("gzip") else None
        self._limit = limit
        self._begun = False
        self.content = bytearray()

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
            limit = f"max_response_bytes={self._limit} (an argument of the client)"
            raise Unreadable(f"the answer is larger than {limit}")


def ssl_context_for(base_url: str, given: ssl.SSLContext | None) -> ssl.SSLContext | None:
    """The user's own, else httpx's default, which honours SSL_CERT_FILE and SSL_CERT_DIR."""
    if given is not None and not isinstance(given, ssl.SSLContext):
        raise TypeError(f"ssl_context: an ssl.SSLContext is needed, got {type(given)}")
    if given is not None or not base_url.startswith("https:"):
        return given
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        reason = str(error)
    told = "the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read"
    raise ConfigurationError(f"{told}: {reason}")


def _core(request: httpx.Request) -> httpcore.Request:
    url = request.url
    limits: Limits = request.extensions["timeout"]["pool"]
    limits.sent, limits.ours = False, True
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _answer(response: Any) -> httpx.Response:
    # The stream as httpcore has it: whoever iterates over it closes it too.
    rest = {"stream": response.stream, "extensions": response.extensions}
    return httpx.Response(response.status, headers=response.headers, **rest)


def settle(response: Any) -> None:
    """When an answer of ours is complete: what is left over would be taken for the next one."""
    try:
        left_over, _ = response.stream._stream._connection._h11_state.trailing_data  # noqa: SLF001 - guarded
    except AttributeError:
        left_over = b"unknown"
    if left_over:
        response.extensions["network_stream"].spent = True


def _pool(kinds: Any, backend: Any, ssl_context: ssl.SSLContext | None, proxy: Proxy | None) -> Any:
    direct, tunnelling = kinds
    options = {"ssl_context": ssl_context, "network_backend": backend, **POOL}
    if proxy is None:
        return direct(**options)
    return tunnelling(proxy.url, proxy.auth and proxy.auth.reveal(), **options)


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
        return _answer(pool.handle_request(_core(request)))

    def close(self) -> None:
        """Closes the connections of this process."""
        if os.getpid() in self._pools:
            self._pools[os.getpid()].close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """As `Transport`, awaited; each event loop that meets it has a pool of its own."""

    def __init__(self, ssl_context: ssl.SSLContext | None, proxy: Proxy | None = None) -> None:
        kinds = httpcore.AsyncConnectionPool, httpcore.AsyncHTTPProxy
        self._new_pool = partial(_pool, kinds, AsyncBackend(), ssl_context, proxy)
        self._pools: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[None]]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As `Transport.handle_request`."""
        pool = await self._pool_of(asyncio.get_running_loop())
        return _answer(await pool.handle_async_request(_core(request)))

    async def _pool_of(self, loop: asyncio.AbstractEventLoop) -> Any:
        # A list: the loops of other threads come and go meanwhile.
        for ended in [each for each in list(self._pools) if each.is_closed()]:
            self._pools.pop(ended, None)
        if loop not in self._pools:
            pool = self._new_pool()
            self._pools[loop] = pool, self._life_of(pool, loop)
            await anext(self._pools[loop][1])
        return self._pools[loop][0]

    async def _life_of(self, pool: Any, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        # A loop closes the async generators that began in it before it ends (`asyncio.run` does):
        # so the connections of a loop are closed while it still runs, whoever forgets to.
        try:
            yield
        finally:
            self._pools.pop(loop, None)
            await pool.aclose()

    async def aclose(self) -> None:
        """Closes the connections of this event loop; those of others are closed when they end."""
        _, life = self._pools.get(asyncio.get_running_loop(), (None, None))
        if life is not None:
            await life.aclose()
