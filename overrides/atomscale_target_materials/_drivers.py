"""The only I/O: a sync and an async driver that run the flows of `_operations`.

What goes wrong underneath is turned into a `Failure` here, as text: no exception of httpx or
httpcore, whose frames hold the key, is ever the cause or context of ours.
"""

import asyncio
import random
import ssl
import sys
import time
from contextlib import AbstractContextManager, aclosing, closing, nullcontext
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import httpcore
import httpx

from . import __version__
from ._steps import Failure, Flow, Outcome, Send, T
from ._transport import Body, Limits, Unreadable, settle
from .errors import APIResponseValidationError, APITimeoutError, AtomscaleError, ClientClosedError

# Else httpcore tries to import it for each connection, and a fork meanwhile leaves the child with a
# lock that nobody opens: its next connection hangs.
sys.modules.update({} if find_spec("sniffio") else {"sniffio": None})  # type: ignore[dict-item]

# Of a transport that is not ours: ours keeps a record of what was sent.
NOT_SENT = httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError
TIMEOUTS = TimeoutError, httpcore.TimeoutException, httpx.TimeoutException
BROKEN = httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpx.TransportError
FAILURES = *TIMEOUTS, *BROKEN, OSError, Unreadable
# Of an answer that is refused anyway no more is read: its first words tell why.
LARGEST_ERROR = 1024 * 1024
USER_AGENT = f"atomscale-target-materials/{__version__}"
ACCEPT = {"Accept": "application/json, */*;q=0.1", "Accept-Encoding": "gzip"}
# To parse one costs as much as all else here, and a client asks for the same few.
_url = lru_cache(maxsize=128)(httpx.URL)


def _http_request(step: Send, limits: Limits) -> httpx.Request:
    options = dict(step.request.options)
    headers = {**options.pop("headers", {}), **ACCEPT, "User-Agent": USER_AGENT}
    options["extensions"] = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), limits)}
    try:
        url = _url(step.settings.base_url + step.request.url)
        request = httpx.Request(step.request.method, url, headers=headers, **options)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(f"{step.request.method}: {error}") from None
    for name, value in request.headers.items():
        if not value.isprintable():
            raise ValueError(f"{name}: a header has no control characters, got {value!r}")
    # Last, where nothing can fail any more: a traceback of the lines above shows no key.
    request.headers["X-API-KEY"] = step.settings.key.reveal()
    return request


class _Exchange(AbstractContextManager["_Exchange"]):
    """What is learned of one answer while it comes in; what goes wrong inside becomes a failure."""

    def __init__(self, step: Send) -> None:
        self.settings = step.settings
        # Twice, as the frames of small chunks may be as large as their data; and room for an error.
        end = step.end or time.monotonic() + step.settings.timeout
        self.limits = Limits(end, 2 * step.settings.max_response_bytes + LARGEST_ERROR)
        self.request = _http_request(step, self.limits)
        self.answer: tuple[int | None, dict[str, str]] = None, {}  # Status and headers.
        self.body = Body("", 0)
        self.failure: Failure | None = None
        # What the caller is handling is not ours, though it becomes the context of what goes wrong.
        self.handled = sys.exception()

    def begin(self, response: httpx.Response) -> None:
        """Status and headers are here."""
        self.answer = response.status_code, dict(response.headers.items())
        most = self.settings.max_response_bytes
        most = most if response.is_success else min(most, LARGEST_ERROR)
        self.body = Body(response.headers.get("content-encoding", ""), most)

    def end(self, response: httpx.Response) -> None:
        """The body is here."""
        if self.limits.ours:
            settle(response)
        self.body.end()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if isinstance(error, FAILURES):
            self.failure = self._failure(error)
        elif error is not None:
            # Ctrl-C, a cancellation, a fault of a transport: it goes on without what holds the key.
            self.request.headers.pop("X-API-KEY", None)
            if self.limits.ours or not isinstance(error, Exception):
                error.__cause__, error.__context__ = None, self.handled
                error.with_traceback(None)
        return isinstance(error, FAILURES)

    def _failure(self, error: BaseException) -> Failure:
        sent = self.limits.sent and not isinstance(error, NOT_SENT)
        if isinstance(error, TIMEOUTS):
            told = f"not done within timeout={self.settings.timeout:g} seconds: waiting for "
            reason = told + ("the answer" if sent else "a connection")
            return Failure(reason, APITimeoutError, sent=sent, passing=False)
        if isinstance(error, Unreadable):
            return Failure(str(error), APIResponseValidationError, passing=False)
        if isinstance(error, httpcore.ProxyError):
            # Its text is the proxy's own, after the status.
            status = str(error)[:3]
            return Failure(f"the proxy answered {status}", sent=sent, passing=status >= "500")
        root = _root(error, self.handled)
        passing = not isinstance(root, ssl.SSLCertVerificationError)
        return Failure(str(root).rstrip(".") or type(root).__name__, sent=sent, passing=passing)

    def outcome(self) -> Outcome:
        """What came of it."""
        left, now, jitter = self.limits.left(), time.time(), random.random()  # noqa: S311 - no secret
        answer = *self.answer, self.body.content, self.failure
        return Outcome(left, now, jitter, *answer, self.limits.end)


def _root(error: BaseException, handled: BaseException | None) -> BaseException:
    if isinstance(error, BaseExceptionGroup):
        return _root(error.exceptions[-1], handled)
    beneath = error.__cause__ or error.__context__
    # anyio pops from an empty queue to find out that it is closed.
    ended = beneath in (None, handled) or isinstance(beneath, LookupError)
    return error if ended else _root(beneath, handled)  # type: ignore[arg-type]


class AsyncDriver:
    """Runs flows on an async transport."""

    kind: Any = httpx.AsyncBaseTransport
    _sleep: Any = staticmethod(asyncio.sleep)

    def __init__(self, transport: Any) -> None:
        if not isinstance(transport, self.kind):
            raise TypeError(f"transport: an httpx.{self.kind.__name__}, not {type(transport)}")
        self._transport, self._closed = transport, False

    def _open(self, exchange: _Exchange) -> Any:
        """The transport: from here on it may have sent the request, unless ours knows better."""
        if self._closed:
            raise ClientClosedError("the client is closed: make a new one")
        exchange.limits.sent = True
        return self._transport

    async def run(self, flow: Flow[T]) -> T:
        """Carries out what `flow` yields, and returns what it returns."""
        try:
            step = next(flow)
            while True:
                try:
                    step = flow.send(await self._send(step))
                except ClientClosedError as error:
                    # Closed meanwhile: a write may be in doubt, and the flow knows.
                    step = flow.throw(error)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except AtomscaleError as error:
            # Without the frames that hold the server's answer as it came.
            raise error.with_traceback(None) from None

    async def _send(self, step: Send) -> Outcome:
        if step.pause:
            await self._sleep(step.pause)
        with _Exchange(step) as exchange:
            task = asyncio.create_task(self._exchange(exchange))
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                exchange.limits.end_now(task)
                await asyncio.wait([task])
                raise
        return exchange.outcome()

    async def _exchange(self, exchange: _Exchange) -> None:
        turns = getattr(self._transport, "turns", nullcontext)()
        with exchange:  # Here too: after a cancellation nobody may be left to look at a failure.
            async with asyncio.timeout(exchange.limits.grant()) as waiting, turns:
                # Its turn has come: from here on the transport sees to the limits.
                waiting.reschedule(None)
                response = await self._open(exchange).handle_async_request(exchange.request)
                async with aclosing(response.stream):
                    exchange.begin(response)
                    async for chunk in response.stream:
                        exchange.body.feed(chunk)
                    exchange.end(response)

    async def aclose(self) -> None:
        """Closes the connections, for good."""
        self._closed = True
        await self._transport.aclose()


class Driver(AsyncDriver):
    """Runs flows on a sync transport: nothing in it waits for anything else."""

    kind = httpx.BaseTransport
    _sleep: Any = staticmethod(time.sleep)

    def run(self, flow: Flow[T]) -> T:  # type: ignore[override]
        """As `AsyncDriver.run`; `_send` awaits nothing here, so it runs to its end at once."""
        try:
            return super().run(flow).send(None)  # type: ignore[no-any-return]
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def _send(self, step: Send) -> Outcome:
        if step.pause:
            self._sleep(step.pause)
        with _Exchange(step) as exchange:
            response = self._open(exchange).handle_request(exchange.request)
            with closing(response.stream):
                exchange.begin(response)
                for chunk in response.stream:
                    exchange.body.feed(chunk)
                exchange.end(response)
        return exchange.outcome()

    def close(self) -> None:
        """As `AsyncDriver.aclose`."""
        self._closed = True
        self._transport.close()
