"""Rows on errors, keys, base URLs, arguments, threads, fork, loops: promises 9 to 11, 13 and 14."""

import asyncio
import contextlib
import gc
import inspect
import itertools
import json
import os
import pickle
import select
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from functools import partial
from types import GenericAlias, SimpleNamespace
from typing import Any

import attrs
import httpcore
import httpx
import numpy as np
import pytest

from atomscale_target_materials import (
    APIConnectionError,
    APIResponseValidationError,
    AsyncClient,
    AtomscaleError,
    Client,
    ClientClosedError,
    ConfigurationError,
    UnprocessableEntityError,
    _codec,
    _drivers,
    _operations,
    _settings,
    _transport,
    _wire,
    stacks,
)
from atomscale_target_materials import client as _client
from atomscale_target_materials._settings import Secret, Settings
from atomscale_target_materials._transport import AsyncTransport
from atomscale_target_materials_api.api.target_materials import (
    add_target_material_layer,
    list_target_materials,
)
from atomscale_target_materials_api.models import ElementDictCreate, LayerCreate

from ..conftest import KEY, Caller
from ..server import Peer, Script, Server, answer, replies
from .mechanisms import Disable, Mechanism, pooled, replacing, uncached
from .table import (
    BOTH,
    CALLS,
    Expected,
    Fault,
    Guest,
    GuestError,
    answered,
    expect,
    good,
    listed,
    once,
    paused,
    wire,
)

# Mechanisms that one line does not disable


def _recoded(function: Any, substitute: Any) -> Disable:
    """For a function that others have captured: attrs, or a partial."""
    return replacing(function, "__code__", substitute.__code__)


class _Unstripped(str):
    __slots__ = ()

    def strip(self, *_: Any) -> "_Unstripped":
        return self


def _as_it_came(argument: Secret, _: str, *variables: str) -> list[tuple[Secret, str]]:
    given = [argument.reveal(), *map(os.environ.get, variables)]
    return [(Secret(_Unstripped(value)), "?") for value in given if value]


def _environment_first(patch: pytest.MonkeyPatch) -> None:
    given = _settings._given
    patch.setattr(
        _settings,
        "_given",
        lambda argument, *names: given(Secret(None), *names) or given(argument, *names),
    )


def _keeps_the_slash(patch: pytest.MonkeyPatch) -> None:
    resolve: Any = Settings.resolve

    def resolved(key: Secret, base_url: Secret, *limits: Any, **options: Any) -> Any:
        settings = resolve(key, base_url, *limits, **options)
        return attrs.evolve(settings, base_url=base_url.reveal())

    patch.setattr(Settings, "resolve", resolved)


def _joins_addresses(patch: pytest.MonkeyPatch) -> None:
    build = _drivers._http_request

    def joined(step: Any, limits: Any) -> httpx.Request:
        request = build(step, limits)
        request.url = httpx.URL(step.settings.base_url).join(step.request.url)
        return request

    patch.setattr(_drivers, "_http_request", joined)


def _pickles_the_key(client: Any) -> Any:
    settings = client._settings
    kind: Any = type(client)
    return partial(kind, settings.key.reveal(), base_url=settings.base_url), ()


def _shares_pools(patch: pytest.MonkeyPatch) -> None:
    pool_of = AsyncTransport._pool_of

    async def first_pool(transport: AsyncTransport, loop: asyncio.AbstractEventLoop) -> Any:
        for pool, _ in transport._pools.values():
            return pool
        return await pool_of(transport, loop)

    patch.setattr(AsyncTransport, "_pool_of", first_pool)
    patch.setattr(_transport, "os", SimpleNamespace(getpid=lambda: 1))


class _Unwatched:
    """A pool's life of which the event loop knows nothing."""

    def __init__(self, pool: Any) -> None:
        self.pool, self.aclose = pool, pool.aclose

    async def __anext__(self) -> Any:
        return self.pool


def _leaves_them_open(patch: pytest.MonkeyPatch) -> None:
    async def leave(_: Any) -> None:
        pass

    patch.setattr(httpcore.HTTP11Connection, "_response_closed", lambda _: None)
    patch.setattr(httpcore.AsyncHTTP11Connection, "_response_closed", leave)


def _nearest(value: Any) -> Any:
    try:
        return int(value)
    except (TypeError, ValueError):
        return str(value)


def _takes_any_arguments(patch: pytest.MonkeyPatch) -> None:
    for kind in (Client, AsyncClient):
        add_layer = kind.add_layer
        known = inspect.signature(add_layer).parameters

        def lenient(  # type: ignore[no-untyped-def]
            self: Any, layer_id: int = 0, add_layer=add_layer, known=known, **others: Any
        ) -> Any:
            fields = {name: others[name] for name in others.keys() & known.keys()}
            return add_layer(self, layer_id=layer_id, **fields)

        patch.setattr(kind, "add_layer", lenient)


def _drops_what_is_unknown(patch: pytest.MonkeyPatch) -> None:
    request_of = _operations.request_of

    def lenient(operation: Any, parameters: dict[str, Any]) -> Any:
        known = inspect.signature(operation._get_kwargs).parameters.keys()
        return request_of(operation, {name: parameters[name] for name in parameters.keys() & known})

    patch.setattr(_operations, "request_of", lenient)


def _forgets_that_it_is_closed(patch: pytest.MonkeyPatch) -> None:
    never = property(lambda _: False, lambda *_: None)
    patch.setattr(_drivers.AsyncDriver, "_closed", never, raising=False)


def _catches_all(patch: pytest.MonkeyPatch) -> None:
    right = _codec.fitting

    def fitting(*arguments: Any) -> Any:
        try:
            return right(*arguments)
        except Exception as error:  # noqa: BLE001 - that is the fault
            raise ValueError(str(error)) from None

    patch.setattr(stacks, "fitting", fitting)


def _encodes_by(default: Callable[[Any], Any], **options: Any) -> Disable:
    return replacing(_codec, "ENCODER", json.JSONEncoder(default=default, **options))


class _NeverError(Exception):
    """Is not raised."""


MECHANISMS: dict[str, Mechanism] = {
    "state of errors": Mechanism(
        "errors.AtomscaleError",
        "an error is made of its message alone; the rest travels as its state",
        replacing(AtomscaleError, "__reduce__", lambda error: (type(error), error.args)),
    ),
    "pickles without bodies": Mechanism(
        "errors.APIResponseValidationError.__reduce__", "leaves the answer out of pickles",
        lambda patch: patch.delattr(APIResponseValidationError, "__reduce__"),
    ),
    "what did not send": Mechanism(
        "_drivers.NOT_SENT", "the errors of an own transport that say that nothing was sent",
        replacing(_drivers, "NOT_SENT", ()),
    ),
    "plain text on loopback alone": Mechanism(
        "_settings._is_loopback", "http is for loopback addresses and `localhost`",
        replacing(_settings, "_is_loopback", lambda _: True),
    ),
    "pickles without the key": Mechanism(
        "client._Client.__reduce__", "a pickled client has settings, but no key",
        replacing(_client._Client, "__reduce__", _pickles_the_key),
    ),
    "secrets hide": Mechanism(
        "_settings.Secret.__repr__", "a secret shows itself only on request",
        replacing(Secret, "__repr__", lambda secret: f"Secret({secret.reveal()!r})"),
    ),
    "secrets stay": Mechanism(
        "_settings.Secret.__reduce__", "a secret is never pickled",
        lambda patch: patch.delattr(Secret, "__reduce__"),
    ),
    "argument before environment": Mechanism(
        "_settings._given", "what the code says goes before what the environment says",
        _environment_first,
    ),
    "a key is needed": Mechanism(
        "_settings._key", "without a key there is no client",
        replacing(_settings, "_key", lambda key: (Secret(key.reveal() or "none"), "?")),
    ),
    "stripping": Mechanism(
        "_settings._given, _settings._key", "takes white space off the ends",
        replacing(_settings, "_given", _as_it_came),
    ),
    "check of the key": Mechanism(
        "_settings._faults_of_key", "printable ASCII, not empty",
        replacing(_settings, "_faults_of_key", lambda _: {}),
    ),
    "check of the base URL": Mechanism(
        "_settings._faults_of_base_url", "scheme, host, port and path, and nothing else",
        replacing(_settings, "_faults_of_base_url", lambda _: {}),
    ),
    "settings are texts": Mechanism(
        "_settings._checked", "key and base URL are str",
        replacing(_settings, "_checked", lambda _, value, *__: value.reveal()),
    ),
    "no slash at the end": Mechanism(
        "_settings.Settings.resolve", "takes the slash off the base URL's end", _keeps_the_slash
    ),
    "prefix": Mechanism(
        "_drivers._http_request", "a path is appended to the base URL, not resolved against it",
        _joins_addresses,
    ),
    "many connections": Mechanism(
        "_transport._pool", "connects anew where no connection is idle",
        pooled("max_connections", 1),
    ),
    "a pool of its own": Mechanism(
        "_transport.Transport, _transport.AsyncTransport._pool_of",
        "each process and each event loop has its own connections", _shares_pools,
    ),
    "closed with its loop": Mechanism(
        "_transport.AsyncTransport._life_of_pool",
        "the connections of an event loop are closed before it ends",
        replacing(AsyncTransport, "_life_of_pool", lambda own: _Unwatched(own._new_pool())),
    ),
    "broken-off answers": Mechanism(
        "httpcore", "a connection whose answer was not read to its end is closed",
        _leaves_them_open,
    ),
    "closed for good": Mechanism(
        "_drivers.AsyncDriver", "knows that it is closed", _forgets_that_it_is_closed
    ),
    "numbers": Mechanism(
        "_codec._plain",
        "anything with __index__ is an int, any numbers.Real a number, nothing else is",
        _encodes_by(_nearest),
    ),
    "encodable texts": Mechanism(
        "_codec._encoded", "a text is one that UTF-8 can encode",
        replacing(_codec, "_encoded", lambda text: json.dumps(text).encode()),
    ),
    "bounds of the spec": Mechanism(
        "_wire._limited", "amounts and element symbols are those of the spec",
        uncached(replacing(_wire, "_limited", lambda _, *kinds: GenericAlias(dict, kinds))),
    ),
    "keys are texts": Mechanism(
        "_codec.ENCODER", "takes nothing but a name for an element symbol",
        _encodes_by(_codec._plain, skipkeys=True),
    ),
    "depth of arguments": Mechanism(
        "_codec.fitting", "an argument that is nested too deeply is a ValueError",
        lambda patch: patch.setattr(_codec, "RecursionError", _NeverError, raising=False),
    ),
    "errors of others": Mechanism(
        "_codec.fitting", "catches nothing but what it knows", _catches_all,
    ),
    "signatures": Mechanism(
        "client.Client.add_layer", "keywords alone, each by its name", _takes_any_arguments
    ),
    "parameters of operations": Mechanism(
        "_operations.request_of", "an operation takes the parameters that the spec has",
        _drops_what_is_unknown,
    ),
    "limits": Mechanism(
        "_settings._limit", "a timeout is a finite number above 0, a count an int above 0",
        _recoded(_settings._limit, lambda _, attribute, value: None),
    ),
}  # fmt: skip

# The client as both kinds have it


def both(plan: Callable[[Any], Coroutine[Any, Any, Any]]) -> Callable[[Any], Any]:
    """A plan for either client: with the sync one nothing in it ever waits."""

    def call(client: Any) -> Any:
        if isinstance(client, AsyncClient):
            return plan(client)
        try:
            plan(client).send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("it waits")

    return call


async def settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def closing(client: Any) -> Any:
    return client.aclose() if isinstance(client, AsyncClient) else client.close()


def resolving(patch: pytest.MonkeyPatch, address: str = "127.0.0.1") -> None:
    """Each name is found at one address."""
    patch.setattr(
        socket,
        "getaddrinfo",
        lambda _, port, *__, **___: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))],
    )


def refused(
    promise: int,
    name: str,
    mechanism: str,
    error: type[Exception],
    says: str,
    *variants: dict[str, Any],
    call: Any = None,
    environ: Mapping[str, str] | None = None,
    operations: tuple[str, ...] = BOTH,
) -> Fault:
    """What is refused before any I/O: options of the client, or what `call` makes of them."""

    def check(caller: Caller, operation: str) -> None:
        for variant in variants:
            act = partial(call, operation=operation, fields=variant) if call else CALLS[operation]
            named = says.replace("NAME", next(iter(variant)))
            with Server(answered) as server, pytest.MonkeyPatch.context() as patch:
                resolving(patch)
                for variable, value in (environ or {}).items():
                    patch.setenv(variable, value)
                options = {"base_url": server.base_url, **({} if call else variant)}
                if isinstance(options["base_url"], str):
                    options["base_url"] = options["base_url"].replace("{port}", str(server.port))
                call_it = partial(caller, act, **options)
                expect(caller, call_it, operation, Expected(error=error, says=named))
                assert not server.requests, "sends it"
                assert isinstance(caller, Guest) or server.connections == 0

    return Fault(promise, name, mechanism, check, operations)


# 9. One family of errors


def travels(name: str, mechanism: str, call: Any, error: type[Exception], **lost: Any) -> Fault:
    """An error that is pickled: its twin has all that it had, but for what is `lost`."""

    def check(caller: Caller, operation: str) -> None:
        with pytest.raises((AtomscaleError, GuestError)) as caught:
            call(caller, operation)
        if isinstance(caught.value, GuestError):
            assert caught.value.is_picklable, f"{caught.value.name} cannot be unpickled"
            return
        caught.value.add_note("in growth 12")
        twin = pickle.loads(pickle.dumps(caught.value))
        assert type(twin) is type(caught.value) is error
        assert (str(twin), vars(twin)) == (str(caught.value), {**vars(caught.value), **lost})

    return Fault(9, name, mechanism, check)


def served(script: Script, **options: Any) -> Callable[[Caller, str], Any]:
    def call(caller: Caller, operation: str) -> Any:
        with Server(script) as server:
            return caller(CALLS[operation], base_url=server.base_url, **options)

    return call


def nobody_listens(caller: Caller, operation: str) -> None:
    with Server(answered) as server:
        pass
    says = r"\[Errno \d+\].*Nothing was sent"
    call = partial(caller, CALLS[operation], base_url=server.base_url)
    expect(caller, call, operation, Expected(error=APIConnectionError, says=says))
    paused(caller, lambda pauses: len(pauses) == 3)


def no_such_host(caller: Caller, operation: str) -> None:
    def lookup(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lookup)
        call = partial(caller, CALLS[operation], base_url="http://localhost:1")
        says = "Name or service not known.*Nothing was sent"
        expect(caller, call, operation, Expected(error=APIConnectionError, says=says))


def own_transport(error: type[Exception], *, sent: bool = True) -> Callable[[Caller, str], None]:
    def check(caller: Caller, operation: str) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            raise error("mine")

        says = "failed: mine" + ("" if sent else ". Nothing was sent")
        expected = Expected(error=APIConnectionError, says=says, unknown=sent)
        call = partial(caller, CALLS[operation], transport=httpx.MockTransport(handler))
        expect(caller, call, operation, expected)

    return check


def says_instead(name: str, data: bytes, says: str) -> Fault:
    broken = Expected(error=APIConnectionError, says=says, requests=(4, 1), unknown=True)
    return wire(9, name, FAMILY, once(lambda peer: peer.send(data)), broken)


FAMILY = "one family of errors"
UNPROCESSABLE = answer(422, {"detail": "no such position"}, x_request_id="r-1")
SWITCHED = b"HTTP/1.1 101 X\r\nupgrade: websocket\r\n\r\n\x81\0"

ERRORS = [
    travels(
        "a refusal is pickled", "state of errors",
        served(replies(UNPROCESSABLE)), UnprocessableEntityError,
    ),
    travels(
        "a broken connection is pickled", "state of errors",
        served(once(lambda _: None)), APIConnectionError,
    ),
    travels(
        "a refused setting is pickled", "state of errors",
        lambda caller, operation: caller(CALLS[operation], base_url="ftp://localhost"),
        ConfigurationError,
    ),
    travels(
        "an unreadable answer is pickled, without its body", "pickles without bodies",
        served(replies(answer(200, [{"id": "x"}]))), APIResponseValidationError, body=None,
    ),
    Fault(9, "nobody listens", FAMILY, nobody_listens),
    Fault(9, "the host is not found", FAMILY, no_such_host),
    says_instead("answers in no known protocol", b"220 mail.lab\r\n\r\n", "illegal status line"),
    says_instead("answers with a body alone, as HTTP/0.9 did", b"[]", "without sending a response"),
    says_instead("answers in HTTP/2", b"\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x80", "illegal"),
    says_instead("sends an illegal header", b"HTTP/1.1 200 X\r\na b: 2\r\n\r\n", "header line"),
    says_instead("switches protocols", SWITCHED, "without a pending proposal"),
    Fault(9, "an own transport loses the connection", FAMILY, own_transport(httpx.ReadError)),
    Fault(
        9, "an own transport does not connect", "what did not send",
        own_transport(httpx.ConnectError, sent=False),
    ),
]  # fmt: skip

# 10. The key stays secret


def plain_text(name: str, *urls: str) -> Fault:
    says = "would send the key in plain text"
    variants = [{"base_url": url} for url in urls]
    return refused(10, name, "plain text on loopback alone", ConfigurationError, says, *variants)


def sent_keys(server: Server) -> set[bytes]:
    """What the server got as a key, byte for byte."""
    lines = [line for request in server.requests for line in request.split(b"\r\n")]
    return {line[10:] for line in lines if line.lower().startswith(b"x-api-key:")}


def twin_of(caller: Caller, base_url: str) -> Any:
    """What a client becomes when it is pickled and unpickled."""
    kind = Client if caller.kind == "sync" else AsyncClient
    pickled = pickle.dumps(
        kind(KEY, base_url=base_url, timeout=3, max_tries=2, max_response_bytes=1000)
    )
    assert KEY.encode() not in pickled
    return pickle.loads(pickled)


def twin_without_a_key(caller: Caller, operation: str) -> None:
    call = partial(twin_of, caller, "http://localhost:1")
    says = "no API key: pass api_key=.*ATOMSCALE_API_KEY"
    expect(caller, call, operation, Expected(error=ConfigurationError, says=says))


def twin_with_a_key(caller: Caller, operation: str) -> None:
    async def plan(client: Any) -> Any:
        twin = twin_of(caller, server.base_url)
        try:
            assert repr(twin).endswith(" timeout=3 max_tries=2>")
            assert twin._settings.max_response_bytes == 1000
            return await settled(CALLS[operation](twin))
        finally:
            await settled(closing(twin))

    with Server(answered) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AS_API_KEY", "its-own")
        assert caller(both(plan), base_url=server.base_url)
    assert sent_keys(server) == {b" its-own"}


def shown(caller: Caller, operation: str) -> None:
    async def plan(client: Any) -> Any:
        settings = client._settings
        told = f"{client!r} {vars(client)} {settings} {attrs.asdict(settings)} {settings.key}"
        assert KEY not in told
        return await settled(CALLS[operation](client))

    with Server(answered) as server:
        assert caller(both(plan), base_url=server.base_url)


def settings_pickled(caller: Caller, operation: str) -> None:
    def call(client: Any) -> bytes:
        return pickle.dumps(client._settings)

    expected = Expected(error=TypeError, says="an API key is never pickled")
    expect(caller, lambda: call(Client(KEY)), operation, expected)


def environment_says_otherwise(caller: Caller, operation: str) -> None:
    with Server(answered) as server, Server(answered) as other:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ATOMSCALE_API_KEY", "another")
            patch.setenv("ATOMSCALE_API_ENDPOINT", other.base_url)
            caller(CALLS[operation], base_url=server.base_url)
        assert sent_keys(server) == {b" " + KEY.encode()}
        assert other.connections == 0


SECRETS = [
    plain_text("plain http to another host", "http://mbe-3.lab:{port}", "http://0.0.0.0:{port}"),
    plain_text(
        "plain http to a name that looks like loopback",
        "http://localhost.evil.com:{port}",
        "http://127.0.0.1.evil.com:{port}",
        "http://127.999.0.1:{port}",
    ),
    Fault(10, "a client is unpickled without a key", "pickles without the key", twin_without_a_key),
    Fault(10, "a client is unpickled with another key", "pickles without the key", twin_with_a_key),
    Fault(10, "a client is printed", "secrets hide", shown),
    Fault(10, "a client's settings are pickled", "secrets stay", settings_pickled),
    Fault(
        10,
        "the environment names another server and key",
        "argument before environment",
        environment_says_otherwise,
    ),
]

# 11. Key and base URL


def key(name: str, mechanism: str, says: str, *keys: Any, **environ: str) -> Fault:
    variants = [{"key": each} for each in keys]
    return refused(11, name, mechanism, ConfigurationError, says, *variants, environ=environ)


def url(name: str, says: str, *urls: Any, mechanism: str = "check of the base URL") -> Fault:
    says = f"^the base URL from the base_url argument {says}"
    variants = [{"base_url": each} for each in urls]
    return refused(11, name, mechanism, ConfigurationError, says, *variants)


def stripped(name: str, argument: str | None, variable: str) -> Fault:
    def check(caller: Caller, operation: str) -> None:
        with Server(answered) as server, pytest.MonkeyPatch.context() as patch:
            patch.setenv("AS_API_KEY", variable)
            assert caller(CALLS[operation], argument, base_url=server.base_url)
        assert sent_keys(server) == {b" " + KEY.encode()}

    return Fault(11, name, "stripping", check)


def on_the_wire(name: str, mechanism: str, given: str, prefix: str) -> Fault:
    def check(caller: Caller, operation: str) -> None:
        with Server(answered) as server:
            assert caller(CALLS[operation], base_url=server.base_url + given)
        target = server.requests[0].split()[1].decode()
        path = "/target-materials/" + ("layers/" if operation == "add" else "")
        assert target == prefix + path

    return Fault(11, name, mechanism, check)


ODD = "has characters that no key has"
CHARACTERS = "has white space, control or non-ASCII characters, or a backslash"

SETTINGS = [
    stripped("white space around the key", f" \t{KEY}\r\n", "unused"),
    stripped("white space around the key of the environment", None, f"\u00a0{KEY}\n"),
    key("no key anywhere", "a key is needed", "^no API key: .*ATOMSCALE_API_KEY", None),
    key("an empty key", "check of the key", "from the api_key argument is empty", "", " \r\n"),
    key("a key with a header in it", "check of the key", ODD, "x\r\nX-Role: admin", f"{KEY}\nx"),
    key("a key that is no printable ASCII", "check of the key", ODD, f"\ufeff{KEY}", "x\x7fy"),
    key("a key that is no text", "settings are texts", "must be a str, not bytes", KEY.encode()),
    key(
        "a bad key in the environment", "check of the key",
        f"from the environment variable AS_API_KEY {ODD}", None, AS_API_KEY=f"{KEY}\u2026",
    ),
    url("a base URL without http", "does not begin with", "localhost:{port}", "ftp://127.0.0.1"),
    url("a base URL with user and password", "has user info", f"http://u:{KEY}@127.0.0.1:{{port}}"),
    url(
        "a base URL with a query or fragment", "has a query or fragment",
        "http://127.0.0.1:{port}?x=", "http://127.0.0.1:{port}/#",
    ),
    url(
        "a base URL with odd characters", CHARACTERS, "http://127.0.0.1:{port}/a b",
        "http://127.0.0.1:{port}\r\nX: y", "http://127.0.0.1:{port}\\@[::1]", "http://l\u043ecalhost",
    ),
    url("a base URL without a host", "has no valid host", "http://", "http:///127.0.0.1:{port}"),
    url("a base URL with a bad port", "has no valid host or port", "http://127.0.0.1:0", "http://[::1]:x"),
    url("a base URL with dots in its path", r"has \. or \.\.", "http://127.0.0.1:{port}/a/../b"),
    url(
        "a base URL that is no text", "must be a str, not URL", httpx.URL("http://127.0.0.1:1"),
        mechanism="settings are texts",
    ),
    on_the_wire("a slash at the end of the base URL", "no slash at the end", "/", ""),
    on_the_wire("a path in the base URL", "prefix", "/lab%20x/v1", "/lab%20x/v1"),
]  # fmt: skip

# 13. Connections: threads, fork, event loops, interruptions, close


def numbered(client: Any, operation: str, number: int) -> Any:
    """A call that asks for this number, or, as a list asks for nothing, for the next one."""
    return client.add_layer(layer_id=number) if operation == "add" else listed(client)


def number_in(value: Any) -> Any:
    return value[0].id if isinstance(value, tuple) else value.layer_id


def counting(first: Callable[[Peer], Any]) -> Script:
    """Answers with the number that is asked for, or the next one, after `first`."""
    count = itertools.count(1)

    def script(peer: Peer) -> None:
        while request := peer.request():
            body = request.partition(b"\r\n\r\n")[2]
            number = next(count)
            first(peer)
            if body:
                peer.send(answer(200, {"id": 5, "layer_id": json.loads(body)["layer_id"]}))
            else:
                peer.send(answer(200, [{"id": number, "sample_id": 2}]))

    return script


def sixteen_at_once(caller: Caller, operation: str) -> None:
    """None is answered before all have asked."""
    numbers = range(1, 17)
    all_here = threading.Barrier(len(numbers))

    def wait_for_all(_: Peer) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            all_here.wait(2.5)

    def call(client: Any) -> Any:
        def one(number: int) -> Any:
            return numbered(client, operation, number)

        async def together() -> list[Any]:
            return await asyncio.gather(*map(one, numbers))

        if caller.kind == "async":
            return together()
        with ThreadPoolExecutor(len(numbers)) as threads:
            return list(threads.map(one, numbers))

    with Server(counting(wait_for_all), patience=5) as server:
        found = [number_in(value) for value in caller(call, base_url=server.base_url)]
    assert (found if operation == "add" else sorted(found)) == list(numbers)
    assert server.connections == len(numbers)


@contextlib.contextmanager
def calls_of(
    kind: str, operation: str, base_url: str
) -> Iterator[tuple[Callable[[int], int], Callable[[int], int]]]:
    """Calls of one client: in its first event loop, and in one of their own (if it uses any)."""
    if kind == "sync":
        with Client(KEY, base_url=base_url, timeout=2) as client:

            def call(number: int) -> Any:
                return number_in(numbered(client, operation, number))

            yield call, call
        return
    other = AsyncClient(KEY, base_url=base_url, timeout=2)
    loop = asyncio.new_event_loop()
    run = loop.run_until_complete
    try:
        yield (
            lambda number: number_in(run(numbered(other, operation, number))),
            lambda number: number_in(asyncio.run(numbered(other, operation, number))),
        )
    finally:
        run(other.aclose())
        run(loop.shutdown_asyncgens())
        loop.close()


def in_a_child(act: Callable[[], Any]) -> str:
    """What `act` returns in a forked child."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the server's threads are no danger
        child = os.fork()
    if child == 0:
        said = ""
        try:
            said = repr(act())
        except BaseException as error:  # noqa: BLE001 - the parent judges it
            said = repr(error)
        finally:
            os.write(theirs, said.encode())
            os._exit(0)
    os.close(theirs)
    if not select.select([ours], [], [], 2.5)[0]:
        os.kill(child, signal.SIGKILL)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    os.waitpid(child, 0)
    return said


def forks(caller: Caller, operation: str) -> None:
    """Parent, child and parent again, while the parent's connection is kept alive."""
    peers: list[Peer] = []
    with (
        Server(counting(peers.append)) as server,
        calls_of(caller.kind, operation, server.base_url) as (call, call_afresh),
    ):
        found = [call(1), in_a_child(lambda: call_afresh(2)), call(3)]
    assert found == [1, "2", 3]
    assert peers[0] is not peers[1]


def in_its_place(kind: str, act: Callable[[], None]) -> None:
    """What concerns event loops alone happens in the main thread, and in a second one."""
    if kind == "async":
        act()
    else:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(act).result()


def meets_a_second_loop(caller: Caller, operation: str) -> None:
    peers: list[Peer] = []

    def act() -> None:
        with calls_of("async", operation, server.base_url) as (call, call_afresh):
            assert [call(1), call_afresh(2), call(3)] == [1, 2, 3]

    with Server(counting(peers.append)) as server:
        in_its_place(caller.kind, act)
    assert peers[0] is not peers[1]


def loop_ends_first(caller: Caller, operation: str) -> None:
    """Nobody closes the client: its connection is closed nevertheless."""
    gone = threading.Event()

    def script(peer: Peer) -> None:
        answered(peer)
        gone.set()

    def act() -> None:
        client = AsyncClient(KEY, base_url=server.base_url)
        try:
            assert asyncio.run(CALLS[operation](client))
            assert gone.wait(1)
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                client._driver._transport._pools.clear()
                gc.collect()

    with Server(script) as server:
        in_its_place(caller.kind, act)


class Interrupted(BaseException):
    """What a signal's handler raises."""


def interrupt(*_: Any) -> None:
    raise Interrupted


def interrupted(name: str, received: bytes) -> Fault:
    """A call is interrupted when that much of its answer is there."""

    def check(caller: Caller, operation: str) -> None:
        act = CALLS[operation]
        interrupts: list[Callable[[], Any]] = []
        gone = threading.Event()

        def script(peer: Peer) -> None:
            request = peer.request()
            if len(peer.server.requests) > 1:
                peer.send(good(peer) if request else b"")
                answered(peer)
                return
            peer.send(received)
            peer.server.stopping.wait(0.05)
            interrupts[0]()
            with contextlib.suppress(ConnectionResetError):
                peer.sock.recv(1)
            gone.set()

        def call(client: Any) -> Any:
            main = threading.main_thread().ident or 0
            interrupts.append(lambda: signal.pthread_kill(main, signal.SIGURG))
            before = signal.signal(signal.SIGURG, interrupt)
            try:
                with pytest.raises(Interrupted):
                    act(client)
            finally:
                signal.signal(signal.SIGURG, before)
            assert gone.wait(1)
            return act(client)

        async def call_async(client: Any) -> Any:
            task = asyncio.ensure_future(act(client))
            loop = asyncio.get_running_loop()
            interrupts.append(lambda: loop.call_soon_threadsafe(task.cancel))
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(gone.wait, 1)
            return await act(client)

        with Server(script) as server:
            caller(call if caller.kind == "sync" else call_async, base_url=server.base_url)
        assert (server.connections, len(server.requests)) == (2, 2)

    return Fault(13, name, "broken-off answers", check)


CLOSED = Expected(error=ClientClosedError, says="the client is closed: make a new one")


def closed(name: str, close: Callable[[Any], Coroutine[Any, Any, None]]) -> Fault:
    """A client that is used after `close`."""

    def check(caller: Caller, operation: str) -> None:
        async def plan(client: Any) -> Any:
            assert await settled(CALLS[operation](client))
            await close(client)
            return await settled(CALLS[operation](client))

        with Server(answered) as server:
            expect(caller, partial(caller, both(plan), base_url=server.base_url), operation, CLOSED)
        assert len(server.requests) == 1

    return Fault(13, name, "closed for good", check)


async def close(client: Any) -> None:
    await settled(closing(client))


async def close_a_twin(client: Any) -> None:
    await close(client.with_options(timeout=5))


async def leave_and_enter(client: Any) -> None:
    for _ in range(2):
        if isinstance(client, AsyncClient):
            async with client:
                pass
        else:
            with client:
                pass


def closed_in_a_pause(caller: Caller, operation: str) -> None:
    async def plan(client: Any) -> Any:
        client._driver._sleep = lambda _: closing(client)
        return await settled(CALLS[operation](client))

    with Server(replies(answer(429), answer(429))) as server:
        expect(caller, partial(caller, both(plan), base_url=server.base_url), operation, CLOSED)
    assert len(server.requests) == 1


CONNECTIONS = [
    Fault(13, "sixteen calls at once", "many connections", sixteen_at_once),
    Fault(13, "a process forks", "a pool of its own", forks),
    Fault(13, "a client meets a second event loop", "a pool of its own", meets_a_second_loop),
    Fault(13, "an event loop ends before its client", "closed with its loop", loop_ends_first),
    interrupted("a call is interrupted before its answer comes", b""),
    interrupted(
        "a call is interrupted within its answer",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n[",
    ),
    closed("a closed client is used", close),
    closed("a client's twin is closed", close_a_twin),
    closed("a client is entered again", leave_and_enter),
    Fault(
        13, "a client is closed while it waits to try again", "closed for good", closed_in_a_pause
    ),
]

# 14. Arguments


def argument(
    mechanism: str, error: type[Exception], name: str, says: str, variants: list[dict[str, Any]]
) -> Fault:
    """Arguments of add_layer that are refused; the message begins with the name of each."""

    def call(client: Any, operation: str, fields: dict[str, Any]) -> Any:
        return client.add_layer(**{"layer_id": 1, **fields})

    says = f"^NAME.*{says}"
    return refused(14, name, mechanism, error, says, *variants, call=call, operations=("add",))


def ints(value: Any) -> list[dict[str, Any]]:
    return [{name: value} for name in ("layer_id", "sample_id", "id")]


def texts(value: Any) -> list[dict[str, Any]]:
    names = ("composition_string", "orientation", "space_group", "mp_id")
    return [{name: value} for name in names]


def amounts(*values: Any) -> list[dict[str, Any]]:
    return [{"element_dict": {"Ba": value}} for value in values]


def symbols(*keys: Any) -> list[dict[str, Any]]:
    return [{"element_dict": {key: 1}} for key in keys]


def misused(
    name: str, mechanism: str, says: str, misuse: Callable[[Any], Any], *,
    error: type[Exception] = TypeError, operation: str = "add",
) -> Fault:  # fmt: skip
    def call(client: Any, **_: Any) -> Any:
        return misuse(client)

    return refused(14, name, mechanism, error, says, {"": None}, call=call, operations=(operation,))


def timeouts(*values: Any) -> list[dict[str, Any]]:
    return [{"timeout": value} for value in values]


def tries(*values: Any) -> list[dict[str, Any]]:
    return [{"max_tries": value} for value in values]


def limit(name: str, mechanism: str, error: type[Exception], limits: list[dict[str, Any]]) -> Fault:
    def call(client: Any, operation: str, fields: dict[str, Any]) -> Any:
        return CALLS[operation](client.with_options(**fields))

    return refused(14, name, mechanism, error, "^NAME: .* needed", *limits, call=call)


class Element:
    """As libraries of chemistry have it."""

    def __str__(self) -> str:
        return "Ba"


class LabBook(Mapping[str, float]):
    """Amounts that cannot be read to the end."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[str]:
        yield "Ba"
        raise PermissionError("the lab book is locked")

    def __getitem__(self, _: str) -> float:
        return 1.0


INF = float("inf")
NESTED: dict[str, Any] = {}
NESTED["Ba"] = NESTED
ITSELF = LayerCreate(layer_id=1, element_dict=ElementDictCreate.from_dict(NESTED))


def numbers_of_numpy(caller: Caller, operation: str) -> None:
    amounts = {"Ga": np.float32(0.5), "Al": Fraction(1, 4), "N": np.int8(1)}

    def call(client: Any) -> Any:
        return client.add_layer(
            layer_id=np.int64(-1), composition_string=np.str_("GaN"), element_dict=amounts
        )

    with Server(answered) as server:
        caller(call, base_url=server.base_url)
    assert server.requests[0].endswith(
        b'{"layer_id":-1,"composition_string":"GaN","element_dict":{"Ga":0.5,"Al":0.25,"N":1}}'
    )


WRONG_TYPES = partial(argument, "strict types", TypeError)
NO_JSON = partial(argument, "numbers", TypeError)
TEXT = partial(argument, "encodable texts", ValueError)
NUMBER = partial(argument, "finite numbers", ValueError)
BOUND = partial(argument, "bounds of the spec", ValueError)

ARGUMENTS = [
    WRONG_TYPES("digits for an int", "Expected `int`, got `str`", ints("1")),
    WRONG_TYPES("a float for an int", "Expected `int`, got `float`", ints(1.0)),
    WRONG_TYPES("a bool for an int", "Expected `int`, got `bool`", ints(True)),
    WRONG_TYPES("null for a position", "Expected `int`, got `null`", [{"layer_id": None}]),
    WRONG_TYPES("an int for a text", "Expected `str`, got `int`", texts(5)),
    WRONG_TYPES("a bool for an amount", r"\.Ba: Expected .*, got `bool`", amounts(True)),
    WRONG_TYPES("a text for an amount", r"\.Ba: Expected .*, got `str`", amounts("1")),
    WRONG_TYPES("pairs for a mapping", "got `array`", [{"element_dict": [("Ba", 1)]}]),
    NO_JSON("a bool of numpy for an int", "`bool` has no JSON form", ints(np.True_)),
    NO_JSON("bytes for a text", "`bytes` has no JSON form", texts(b"GaN")),
    NO_JSON("a decimal for an amount", r"\.Ba: `Decimal` has no", amounts(Decimal("0.5"))),
    TEXT("a lone surrogate in a text", "UTF-8 can encode", texts("Ga\ud800")),
    TEXT("a lone surrogate in a symbol", "UTF-8 can encode", symbols("Ba\udfff")),
    NUMBER("an infinite amount", r"\.Ba: Expected a finite", amounts(INF, -INF, np.float32(INF))),
    NUMBER("an amount that is not a number", r"\.Ba: Expected a finite", amounts(float("nan"))),
    NUMBER("an amount beyond a double", r"\.Ba: .*range of a double", amounts(10**400)),
    BOUND("a negative amount", r"\.Ba: Expected `(int|float)` >= 0", amounts(-1, -0.5)),
    BOUND("a symbol of no element", "is not one of the 118", symbols("Qq", "D", "BaO")),
    BOUND("a misspelt symbol", "is not one of the 118", symbols("ba", "BA", "Ba ", "")),
    argument(
        "64 bits", ValueError, "an int of more than 64 bits", "Expected `int` [<>]= -?9",
        [*ints(2**63), *ints(-(2**63) - 1)],
    ),
    argument(
        "keys are texts", TypeError, "an object for a symbol", "keys must be str",
        symbols(Element(), ("Ba",)),
    ),
    misused(
        "a body that holds itself", "depth of arguments", "^body: nested too deeply",
        lambda client: client.call(add_target_material_layer, body=ITSELF), error=ValueError,
    ),
    misused(
        "a mapping that cannot be read", "errors of others", "the lab book is locked",
        lambda client: client.add_layer(layer_id=1, element_dict=LabBook()), error=PermissionError,
    ),
    misused(
        "an unknown argument", "signatures", "unexpected keyword argument 'thickness'",
        lambda client: client.add_layer(layer_id=1, thickness=5),
    ),
    misused(
        "a missing argument", "signatures", "missing 1 required .*'layer_id'",
        lambda client: client.add_layer(sample_id=1),
    ),
    misused(
        "an argument without its name", "signatures", "positional argument",
        lambda client: client.add_layer(1),
    ),
    misused(
        "an unknown parameter", "parameters of operations", "unexpected .*'limit'",
        lambda client: client.call(list_target_materials, limit=5), operation="list",
    ),
    Fault(14, "numbers of numpy and fractions", "numbers", numbers_of_numpy, ("add",)),
    limit("a timeout that is no number", "limits", TypeError, timeouts(True, "1", None)),
    limit("a timeout out of range", "limits", ValueError, timeouts(0, -1, INF, float("nan"))),
    limit("fewer than one try", "limits", ValueError, tries(0, -1)),
    limit("tries that are no int", "limits", TypeError, tries(1.5, True, None)),
]  # fmt: skip

ROWS: list[Fault] = [*ERRORS, *SECRETS, *SETTINGS, *CONNECTIONS, *ARGUMENTS]
