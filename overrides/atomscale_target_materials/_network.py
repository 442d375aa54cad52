"""One deadline that every socket operation of a call obeys.

httpx applies its timeouts to each read: a server that drips a byte a second holds a call for ever.
httpcore hands the values of `request.extensions["timeout"]` on to the network stream as they are:
so one `Deadline` travels there, and the streams below ask it what is left.
"""

import socket
import time
from typing import Any

import httpcore

WRITE_AT_ONCE = 16 * 1024


class Deadline(float):
    """The seconds left at the start, a plain timeout; `left()` tells those left now."""

    def __new__(cls, seconds: float) -> "Deadline":
        """Begins to run."""
        deadline = super().__new__(cls, seconds)
        deadline._end = time.monotonic() + seconds
        return deadline

    _end: float

    def left(self) -> float:
        """Seconds left now, zero or less when it has passed."""
        return self._end - time.monotonic()

    def or_raise(self, error: type[Exception]) -> float:
        """Seconds left now, or `error` when it has passed."""
        left = self.left()
        if left <= 0:
            raise error("the deadline has passed")
        return left

    @property
    def extensions(self) -> dict[str, Any]:
        """The extensions of an `httpx.Request` that shall obey this deadline."""
        return {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self)}


class Stream:
    """A network stream that obeys the deadline; the rest is that of the stream underneath."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, max_bytes: int, timeout: Any = None) -> Any:
        """Bytes, or what is awaited for them."""
        return self._stream.read(max_bytes, timeout.or_raise(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: Any = None) -> Any:
        """In pieces: the stream underneath grants its timeout to each send() anew."""
        for start in range(0, len(buffer), WRITE_AT_ONCE):
            left = timeout.or_raise(httpcore.WriteTimeout)
            self._stream.write(buffer[start : start + WRITE_AT_ONCE], left)

    def start_tls(self, ssl_context: Any, server_hostname: Any = None, timeout: Any = None) -> Any:
        """The stream inside TLS."""
        left = timeout.or_raise(httpcore.ConnectTimeout)
        return Stream(self._stream.start_tls(ssl_context, server_hostname, left))


class Backend:
    """Connects within the deadline; the addresses of a host share what is left."""

    def connect_tcp(self, host: str, port: int, timeout: Any, **options: Any) -> Any:
        """A stream to the first address that takes the connection."""
        addresses = _addresses(host, port)
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = timeout.or_raise(httpcore.ConnectTimeout) / left
            try:
                return Stream(httpcore.SyncBackend().connect_tcp(address, port, share, **options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(error) from error
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class AsyncStream(Stream):
    """As `Stream`, awaited."""

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        """As `Stream.write`; here one timeout holds for all of it."""
        await self._stream.write(buffer, timeout.or_raise(httpcore.WriteTimeout))

    async def start_tls(
        self, ssl_context: Any, server_hostname: Any = None, timeout: Any = None
    ) -> Any:
        """As `Stream.start_tls`."""
        left = timeout.or_raise(httpcore.ConnectTimeout)
        return AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, left))


class AsyncBackend:
    """As `Backend`, awaited: anyio races the addresses within the one timeout."""

    async def connect_tcp(self, host: str, port: int, timeout: Any, **options: Any) -> Any:
        """As `Backend.connect_tcp`."""
        left = timeout.or_raise(httpcore.ConnectTimeout)
        backend = httpcore.AnyIOBackend()
        return AsyncStream(await backend.connect_tcp(host, port, left, **options))
