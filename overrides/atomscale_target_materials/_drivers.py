"""The only I/O: a sync and an async driver that run the flows of `_operations`.

What goes wrong underneath is turned into a `Failure` here, as text: no exception of httpx or
httpcore, whose frames hold the key, is ever the cause or context of ours.
"""

import asyncio
import random
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.metadata import version
from typing import TypeVar, cast

import httpcore
import httpx

from ._network import Deadline
from ._steps import Failure, Flow, Outcome, Send
from ._transport import Body, Unreadable
from .errors import APIResponseValidationError, APITimeoutError, ClientClosedError

T = TypeVar("T")

NOT_SENT = (
    httpcore.LocalProtocolError, httpx.LocalProtocolError,
    httpcore.ConnectError, httpx.ConnectError,
    httpcore.ConnectTimeout, httpx.ConnectTimeout,
    httpcore.PoolTimeout, httpx.PoolTimeout,
    httpcore.ProxyError, httpx.ProxyError,
)  # fmt: skip
TIMEOUTS = (httpcore.TimeoutException, httpx.TimeoutException)
NETWORK = (
    httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol,
    httpx.TransportError, *NOT_SENT, *TIMEOUTS, OSError,
)  # fmt: skip


@cache
def _user_agent() -> str:
    return f"atomscale-target-materials/{version('atomscale-target-materials')}"


def _http_request(step: Send, deadline: Deadline) -> httpx.Request:
    fixed = {
        "Accept": "application/json, */*;q=0.1",
        "Accept-Encoding": "gzip",
        "User-Agent": _user_agent(),
    }
    options = dict(step.request.options)
    headers = {**options.pop("headers", {}), **fixed}
    url = step.settings.base_url + step.request.url
    try:
        request = httpx.Request(
            step.request.method, url, headers=headers, extensions=deadline.extensions, **options
        )
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(f"{step.request.method}: {error}") from None
    for name, value in request.headers.items():
        if not value.isprintable():
            raise ValueError(f"{name}: a header has no control characters, got {value!r}")
    # Last, where nothing can fail any more: a traceback of the lines above shows no key.
    request.headers["X-API-KEY"] = step.settings.key.reveal()
    return request


class _Exchange:
    """What is learned of one answer while it comes in; what goes wrong inside becomes a failure."""

    def __init__(self, step: Send) -> None:
        self.deadline = Deadline(step.left)
        self.request = _http_request(step, self.deadline)
        self.limit = step.settings.max_response_bytes
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body: Body | None = None
        self.failure: Failure | None = None

    def begin(self, response: httpx.Response) -> Body:
        """Status and headers are here."""
        self.status = response.status_code
        self.headers = dict(response.headers)
        self.body = Body(self.headers.get("content-encoding", ""), self.limit)
        return self.body

    def __enter__(self) -> None:
        # What the caller is handling is not ours, though it becomes the context of what goes wrong.
        self.handled = sys.exception()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if isinstance(error, Unreadable):
            self.failure = Failure(str(error), APIResponseValidationError, passing=False)
        elif isinstance(error, NETWORK):
            self.failure = _failure(error, self.handled)
        elif error is not None and not isinstance(error, Exception):
            # Ctrl-C, a cancellation: it goes on, but without the frames that hold the key.
            error.with_traceback(None)
        return self.failure is not None

    def outcome(self) -> Outcome:
        """What came of it."""
        return Outcome(
            left=self.deadline.left(),
            now=time.time(),
            jitter=random.random(),  # noqa: S311 - spreads clients, guards nothing
            status=self.status,
            headers=self.headers,
            content=self.body.content if self.body else b"",
            failure=self.failure,
        )


def _failure(error: BaseException, handled: BaseException | None) -> Failure:
    sent = not isinstance(error, NOT_SENT)
    if isinstance(error, TIMEOUTS):
        reason = "waiting for the answer" if sent else "waiting for a connection"
        return Failure(reason, APITimeoutError, sent=sent, passing=False)
    root = _root(error, handled)
    passing = not isinstance(root, ssl.SSLCertVerificationError)
    return Failure(str(root).rstrip(".") or type(root).__name__, sent=sent, passing=passing)


def _root(error: BaseException, handled: BaseException | None) -> BaseException:
    if isinstance(error, BaseExceptionGroup):
        return _root(error.exceptions[0], handled)
    beneath = error.__cause__ or error.__context__
    return error if beneath in (None, handled) else _root(beneath, handled)


class Driver:
    """Runs flows on a sync transport."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        _refuse_unless(transport, httpx.BaseTransport)
        self._transport = transport
        self._sleep: Callable[[float], None] = time.sleep
        self._closed = False

    def run(self, flow: Flow[T]) -> T:
        """Carries out what `flow` yields, and returns what it returns."""
        try:
            step = next(flow)
            while True:
                step = flow.send(self._send(step))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _send(self, step: Send) -> Outcome:
        exchange = _Exchange(step)
        if step.pause:
            self._sleep(step.pause)
        _refuse_when(self._closed)
        with exchange:
            response = self._transport.handle_request(exchange.request)
            stream = cast("httpx.SyncByteStream", response.stream)
            try:
                body = exchange.begin(response)
                for chunk in stream:
                    body.feed(chunk)
                body.end()
            finally:
                stream.close()
        return exchange.outcome()

    def close(self) -> None:
        """Closes the connections, for good."""
        self._closed = True
        self._transport.close()


class AsyncDriver:
    """Runs the same flows on an async transport."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        _refuse_unless(transport, httpx.AsyncBaseTransport)
        self._transport = transport
        self._sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self._closed = False

    async def run(self, flow: Flow[T]) -> T:
        """As `Driver.run`, awaited."""
        try:
            step = next(flow)
            while True:
                step = flow.send(await self._send(step))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def _send(self, step: Send) -> Outcome:
        exchange = _Exchange(step)
        if step.pause:
            await self._sleep(step.pause)
        _refuse_when(self._closed)
        with exchange:
            response = await self._transport.handle_async_request(exchange.request)
            stream = cast("httpx.AsyncByteStream", response.stream)
            try:
                body = exchange.begin(response)
                async for chunk in stream:
                    body.feed(chunk)
                body.end()
            finally:
                await stream.aclose()
        return exchange.outcome()

    async def aclose(self) -> None:
        """As `Driver.close`, awaited."""
        self._closed = True
        await self._transport.aclose()


def _refuse_unless(transport: object, kind: type) -> None:
    if not isinstance(transport, kind):
        raise TypeError(f"transport: an httpx.{kind.__name__} is needed, got {type(transport)}")


def _refuse_when(closed: bool) -> None:
    if closed:
        raise ClientClosedError("the client is closed: make a new one")
