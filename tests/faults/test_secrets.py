"""Promises 10 and 11: the key and a proxy's password are in nothing that anybody sees."""

import _thread
import asyncio
import base64
import contextlib
import copy
import functools
import gc
import gzip
import json
import logging
import os
import pickle
import re
import socket
import ssl
import struct
import subprocess
import sys
import traceback
import types
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import httpcore
import httpx
import pytest
import trustme
from httpcore._backends.anyio import AnyIOStream
from httpcore._backends.sync import SyncStream

from atomscale_target_materials import (
    AsyncClient,
    AtomscaleError,
    Client,
    ClientClosedError,
    ConfigurationError,
)
from atomscale_target_materials._settings import Secret
from atomscale_target_materials.sandbox import Sandbox

from ..conftest import Caller
from ..server import Peer, Script, Server, answer
from .table import CALLS, ROW, answered, listed, once

KEY = "Sk-7f'Q\"x%2F/9\\Lm+Zt&w2<e>u"
PASSWORD = "Pa'9\"%w0rd/\\k:7Xq@z"
USER_INFO = f"u%24er:{quote(PASSWORD, safe='')}"
PROXY = "http://{}@127.0.0.1:1"
BASIC = base64.b64encode(f"u$er:{PASSWORD}".encode()).decode()
BROWSERS_LEAVE = "!'()*~"

# The search

TESTS = str(Path(__file__).parents[1])
DEEPEST = 7
# The holder of the key, the answers of a server (no repr shows them), and the connections.
HOLDERS: tuple[type, ...] = (
    Secret, httpcore.ConnectionPool, httpcore.AsyncConnectionPool,
    asyncio.BaseTransport, asyncio.BaseProtocol,
)  # fmt: skip
BEYOND = (type, types.ModuleType, types.FunctionType, logging.Logger, logging.Handler)


def pieces(secret: str) -> set[str]:
    """Ten characters at a time, so that a part is found too; plain and escaped."""
    forms = {secret, quote(secret), quote(secret, safe=""), quote(secret, safe=BROWSERS_LEAVE)}
    forms |= {json.dumps(secret)[1:-1], repr(secret)[1:-1], repr(secret + "'\"")[1:-4]}
    return {form[at : at + 10].lower() for form in forms for at in range(len(form) - 9)}


def parts(thing: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds: members, attributes, and of an exception all that hangs on it."""
    if isinstance(thing, Mapping):
        yield from ((f"[{key!r:.30}]", each) for key, each in thing.items())
        yield ".keys()", list(thing)
    elif isinstance(thing, list | tuple | set | frozenset | deque):
        yield from ((f"[{index}]", each) for index, each in enumerate(thing))
    names = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
    names += getattr(thing, "__dict__", ())
    if isinstance(thing, functools.partial | types.MethodType):
        names += ["func", "args", "keywords", "__self__"]
    if isinstance(thing, BaseException):
        names += ["args", "__cause__", "__context__", "exceptions", "object"]
        for frame, _ in traceback.walk_tb(thing.__traceback__):
            if not frame.f_code.co_filename.startswith(TESTS):
                yield f" in {frame.f_code.co_qualname}:", frame.f_locals
    yield from ((f".{name}", getattr(thing, name, None)) for name in names)


def texts(place: str, thing: Any) -> Iterator[tuple[str, str]]:
    """Every text that is reached from an object, and the way to it; the nearest first."""
    todo, seen = deque([(0, place, thing)]), {}
    while todo:
        depth, place, thing = todo.popleft()
        if id(thing) in seen or isinstance(thing, HOLDERS + BEYOND):
            continue
        seen[id(thing)] = thing  # kept, so that no other gets its id
        if isinstance(thing, str | bytes | bytearray):
            yield place, thing if isinstance(thing, str) else thing.decode("latin-1")
        elif thing is not None and not isinstance(thing, int | float):
            with contextlib.suppress(AttributeError):  # of an object that is not whole
                yield f"repr of {place}", repr(thing)
            if isinstance(thing, BaseException):
                yield f"str of {place}", str(thing)
                depth = 0
            if depth < DEEPEST:
                todo += ((depth + 1, place + step, each) for step, each in parts(thing))


@attrs.frozen
class Witness:
    """Has seen all logs, warnings and output of a test."""

    caplog: pytest.LogCaptureFixture
    capfd: pytest.CaptureFixture[str]
    warned: list[warnings.WarningMessage]

    def tells(self, *secrets: str, **things: Any) -> list[str]:
        """Where one of the secrets is, in `things` and in all that was seen."""
        out, err = self.capfd.readouterr()
        things["log"] = [(each.getMessage(), vars(each)) for each in self.caplog.records]
        things["warnings"] = [(str(each.message), vars(each)) for each in self.warned]
        found = [text for name in things for text in texts(name, things[name])]
        found += [("stdout", out), ("stderr", err)]
        sought = {piece for secret in secrets for piece in pieces(secret)}
        everything = "\0".join(text for _, text in found).lower()
        sought = {piece for piece in sought if piece in everything}
        return [place for place, text in found if any(each in text.lower() for each in sought)]


@pytest.fixture
def witness(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Witness]:
    caplog.set_level(1)
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("https_proxy", "")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield Witness(caplog, capfd, warned)


def failure(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - however it fails
        return error
    return None


class Hidden:
    __slots__ = ("__dict__", "held")

    def __init__(self, held: Any) -> None:
        self.held = held

    def __repr__(self) -> str:
        return "hidden"


def chained(**links: Any) -> BaseException:
    error = ValueError()
    for name, link in links.items():
        setattr(error, f"__{name}__", link)
    return error


log = logging.getLogger("httpcore.planted")
PLANTED: dict[str, Callable[[str], Any]] = {
    "part": lambda secret: secret[4:15],
    "bytes": lambda secret: bytearray(secret.encode()),
    "JSON": lambda secret: json.dumps([secret]),
    "percent-encoded": lambda secret: quote(secret, safe="").swapcase(),
    "repr": lambda secret: f"{[secret]!r}",
    "vars": lambda secret: types.SimpleNamespace(one=Hidden(secret)),
    "slot": lambda secret: Hidden({1: [Hidden({secret})]}),
    "key of a map": lambda secret: Hidden({secret: 1}),
    "args": lambda secret: KeyError(Hidden(secret)),
    "cause and context": lambda secret: chained(cause=chained(context=ValueError(secret))),
    "notes": lambda secret: chained(cause=chained(notes=[secret])),
    "group": lambda secret: ExceptionGroup("", [ValueError(), ValueError(secret)]),
    "frame": lambda secret: failure(lambda: quote(secret, encoding="none")),
    "attribute in a frame": lambda secret: failure(lambda: json.loads(Hidden(secret))),  # type: ignore[arg-type]
    "pickle": lambda secret: pickle.dumps(ValueError(secret)),
    "log": lambda secret: log.debug("%s", secret),
    "log's arguments": lambda secret: log.log(2, "%s", Hidden(secret)),
    "log's error": lambda secret: log.info("x", exc_info=chained(cause=ValueError(secret))),
    "warning": lambda secret: warnings.warn(secret, stacklevel=1),
    "stdout": lambda secret: print(f"in {secret} between"),
    "stderr": lambda secret: os.write(2, secret.encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(name: str, witness: Witness) -> None:
    assert witness.tells(PASSWORD, planted=PLANTED[name](KEY)) == []
    assert witness.tells(KEY, planted=PLANTED[name](KEY)) != []
    assert witness.tells(PASSWORD, planted=[Secret(PASSWORD), KEY]) == []


# The ways that a call may go


@attrs.frozen
class Run:
    """A call that is about to go some way."""

    caller: Caller
    operation: str
    patch: pytest.MonkeyPatch

    def __call__(self, key: Any = KEY, **options: Any) -> Any:
        options = {"timeout": 5.0, "max_response_bytes": 50_000, **options}
        return self.caller(CALLS[self.operation], key, **options)


Way = Callable[[Run], Any]


def meets(script: Script, **options: Any) -> Way:
    """The server does what the script says."""

    def way(run: Run) -> None:
        with Server(script) as server:
            run(base_url=server.base_url, **options)

    return way


@functools.cache
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server, and for a client that trusts it."""
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "api.test").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def tunnels(script: Script) -> Script:
    def act(peer: Peer) -> None:
        assert f"Basic {BASIC}\r\n".encode() in peer.server.requests[-1]
        peer.send(head())
        with certificates()[0].wrap_socket(peer.sock, server_side=True) as peer.sock:
            script(peer)

    return once(act)


def proxied(script: Script, **options: Any) -> Way:
    """The proxy does what the script says."""

    def way(run: Run) -> None:
        with Server(script) as server:
            run.patch.setenv("https_proxy", f"http://{USER_INFO}@127.0.0.1:{server.port}")
            run(**{"base_url": "https://api.test", "ssl_context": certificates()[1], **options})

    return way


def refused(proxy: Any = PROXY, certs: Any = "", **options: Any) -> Way:
    """The client refuses what it is given."""

    def way(run: Run) -> None:
        run.patch.setenv("https_proxy", proxy.format(USER_INFO))
        run.patch.setenv("SSL_CERT_FILE", certs)
        run(**options)

    return way


def argued(**fields: Any) -> Way:
    """A bad argument."""
    return lambda run: run.caller(lambda client: client.add_layer(**{"layer_id": 1, **fields}), KEY)


def interrupted(signal: type[BaseException], method: str) -> Way:
    """In the middle of a socket operation."""

    def interrupt(stream: Any, *_: object, **__: object) -> None:
        if method == "close" and isinstance(stream, AnyIOStream):
            # Left open it would warn in whichever test it is collected in.
            stream._stream._transport.abort()  # type: ignore[attr-defined]
        raise signal

    def way(run: Run) -> None:
        run.patch.setattr(SyncStream, method, interrupt)
        run.patch.setattr(AnyIOStream, method.replace("close", "aclose"), interrupt)
        meets(sends(CUT))(run)

    return way


def raised(error: BaseException) -> Way:
    """By a transport of the user's own."""

    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    return lambda run: run(transport=httpx.MockTransport(handler))


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode()


def sends(data: bytes, then: Callable[[Peer], None] = lambda _: None) -> Script:
    def act(peer: Peer) -> None:
        peer.send(data)
        then(peer)

    return once(act)


def resets(peer: Peer) -> None:
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def presses_ctrl_c(peer: Peer) -> None:
    _thread.interrupt_main()
    peer.send(CUT[:-40])
    peer.hang()


def untrusted(run: Run) -> None:
    """A certificate that nobody vouches for: there is no second try."""
    with Server(answered, certificates()[0]) as server:
        error = failure(lambda: run(base_url=server.base_url))
    assert run.caller.pauses == []
    assert isinstance(error, AtomscaleError)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    raise error


ESCAPED, RAW = json.dumps(KEY), KEY.encode()
SECRETS = f"{BASIC} {KEY} {PASSWORD} {quote(PASSWORD)}"
ECHO = {"x_echo": KEY, "x_request_id": KEY, "location": f"https://elsewhere/?key={KEY}"}
JSON, CHUNKED = "content-type: application/json", "transfer-encoding: chunked"
CUT = head(JSON, "content-length: 999", f"x: {KEY}") + RAW
ANSWERS = [
    *(answer(status, {"detail": f"bad key {KEY}"}, **ECHO) for status in (307, 400, 401, 503, 999)),
    answer(401, {"detail": f"bad key {KEY!r} {quote(KEY)} {ESCAPED}"}),
    answer(422, {"detail": [{"loc": ["header", KEY, {KEY: [KEY]}], "msg": KEY}]}),
    answer(400, {KEY: [KEY, {KEY: KEY}]}),
    answer(403, f"no {KEY} {ESCAPED}".encode(), content_type=f"text/{KEY}"),
    answer(403, ESCAPED.replace("S", "\\u0053").encode()),
    answer(418, b"<p>" + RAW, content_type="text/html"),
    answer(429, retry_after=KEY),
    answer(500, b"\xff\xfe" + RAW),
    *(answer(302, location=quote(KEY, safe=safe)) for safe in ("", "/", BROWSERS_LEAVE)),
    answer(302, location=re.sub("%..", lambda code: code[0].lower(), quote(KEY))),
    answer(f"404 {KEY}", {"detail": "Not Found"}),
    answer(204, **ECHO),
    answer(206, RAW, **ECHO),
    *(answer(200, [{**ROW, name: KEY}], **ECHO) for name in ("id", "last_updated", "element_dict")),
    *(answer(200, [{**ROW, **more}]) for more in ({KEY: 10**400}, {"element_dict": {KEY: "x"}})),
    answer(200, {"layer_id": 1, "id": 1, "element_dict": {KEY: "x"}}),
    *(answer(200, before + RAW) for before in (b"[{", b"[] ", b'[{"id": "\xff', b"[" * 3000)),
    answer(200, f'[{{"id": {ESCAPED}}}]'.replace("/", "\\/").encode()),
    answer(200, [ROW], content_type=KEY),
    answer(200, [ROW], content_encoding=KEY),
    answer(200, gzip.compress(ESCAPED.encode()), content_encoding="gzip"),
    answer(200, gzip.compress(RAW)[:10] + RAW, content_encoding="gzip"),
    answer(200, [{"id": KEY}]) + answer(200, KEY),
    *(data + b"\r\n\r\n" for data in (RAW, f"HTTP/{KEY} 200 OK".encode(), head(status=KEY))),
    *(head(f"x: y\r\n{line}") for line in (f"{KEY} z", f"{KEY} : z", f"x: \0{KEY}", f" {KEY}\x01")),
    *(head(JSON, f"{name}: {KEY}") for name in ("content-length", "transfer-encoding")),
    head(JSON, "content-length: 1", f"content-length: {KEY}"),
    head(JSON, CHUNKED) + f"1;{KEY}\r\nx\r\n0;{KEY}\r\n\r\n".encode(),
    *(head(JSON, CHUNKED) + start + RAW + b"\r\n\r\n" for start in (b"", b"2\r\n[]\r\n0\r\n")),
    head(f"x: {KEY}", status=f"103 {KEY}") + answer(500, KEY),
    head(f"x: {KEY}", "upgrade: x", "connection: upgrade", status=f"101 {KEY}") + RAW,
    *(b"", CUT, CUT[:-40], head(JSON, "content-length: 99", status="500") + RAW),
    head(*[f"x: {KEY}"] * 5000),
    head(JSON, "content-length: 9999999") + RAW * 5000,
]
ENDS: dict[str, Way] = {
    **{f"{index}: {data[9:60]!r}": meets(sends(data)) for index, data in enumerate(ANSWERS)},
    "reset": meets(once(resets)),
    "reset in the body": meets(sends(CUT, resets)),
    "hangs": meets(once(Peer.hang), timeout=0.4),
    "hangs in the header": meets(sends(CUT[:-40], Peer.hang), timeout=0.4),
    "hangs in the body": meets(sends(CUT, Peer.hang), timeout=0.4),
    "refused connection": refused(base_url="http://127.0.0.1:1"),
    "unknown host": refused(proxy="", base_url="https://no-such-host.invalid"),
    "untrusted certificate": untrusted,
    "proxy refuses": proxied(sends(answer(f"407 {SECRETS}", SECRETS, proxy_authenticate=SECRETS))),
    "proxy redirects": proxied(sends(answer(f"302 {SECRETS}", location=SECRETS))),
    "proxy hangs": proxied(once(Peer.hang), timeout=0.4),
    "proxy hangs in TLS": proxied(sends(head(), Peer.hang), timeout=0.4),
    "proxy resets": proxied(once(resets)),
    "proxy speaks no HTTP": proxied(sends(SECRETS.encode() + b"\r\n\r\n")),
    "proxy speaks no TLS": proxied(sends(head() + SECRETS.encode())),
    "untrusted through a proxy": proxied(tunnels(answered), ssl_context=None),
    "401 through a proxy": proxied(tunnels(sends(answer(f"401 {SECRETS}", SECRETS)))),
    "nonsense through a proxy": proxied(tunnels(sends(answer(200, SECRETS)))),
    "no HTTP through a proxy": proxied(tunnels(sends(SECRETS.encode() + b"\r\n\r\n"))),
    "reset through a proxy": proxied(tunnels(once(resets))),
    **{
        f"transport: {type(error).__name__}": raised(error)
        for error in (
            httpx.ConnectError(KEY), httpx.ReadTimeout(KEY), httpx.RemoteProtocolError(repr(RAW)),
            httpcore.ReadError(KEY), OSError(5, KEY), ssl.SSLError(1, KEY),
        )
    },
}  # fmt: skip
CONFIGURATION: dict[str, Way] = {
    "no certificates": refused(base_url="https://api.test", certs="/nowhere/none.pem"),
    **{ascii(key): refused(key=key) for key in (f"{KEY}\u2028x", f"{KEY}\n{KEY}", RAW, [KEY])},
}
REFUSED: dict[str, Way] = {
    "URL with user info": refused(base_url=f"https://user:{KEY}@example.com"),
    "URL with a query": refused(base_url=f"https://example.com/?key={KEY}"),
    **{f"{name}: key": refused(**{name: KEY}) for name in ("base_url", "transport", "ssl_context")},
    "no timeout": refused(timeout="1"),
    "no tries": refused(max_tries=0),
    **{
        url: refused(proxy=url)
        for url in (
            "socks5://{}@127.0.0.1:1", "https://{}@h", "http://{}@:1", "http://{}@h:99999",
            "http://{}@[::1", "{}@h:x",
        )
    },
    **{f"{name}: key": argued(**{name: KEY}) for name in ("layer_id", "sample_id", "element_dict")},
    "a list": argued(orientation=[KEY]),
    "amount": argued(element_dict={"Ga": KEY}),
}  # fmt: skip
PASSING: dict[str, Way] = {"Ctrl-C": meets(once(presses_ctrl_c))}
for signal in (KeyboardInterrupt, SystemExit, asyncio.CancelledError, MemoryError, RuntimeError):
    PASSING[f"{signal.__name__} by a transport"] = raised(signal())
    for method in ("read", "write", "close"):
        PASSING[f"{signal.__name__} in {method}"] = interrupted(signal, method)
WAYS: list[tuple[Any, dict[str, Way]]] = [
    (AtomscaleError, ENDS),
    (ConfigurationError, CONFIGURATION),
    ((TypeError, ValueError), REFUSED),
    ((KeyboardInterrupt, SystemExit, asyncio.CancelledError, MemoryError, RuntimeError), PASSING),
    (type(None), {"success": meets(answered), "through a proxy": proxied(tunnels(answered))}),
]


@pytest.mark.parametrize(
    ("expected", "way"),
    [pytest.param(kind, ways[name], id=name) for kind, ways in WAYS for name in ways],
)
@pytest.mark.parametrize("operation", CALLS)
def test_no_way_shows_a_secret(  # noqa: PLR0917
    caller: Caller,
    operation: str,
    expected: Any,
    way: Way,
    witness: Witness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = failure(lambda: way(Run(caller, operation, monkeypatch)))
    assert isinstance(error, expected)
    things = {"copy": copy.copy(error), "pickle": pickle.dumps(error)}
    if isinstance(error, AtomscaleError):
        assert (error.__cause__, error.__context__) == (None, None)
    if not isinstance(error, AtomscaleError) and way in REFUSED.values():
        # The frames hold what the caller's own frames hold.
        error = error and error.with_traceback(None)
    things["unpickled"] = pickle.loads(things["pickle"])
    assert error or "httpcore.http11" in witness.caplog.text
    assert witness.tells(KEY, PASSWORD, BASIC, error=error, **things) == []


async def is_cancelled(call: Any, arrived: asyncio.Event) -> None:
    task = asyncio.create_task(call)
    await arrived.wait()
    task.cancel()
    await task


async def runs_out_of_time(call: Any, _: object) -> None:
    async with asyncio.timeout(0.1):
        await call


async def fails_beside_it(call: Any, arrived: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(call)
        await arrived.wait()
        raise AssertionError("mine")


async def is_forgotten(call: Any, _: object) -> None:
    await asyncio.wait({asyncio.create_task(call)})
    gc.collect()
    raise AssertionError("mine")


GIVEN_UP: dict[Callable[..., Any], type[BaseException]] = {
    is_cancelled: asyncio.CancelledError,
    runs_out_of_time: TimeoutError,
    fails_beside_it: ExceptionGroup,
    is_forgotten: AssertionError,
}


@pytest.mark.parametrize(("ends", "expected"), GIVEN_UP.items())
@pytest.mark.parametrize("data", [b"", CUT], ids=["nothing", "body"])
@pytest.mark.parametrize("operation", CALLS)
def test_no_call_that_is_given_up_shows_the_key(
    operation: str, data: bytes, ends: Any, expected: type[BaseException], witness: Witness
) -> None:
    async def run() -> None:
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        seconds = 0.3 if ends is is_forgotten else 5.0

        def act(peer: Peer) -> None:
            peer.send(data)
            loop.call_soon_threadsafe(arrived.set)
            peer.hang()

        with Server(once(act)) as server:
            async with AsyncClient(KEY, base_url=server.base_url, timeout=seconds) as client:
                await ends(CALLS[operation](client), arrived)

    error = failure(lambda: asyncio.run(run()))
    assert isinstance(error, expected)
    assert ("never retrieved" in witness.caplog.text) is (ends is is_forgotten)
    assert witness.tells(KEY, error=error) == []


@pytest.mark.parametrize(
    "key",
    [
        "it's-0Q7vTzK2mWx9RbL", 'say-"so"-0Q7vTzK2mWx9', "both'\"-0Q7vTzK2mWx9Rb", "sk live  0Q7v",
        "back\\sl\\ash-0Q7vTzK", "per%cent%20%-0Q7vTzK2", "MiXeD-0q7VtZk2MwX9r", "\\u0041=+&<>/",
    ],
)  # fmt: skip
def test_keys_of_all_kinds(caller: Caller, key: str, witness: Witness) -> None:
    raw = key.encode()
    for data in (
        raw + b"'\r\n\r\n", raw + b'"\r\n\r\n', head(f"'\"{key}"), answer(401, f"{key} '"),
        answer(200, [ROW], content_encoding="x" * 80 + key), answer(307, location=quote(key)),
        answer(400, {"detail": [{"loc": [[key]], "msg": ""}]}), answer(200, [{key: 10**400}]),
        answer(200, json.dumps([key]).encode(), content_type=f"'{key}"),
    ):  # fmt: skip
        with Server(sends(data)) as server:
            url = server.base_url
            error = failure(lambda url=url: caller(listed, key, base_url=url, max_tries=1))  # type: ignore[misc]
        assert isinstance(error, AtomscaleError)
        assert witness.tells(key, error=error) == []


def test_of_a_transport_of_the_user_only_an_error_keeps_its_frames(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(caller, "list", monkeypatch)
    for error, frames in ((AssertionError("mine"), True), (KeyboardInterrupt(), False)):
        assert failure(functools.partial(raised(error), run)) is error
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert (names[-1] == "handler") is frames


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_no_client_shows_a_secret(
    kind: Callable[..., Any], witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://{USER_INFO}@127.0.0.1:1")
    monkeypatch.setenv("ATOMSCALE_API_KEY", KEY)
    monkeypatch.setenv("AS_API_KEY", KEY[::-1])
    client = kind()
    assert "differ" in str(witness.warned[-1].message)
    copies = {"copy": copy.deepcopy(client), "other": client.with_options(timeout=1)}
    closed = failure(client.close if kind is Client else lambda: asyncio.run(client.aclose()))
    used = failure(lambda: listed(client) if kind is Client else asyncio.run(listed(client)))
    assert (closed, type(used)) == (None, ClientClosedError)
    things = {"pickle": pickle.dumps(client), "used": used, **copies}
    warnings.simplefilter("error")
    things["warning"] = failure(kind)
    assert isinstance(things["warning"], UserWarning)
    assert witness.tells(KEY, KEY[::-1], PASSWORD, BASIC, client=client, **things) == []


def test_no_forgotten_client_shows_the_key(witness: Witness) -> None:
    async def forget() -> None:
        await listed(AsyncClient(KEY, base_url=server.base_url))

    with Server(answered) as server:
        listed(Client(KEY, base_url=server.base_url))
        asyncio.run(forget())
        gc.collect()
    assert {warned.category for warned in witness.warned} == {ResourceWarning}
    assert witness.tells(KEY) == []


# The sandbox


def visit(base_url: str, *keys: str) -> None:
    """With keys good and bad, where they belong and where they do not."""
    for key in keys:
        with Client(key, base_url=base_url) as client:
            failure(lambda client=client: listed(client))  # type: ignore[misc]
        with socket.create_connection(("127.0.0.1", int(base_url.rpartition(":")[2]))) as raw:
            raw.sendall(f"GET {key}\r\n{key}\r\n\r\n".encode())
            assert raw.recv(99).startswith(b"HTTP/1.1 400")
        headers = {"X-API-KEY": keys[-1], "Content-Type": f"application/json; {key}"}
        for body in (f'{{"layer_id": "{key}"}}', key):
            url = f"{base_url}/target-materials/layers/"
            answered = httpx.post(url, content=body, headers=headers, trust_env=False)
            assert answered.status_code == 422


def test_the_log_of_a_sandbox_shows_no_key(witness: Witness) -> None:
    with Sandbox() as sandbox:
        visit(sandbox.base_url, KEY, sandbox.api_key)
    assert "uvicorn" in witness.caplog.text
    assert witness.tells(KEY, sandbox.api_key) == []


def test_the_output_of_a_sandbox_shows_no_key(tmp_path: Path) -> None:
    module = "runpy.run_module('atomscale_target_materials.sandbox', run_name='__main__')"
    code = f"import logging, runpy; logging.basicConfig(level=1); {module}"
    command = [sys.executable, "-X", "dev", "-c", code, "--port", "0"]
    log = tmp_path / "log"
    with log.open("w") as err, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err) as run:
        assert run.stdout is not None
        said = [run.stdout.readline().decode() for _ in range(3)]
        base_url, key = (line.partition("=")[2].strip() for line in said[1:])
        visit(base_url, KEY, key)
        run.terminate()
        printed = "".join(said) + run.stdout.read().decode() + log.read_text()
    assert "uvicorn" in printed
    assert printed.count(key) == 1  # where it is told
    assert [piece for piece in pieces(KEY) if piece in printed.lower()] == []
