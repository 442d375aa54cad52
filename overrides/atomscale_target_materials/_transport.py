"""Our httpx transports, and the reading of an answer's body within its size limit."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import httpcore
import httpx
from httpcore import AsyncConnectionPool as _AsyncPool

from ._network import AsyncBackend, Backend
from .errors import ConfigurationError

POOL: dict[str, Any] = {
    "max_connections": 64,
    "max_keepalive_connections": 8,
    # Seconds. After a longer idle time the server may have dropped a connection, which a write
    # cannot find out safely.
    "keepalive_expiry": 1.0,
}
INFLATE_AT_ONCE = 64 * 1024


class Unreadable(Exception):  # noqa: N818 - it never leaves the package: the driver makes a Failure of it
    """A body that is too large, or coded in a way that was not asked for."""


class Body:
    """An answer's body as it comes in: counted, decompressed in pieces, at most `limit` bytes."""

    def __init__(self, coding: str, limit: int) -> None:
        known = coding.strip().lower()
        if known not in ("", "identity", "gzip", "x-gzip"):
            raise Unreadable(f"its content coding {coding!r} was not asked for (only gzip was)")
        self._gzip = zlib.decompressobj(wbits=31) if known.endswith("gzip") else None
        self._limit = limit
        self._wire = 0
        self.content = bytearray()

    def feed(self, data: bytes) -> None:
        """Takes bytes from the wire."""
        self._wire += len(data)
        self._check(self._wire)
        if self._gzip is None:
            self.content += data
            return
        more = True
        while more:
            try:
                piece = self._gzip.decompress(data, INFLATE_AT_ONCE)
            except zlib.error:
                raise Unreadable("its body is not valid gzip") from None
            self._check(len(self.content) + len(piece))
            self.content += piece
            data = self._gzip.unconsumed_tail
            more = bool(data) or len(piece) == INFLATE_AT_ONCE
        if self._gzip.unused_data:
            raise Unreadable("bytes follow its gzip body")

    def end(self) -> None:
        """No more bytes come."""
        if self._gzip is not None and self._wire and not self._gzip.eof:
            raise httpcore.RemoteProtocolError("the gzip body is not complete")

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise Unreadable(
                f"it is larger than max_response_bytes={self._limit} (an argument of the client)"
            )


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
    raise ConfigurationError(
        f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {reason}"
    )


def _answer(response: httpcore.Response) -> httpx.Response:
    # The stream as httpcore has it: whoever iterates over it closes it too.
    stream: Any = response.stream
    return httpx.Response(response.status, headers=response.headers, stream=stream)


def _core(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


class Transport(httpx.BaseTransport):
    """httpcore's connection pool with our network backend."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        backend: Any = Backend()
        self._pool = httpcore.ConnectionPool(ssl_context, network_backend=backend, **POOL)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request; follows nothing, retries nothing."""
        return _answer(self._pool.handle_request(_core(request)))

    def close(self) -> None:
        """Closes all connections."""
        self._pool.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """As `Transport`, awaited; each event loop that meets it has a pool of its own."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self._ssl_context = ssl_context
        self._pools: dict[asyncio.AbstractEventLoop, tuple[_AsyncPool, AsyncGenerator[None]]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As `Transport.handle_request`."""
        pool = await self._pool_of(asyncio.get_running_loop())
        return _answer(await pool.handle_async_request(_core(request)))

    async def _pool_of(self, loop: asyncio.AbstractEventLoop) -> _AsyncPool:
        for ended in [each for each in self._pools if each.is_closed()]:
            del self._pools[ended]
        if loop not in self._pools:
            backend: Any = AsyncBackend()
            pool = _AsyncPool(self._ssl_context, network_backend=backend, **POOL)
            self._pools[loop] = pool, self._life_of(pool, loop)
            await anext(self._pools[loop][1])
        return self._pools[loop][0]

    async def _life_of(
        self, pool: _AsyncPool, loop: asyncio.AbstractEventLoop
    ) -> AsyncGenerator[None]:
        # A loop closes the async generators that began in it before it ends (`asyncio.run` does):
        # so the connections of a loop are closed while it still runs, whoever forgets to.
        try:
            yield
        finally:
            self._pools.pop(loop)
            await pool.aclose()

    async def aclose(self) -> None:
        """Closes the connections of this event loop; those of others are closed when they end."""
        _, life = self._pools.get(asyncio.get_running_loop(), (None, None))
        if life is not None:
            await life.aclose()
