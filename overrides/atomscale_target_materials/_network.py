"""What one try may use, seconds and bytes: every socket operation obeys it.

httpx applies its timeouts to each read: a server that drips a byte a second holds a call for ever.
httpcore hands the values of `request.extensions["timeout"]` on to the network stream as they are:
so one `Limits` travels there, and the streams below ask it what is left, and tell it what they did.
"""

import socket
import threading
import time
from contextlib import suppress
from typing import Any

import httpcore

WRITE_AT_ONCE = 16 * 1024


class Unreadable(Exception):  # noqa: N818 - it never leaves the package: the driver makes a Failure of it
    """An answer that is too large, or coded in a way that was not asked for."""


class Limits(float):
    """The seconds left at the start, a plain timeout; `left()` tells those left now."""

    end: float
    _room: int
    ours = False
    """Is the transport one of ours, which keeps the record of what was sent?"""
    sent = True
    """May a byte of the request have left?"""

    def __new__(cls, end: float, max_bytes: int) -> "Limits":
        """Until `end`, by the monotonic clock, at most `max_bytes` on the wire."""
        limits = super().__new__(cls, end - time.monotonic())
        limits.end = end
        limits._room = max_bytes
        return limits

    def left(self) -> float:
        """Seconds left now, zero or less when none are."""
        return self.end - time.monotonic()

    def grant(self) -> float:
        """Seconds left now, for a socket operation; an error when none are."""
        left = self.left()
        if left <= 0:
            raise httpcore.TimeoutException("the deadline has passed")
        return left

    def sends(self, data: bytes) -> None:
        """Notes that `data` is about to leave."""
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

    spent = False
    """True: bytes of an answer were left over, so nothing is sent on it again."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._in_use = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def get_extra_info(self, info: str) -> Any:
        """As underneath; what is readable while it should be idle makes httpcore drop it."""
        if info == "is_readable" and (self.spent or self._has_unread()):
            return True
        return self._stream.get_extra_info(info)

    def _has_unread(self) -> bool:
        """Does TLS hold bytes that nobody has read? The socket does not tell."""
        ssl_object = self._stream.get_extra_info("ssl_object")
        return ssl_object is not None and ssl_object.pending() > 0

    def read(self, max_bytes: int, timeout: Any) -> Any:
        """Some bytes."""
        with self._in_use:
            return timeout.received(self._stream.read(max_bytes, timeout.grant()))

    def write(self, buffer: bytes, timeout: Any) -> Any:
        """In pieces: the stream underneath grants its timeout to each send() anew."""
        for start in range(0, len(buffer), WRITE_AT_ONCE):
            left = timeout.grant()
            timeout.sends(buffer)
            with self._in_use:
                self._stream.write(buffer[start : start + WRITE_AT_ONCE], left)

    def close(self) -> None:
        """Closes it; under a thread that waits it is shut down, and that thread closes it."""
        if self._in_use.acquire(blocking=False):
            self._stream.close()
            self._in_use.release()
        else:
            # Closed, its number could be another connection's before that thread has noticed.
            with suppress(OSError):
                socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)

    def start_tls(self, ssl_context: Any, server_hostname: Any, timeout: Any) -> Any:
        """The stream inside TLS."""
        # A moment at least, in which httpcore fails and closes it.
        left = max(timeout.left(), 0.001)
        return Stream(self._stream.start_tls(ssl_context, server_hostname, left))


class Backend:
    """Connects within the deadline; the addresses of a host share what is left."""

    def connect_tcp(self, host: str, port: int, timeout: Any, **options: Any) -> Any:
        """A stream to the first address that takes the connection."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = timeout.grant() / left
            try:
                return Stream(httpcore.SyncBackend().connect_tcp(address, port, share, **options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


class AsyncStream(Stream):
    """As `Stream`, awaited."""

    def _has_unread(self) -> bool:
        # Also what anyio, and its TLS, have taken from the socket and not handed on.
        try:
            stream, unread = self._stream._stream, super()._has_unread()  # noqa: SLF001 - guarded
            if self._stream.get_extra_info("ssl_object") is not None:
                unread = unread or stream._read_bio.pending > 0  # noqa: SLF001
                stream = stream.transport_stream
            return unread or bool(stream._protocol.read_queue)  # noqa: SLF001
        except AttributeError:
            return True

    async def read(self, max_bytes: int, timeout: Any) -> bytes:
        """As `Stream.read`."""
        return timeout.received(await self._stream.read(max_bytes, timeout.grant()))  # type: ignore[no-any-return]

    async def write(self, buffer: bytes, timeout: Any) -> None:
        """As `Stream.write`; here one timeout holds for all of it."""
        left = timeout.grant()
        timeout.sends(buffer)
        await self._stream.write(buffer, left)

    async def start_tls(self, ssl_context: Any, server_hostname: Any, timeout: Any) -> Any:
        """As `Stream.start_tls`."""
        left = max(timeout.left(), 0.001)
        return AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, left))


class AsyncBackend:
    """As `Backend`, awaited: anyio races the addresses within the one timeout."""

    async def connect_tcp(self, host: str, port: int, timeout: Any, **options: Any) -> Any:
        """As `Backend.connect_tcp`."""
        backend = httpcore.AnyIOBackend()
        return AsyncStream(await backend.connect_tcp(host, port, timeout.grant(), **options))
