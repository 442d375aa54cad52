"""Rows on sizes, TLS and the environment: promises 8 and 12."""

import base64
import contextlib
import functools
import gzip
import inspect
import json
import netrc
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import certifi
import httpcore
import httpx
import pytest
import trustme

from atomscale_target_materials import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    _drivers,
    _settings,
    _transport,
)

from ..conftest import KEY, Caller
from ..server import Peer, Script, Server, answer, header, replies
from .mechanisms import Disable, Mechanism, replacing
from .table import (
    ALL,
    CALLS,
    GOOD,
    Expected,
    Fault,
    Guest,
    answered,
    counted,
    expect,
    good,
    once,
    paused,
    wire,
)

# Mechanisms of these rows


def _begins(change: Callable[[_transport.Body, str], None], coding: str | None = None) -> Disable:
    """Replaces what a body's beginning settles."""

    def disable(patch: pytest.MonkeyPatch) -> None:
        begin = _transport.Body.__init__

        def changed(body: _transport.Body, given: str, limit: int) -> None:
            begin(body, given if coding is None else coding, limit)
            change(body, given)

        patch.setattr(_transport.Body, "__init__", changed)

    return disable


class _TakesWhatFollows:
    unused_data = b""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _takes_what_follows(body: _transport.Body, _: str) -> None:
    if body._gzip is not None:
        body._gzip = _TakesWhatFollows(body._gzip)  # type: ignore[assignment]


def _takes_any_coding(body: _transport.Body, given: str) -> None:
    body._gzip = zlib.decompressobj(wbits=31) if "gzip" in given else None


def _in_a_session(patch: pytest.MonkeyPatch) -> None:
    """Cookies and netrc, as `requests` has them."""
    make, begin, cookies = _drivers._http_request, _drivers._Exchange.begin, httpx.Cookies()

    def made(*arguments: Any) -> httpx.Request:
        request = make(*arguments)
        cookies.set_cookie_header(request)
        file = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
        if file.exists() and (found := netrc.netrc(file).authenticators(request.url.host)):
            request.headers["Authorization"] = f"Basic {found[2]}"
        return request

    def begun(exchange: _drivers._Exchange, response: httpx.Response) -> None:
        response.request = exchange.request
        cookies.extract_cookies(response)
        begin(exchange, response)

    patch.setattr(_drivers, "_http_request", made)
    patch.setattr(_drivers._Exchange, "begin", begun)


def _proxies_plain_http(patch: pytest.MonkeyPatch) -> None:
    proxy = _settings._proxy
    patch.setattr(_settings, "_proxy", lambda url, key: proxy(url._replace(scheme="https"), key))


def _forwards(patch: pytest.MonkeyPatch) -> None:
    for kind in (httpcore.HTTPProxy, httpcore.AsyncHTTPProxy):

        def created(pool: Any, origin: Any, create: Any = kind.create_connection) -> Any:
            return create(pool, httpcore.Origin(b"http", origin.host, origin.port))

        patch.setattr(kind, "create_connection", created)


def _any_name() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    context.check_hostname = False
    return context


MECHANISMS: dict[str, Mechanism] = {
    "gzip in pieces": Mechanism(
        "_transport.INFLATE_AT_ONCE",
        "64 KiB are decompressed at a time, and counted",
        replacing(_transport, "INFLATE_AT_ONCE", 10**9),
    ),
    "only gzip was asked for": Mechanism(
        "_transport.Body",
        "any other content coding, and more than one, is refused",
        _begins(_takes_any_coding, coding=""),
    ),
    "gzip errors": Mechanism(
        "_transport.Body.feed",
        "what zlib says becomes an error of ours",
        replacing(_transport, "zlib", SimpleNamespace(decompressobj=zlib.decompressobj, error=())),
    ),
    "nothing after gzip": Mechanism(
        "_transport.Body.feed",
        "the body ends with its one gzip member",
        _begins(_takes_what_follows),
    ),
    "whole gzip": Mechanism(
        "_transport.Body.end",
        "a gzip body that stops early is a truncated answer",
        replacing(_transport.Body, "end", lambda _: None),
    ),
    "an empty body is no gzip": Mechanism(
        "_transport.Body.end",
        "no body at all is not a truncated one",
        _begins(lambda body, _: setattr(body, "_begun", True)),
    ),
    "small error answers": Mechanism(
        "_drivers.LARGEST_ERROR",
        "of an error answer 1 MiB is read at most",
        replacing(_drivers, "LARGEST_ERROR", 10**12),
    ),
    "certificates are checked": Mechanism(
        "httpx.create_ssl_context",
        "the default context trusts nobody without a certificate",
        replacing(httpx, "create_ssl_context", ssl._create_unverified_context),
    ),
    "names are checked": Mechanism(
        "httpx.create_ssl_context",
        "a certificate must be for the host",
        replacing(httpx, "create_ssl_context", _any_name),
    ),
    "certificate errors are final": Mechanism(
        "_drivers._Exchange._failure",
        "a certificate that is refused once is refused again",
        replacing(_drivers, "ssl", SimpleNamespace(SSLCertVerificationError=())),
    ),
    "certificates of the environment": Mechanism(
        "httpx.create_ssl_context",
        "reads SSL_CERT_FILE and SSL_CERT_DIR",
        replacing(
            httpx,
            "create_ssl_context",
            lambda: ssl.create_default_context(cafile=certifi.where()),
        ),
    ),
    "unreadable certificates": Mechanism(
        "_transport.ssl_context_for",
        "the error names the variables",
        lambda patch: patch.setattr(_transport, "OSError", (), raising=False),
    ),
    "no session": Mechanism(
        "_drivers.Driver",
        "httpx's transport is called directly: no cookies, no netrc",
        _in_a_session,
    ),
    "proxy of the environment": Mechanism(
        "_settings._proxy",
        "finds the proxy for https",
        replacing(_settings, "_proxy", lambda _, key: (None, key)),
    ),
    "proxy by scheme": Mechanism(
        "urllib.request.getproxies",
        "tells the variables of the schemes apart",
        replacing(
            _settings,
            "getproxies",
            lambda: {"https": os.environ.get("HTTP_PROXY", "")},
        ),
    ),
    "NO_PROXY": Mechanism(
        "urllib.request.proxy_bypass",
        "tells which hosts are reached without the proxy",
        replacing(_settings, "proxy_bypass", lambda _: False),
    ),
    "plain http has no proxy": Mechanism(
        "_settings._proxy",
        "a request without TLS would show the key to the proxy",
        _proxies_plain_http,
    ),
    "tunnel": Mechanism(
        "httpcore.HTTPProxy",
        "https goes through a proxy inside a tunnel",
        _forwards,
    ),
    "proxy user and password": Mechanism(
        "_settings._proxy",
        "user and password are taken out of the URL, decoded",
        replacing(_settings, "unquote_to_bytes", lambda data: data),
    ),
    "a proxy's refusal": Mechanism(
        "_drivers._Exchange._failure",
        "of it the status alone is told, and below 500 it is final",
        replacing(_drivers, "httpcore", SimpleNamespace(ProxyError=())),
    ),
    "proxy is checked": Mechanism(
        "_settings._faults_of_proxy",
        "a proxy that cannot be used is refused at once",
        replacing(_settings, "_faults_of_proxy", lambda _: {}),
    ),
}

# 8. Sizes

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
MANY = 64 * 1024
CHUNK = b"%x\r\n" % MANY + b" " * MANY + b"\r\n"
ENOUGH = 300_000_000
"""Bytes after which a server stops, for a client that does not."""
TOO_MUCH = 16_000_000
"""Bytes after which a client should long have stopped."""


def endless(begin: bytes, more: bytes) -> Script:
    """Reads a request, and answers without end."""

    def flood(peer: Peer) -> None:
        peer.send(begin)
        for count in range(ENOUGH // len(more)):
            if peer.server.stopping.is_set():
                return
            if count == TOO_MUCH // len(more):
                peer.server.requests.append(ALL)
            peer.send(more)

    return once(flood)


def refused(says: str) -> Expected:
    return Expected(error=APIResponseValidationError, says=says, unknown=True)


TOO_LARGE = refused("larger than max_response_bytes=1000")
TOO_LONG = refused("more bytes came than max_response_bytes leaves room for")
ENDLESS_HEADER = Expected(error=APIConnectionError, says="too long", requests=(4, 1), unknown=True)
LONG_LINE = b"x" * MANY
LONG_DETAIL = b'{"detail": "' + b"a" * 10_000_000 + b'"}'


def coded(coding: str, encode: Callable[[bytes], bytes], *more: str) -> Script:
    """A right answer but for its content coding."""

    def act(peer: Peer) -> None:
        body = encode(good(peer).partition(b"\r\n\r\n")[2])
        codings = "\r\ncontent-encoding: ".join([coding, *more])
        peer.send(answer(200, body, content_encoding=codings))

    def script(peer: Peer) -> None:
        while peer.request():
            act(peer)

    return script


def bad_checksum(body: bytes) -> bytes:
    packed = bytearray(gzip.compress(body))
    packed[-8] ^= 1
    return bytes(packed)


def of_the_limit(name: str, encode: Callable[[bytes], bytes], coding: str) -> Fault:
    """An answer of exactly the limit is taken, one of a byte more is not."""

    def check(caller: Caller, operation: str) -> None:
        size = len(json.dumps(GOOD[operation]))
        with Server(coded(coding, encode)) as server:
            for limit, error in ((size, None), (size - 1, APIResponseValidationError)):
                expect(
                    caller,
                    lambda limit=limit: caller(  # type: ignore[misc]
                        CALLS[operation], base_url=server.base_url, max_response_bytes=limit
                    ),
                    operation,
                    Expected(error=error, says=f"max_response_bytes={size - 1}", unknown=True),
                )

    return Fault(8, name, "limit of the body", check)


def sized(name: str, mechanism: str, script: Script, expected: Expected) -> Fault:
    return wire(8, name, mechanism, script, expected, max_response_bytes=1000)


SIZES: list[Fault] = [
    sized("larger than allowed", "limit of the body", replies(answer(200, b" " * 2000)), TOO_LARGE),
    sized(
        "a body without an end",
        "limit of the body",
        endless(HEAD + b"\r\n", LONG_LINE),
        TOO_LARGE,
    ),
    sized("chunks without end", "limit of the body", endless(CHUNKED, CHUNK), TOO_LARGE),
    sized(
        "a gzip bomb",
        "limit of the body",
        replies(answer(200, gzip.compress(b" " * 10**7), content_encoding="gzip")),
        TOO_LARGE,
    ),
    of_the_limit("one byte too many", bytes, "identity"),
    of_the_limit("one byte too many inside gzip", gzip.compress, "gzip"),
    sized(
        "tiny chunks with huge extensions",
        "limit on the wire",
        endless(CHUNKED, b"1;x=" + LONG_LINE + b"\r\n \r\n"),
        TOO_LONG,
    ),
    sized(
        "large interim answers without end",
        "limit on the wire",
        endless(b"", b"HTTP/1.1 103 Early\r\nx: " + LONG_LINE + b"\r\n\r\n"),
        TOO_LONG,
    ),
    sized(
        "gzip that never becomes a byte",
        "limit on the wire",
        endless(
            HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10],
            b"\x00\x00\x00\xff\xff" * 10_000,
        ),
        TOO_LONG,
    ),
    sized(
        "a header line without end",
        "limit of the header",
        endless(HEAD + b"x: ", LONG_LINE),
        ENDLESS_HEADER,
    ),
    sized(
        "headers without end",
        "limit of the header",
        endless(HEAD, b"x: y\r\n" * 10_000),
        ENDLESS_HEADER,
    ),
    sized(
        "trailers without end",
        "limit of the header",
        endless(CHUNKED + b"2\r\n[]\r\n0\r\n", b"x: y\r\n" * 10_000),
        ENDLESS_HEADER,
    ),
    sized(
        "an error without end",
        "status first",
        endless(b"HTTP/1.1 401 X\r\n\r\n", LONG_LINE),
        Expected(error=AuthenticationError, has={"status_code": 401}),
    ),
    wire(
        8,
        "a gzip bomb as an error",
        "small error answers",
        replies(answer(401, gzip.compress(LONG_DETAIL), content_encoding="gzip")),
        Expected(error=AuthenticationError, has={"detail": LONG_DETAIL[:2000].decode()}),
    ),
]

# 8. Content codings


CODINGS: list[Fault] = [
    wire(
        8,
        "gzip in other words",
        "gzip is decoded",
        coded(" X-GZip", gzip.compress),
        Expected(),
    ),
    wire(8, "no gzip after all", "gzip errors", coded("gzip", bytes), refused("not valid gzip")),
    wire(
        8,
        "gzip with a wrong checksum",
        "gzip errors",
        coded("gzip", bad_checksum),
        refused("not valid gzip"),
    ),
    wire(
        8,
        "gzip that is cut off",
        "whole gzip",
        coded("gzip", lambda body: gzip.compress(body)[:-4]),
        Expected(
            error=APIConnectionError,
            says="gzip body is not complete",
            requests=(4, 1),
            unknown=True,
        ),
    ),
    wire(
        8,
        "bytes after gzip",
        "nothing after gzip",
        coded("gzip", lambda body: gzip.compress(body) + b"x"),
        refused("bytes follow the gzip"),
    ),
    wire(
        8,
        "a second gzip member",
        "nothing after gzip",
        coded("gzip", lambda body: gzip.compress(body) + gzip.compress(b" ")),
        refused("bytes follow the gzip"),
    ),
    wire(
        8,
        "an empty body called gzip",
        "an empty body is no gzip",
        replies(answer(200, content_encoding="gzip")),
        refused("the body is empty"),
    ),
    wire(
        8,
        "gzip of gzip",
        "only gzip was asked for",
        coded("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
        refused("'gzip, gzip' was not asked for"),
    ),
    wire(
        8,
        "two headers that say gzip",
        "only gzip was asked for",
        coded("gzip", gzip.compress, "gzip"),
        refused("'gzip, gzip' was not asked for"),
    ),
    wire(
        8,
        "deflate",
        "only gzip was asked for",
        coded("deflate", zlib.compress),
        refused("'deflate' was not asked for"),
    ),
    wire(
        8,
        "codings that nobody knows",
        "only gzip was asked for",
        coded("br, zstd", bytes),
        refused("'br, zstd' was not asked for"),
    ),
]

# 8. Memory, measured in a fresh process

SOUND = {
    "gzip in pieces": (_transport, "INFLATE_AT_ONCE"),
    "limit of the body": (_transport.Body, "_add"),
    "limit of the header": (httpcore.HTTP11Connection, "MAX_INCOMPLETE_EVENT_SIZE"),
    "small error answers": (_drivers, "LARGEST_ERROR"),
}
AS_IT_IS = {name: getattr(*place) for name, place in SOUND.items()}
ROOT = Path(__file__).parents[2]


def grown(*arguments: str) -> dict[str, Any]:
    """What `memory.py` tells."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.faults.memory", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(told.stdout)
    return report


def grows(name: str, mechanism: str, script: Script, error: type[Exception], most: int) -> Fault:
    """A row: a call grows its process by less than `most` million bytes."""

    def check(caller: Caller, operation: str) -> None:
        # The other process must do without the mechanism, too.
        is_disabled = getattr(*SOUND[mechanism]) != AS_IT_IS[mechanism]
        with Server(script, patience=60) as server:
            report = (
                caller.grown(operation, server.base_url)
                if isinstance(caller, Guest)
                else grown(server.base_url, operation, caller.kind, *[mechanism] * is_disabled)
            )
        assert report["error"] == error.__name__ or isinstance(caller, Guest), report
        assert report["grown"] < most * 1_000_000, f"some {report['grown'] / 1e8:.0f}00 MB"

    return Fault(8, name, mechanism, check)


@functools.cache
def bomb() -> bytes:
    """97 kB that become 100 MB."""
    packer, piece = zlib.compressobj(wbits=31), b" " * 1_000_000
    return b"".join([*(packer.compress(piece) for _ in range(100)), packer.flush()])


def drops_a_bomb(peer: Peer) -> None:
    assert len(bomb()) < 98_000
    peer.send(answer(200, bomb(), content_encoding="gzip"))


MEMORY: list[Fault] = [
    grows(
        "a bomb of 100 MB in 97 kB, in memory",
        "gzip in pieces",
        once(drops_a_bomb),
        APIResponseValidationError,
        80,
    ),
    grows(
        "a body without an end, in memory",
        "limit of the body",
        endless(HEAD + b"\r\n", LONG_LINE),
        APIResponseValidationError,
        120,
    ),
    grows(
        "a header without an end, in memory",
        "limit of the header",
        endless(HEAD + b"x: ", LONG_LINE),
        APIConnectionError,
        120,
    ),
    grows(
        "an error without an end, in memory",
        "small error answers",
        endless(b"HTTP/1.1 401 X\r\n\r\n", LONG_LINE),
        AuthenticationError,
        120,
    ),
]

# 12. What a row of TLS, of the environment or of a proxy needs


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


@functools.cache
def serving(
    *names: str, ca: Callable[[], trustme.CA] = authority, **options: Any
) -> ssl.SSLContext:
    """A server's context, with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca().issue_cert(*(names or ("127.0.0.1", "localhost", NAME)), **options).configure_cert(context)
    return context


@functools.cache
def self_signed() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca = authority()
    with ca.cert_pem.tempfile() as certificate, ca.private_key_pem.tempfile() as key:
        context.load_cert_chain(certificate, key)
    return context


NAME = "materials.test"
"""A name of 127.0.0.1, but only where `surroundings` says so."""


@functools.cache
def hashed() -> str:
    """The name of the authority's certificate in an SSL_CERT_DIR; none without openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return "none"
    told = subprocess.run(
        [openssl, "x509", "-hash", "-noout"],
        input=authority().cert_pem.bytes(), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return f"{told.stdout.decode().strip()}.0"


@contextlib.contextmanager
def surroundings(port: int, variables: Mapping[str, str], *, known: bool) -> Iterator[None]:
    """An environment of these proxies, certificates and netrc alone."""
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
                patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value.format(port=port, home=home))
        for name in ("ca.pem", hashed()):
            Path(home, name).write_bytes(authority().cert_pem.bytes())
        Path(home, "broken.pem").write_text("no certificate")
        Path(home, ".netrc").write_text("machine 127.0.0.1 login mine password secret\n")
        find = socket.getaddrinfo

        def found(host: Any, *arguments: Any, **options: Any) -> Any:
            if host in (NAME, NAME.encode()):
                if not known:
                    raise socket.gaierror(socket.EAI_NONAME, "not known here")
                host = "127.0.0.1"
            return find(host, *arguments, **options)

        patch.setattr(socket, "getaddrinfo", found)
        yield


SUCCEEDS = Expected()


def in_surroundings(
    name: str,
    mechanism: str,
    expected: Expected = SUCCEEDS,
    script: Script = answered,
    *,
    url: str = "https://127.0.0.1:{port}",
    tls: Callable[[], ssl.SSLContext] | None = serving,
    variables: Mapping[str, str] = {},
    trusts: bool = True,
    known: bool = False,
    secret: str = KEY,
    sees: Callable[[list[bytes]], bool] = lambda _: True,
    calls: Callable[[Callable[[Any], Any]], Callable[[Any], Any]] = lambda call: call,
    **options: Any,
) -> Fault:
    """As `wire`, for TLS, an environment or a proxy; `sees` judges what the server got."""

    def check(caller: Caller, operation: str) -> None:
        shown: list[str] = []
        with Server(script, tls=tls and tls()) as server:

            def call() -> Any:
                try:
                    return caller(
                        calls(CALLS[operation]),
                        base_url=url.format(port=server.port),
                        ssl_context=trusting() if trusts else None,
                        **options,
                    )
                except Exception as error:
                    shown.append(f"{error!r} {vars(error)}")
                    raise

            with surroundings(server.port, variables, known=known):
                expect(caller, call, operation, expected)
        counted(caller, "requests", len(server.requests), expected.requests_of(operation))
        assert sees(server.requests), "sends more, or less, than it should"
        assert secret not in str(shown), "the error shows a secret"
        paused(caller, expected.pauses)

    return Fault(12, name, mechanism, check)


def not_trusted(says: str, requests: int = 0) -> Expected:
    return Expected(
        error=APIConnectionError,
        says=f"CERTIFICATE_VERIFY_FAILED.*{says}.* Nothing was sent",
        requests=requests,
        pauses=lambda pauses: pauses == [],
    )


def never_sent(says: str, requests: int = 0) -> Expected:
    return Expected(
        error=APIConnectionError,
        says=f"{says}.* Nothing was sent",
        requests=requests,
        pauses=lambda pauses: len(pauses) == 3,
    )


# 12. TLS


def hears_and_says(reply: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.sock.recv(MANY)
        peer.send(reply)

    return script


TLS: list[Fault] = [
    in_surroundings(
        "a certificate of nobody known",
        "certificates are checked",
        not_trusted("unable to get local issuer"),
        trusts=False,
    ),
    in_surroundings(
        "a certificate that signs itself",
        "certificate errors are final",
        not_trusted("self.signed certificate"),
        tls=self_signed,
        trusts=False,
    ),
    in_surroundings(
        "a certificate for another host",
        "names are checked",
        not_trusted("IP address mismatch"),
        tls=lambda: serving("elsewhere.test"),
        variables={"SSL_CERT_FILE": "{home}/ca.pem"},
        trusts=False,
    ),
    in_surroundings(
        "a certificate of yesterday",
        "certificate errors are final",
        not_trusted("certificate has expired"),
        tls=lambda: serving("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1)),
    ),
    in_surroundings(
        "plain http on the https port",
        "one family of errors",
        never_sent("SSL"),
        hears_and_says(answer(400, b"speak plainly")),
        tls=None,
    ),
    in_surroundings(
        "an alert instead of a handshake",
        "one family of errors",
        never_sent("ALERT_HANDSHAKE_FAILURE"),
        hears_and_says(b"\x15\x03\x03\x00\x02\x02\x28"),
        tls=None,
    ),
    in_surroundings(
        "closes during the handshake",
        "retries",
        never_sent("EOF"),
        hears_and_says(b""),
        tls=None,
    ),
    in_surroundings(
        "closes after the handshake",
        "record of what was sent",
        Expected(error=APIConnectionError, requests=0, unknown=True),
        lambda _: None,
    ),
]

# 12. The environment but for proxies


def twice(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Two calls on one client."""

    def calls(client: Any) -> Any:
        first = call(client)
        if not inspect.isawaitable(first):
            return call(client)

        async def rest() -> Any:
            await first
            return await call(client)

        return rest()

    return calls


def sets_cookies(peer: Peer) -> None:
    while peer.request():
        peer.send(good(peer).replace(b"\r\n", b"\r\nset-cookie: session=1; path=/\r\n", 1))


def without(name: str) -> Callable[[list[bytes]], bool]:
    """Has no request this header?"""
    return lambda requests: {header(each, name) for each in requests} == {None}


def with_certificates(
    name: str, mechanism: str, expected: Expected = SUCCEEDS, **variables: str
) -> Fault:
    return in_surroundings(name, mechanism, expected, variables=variables, trusts=False)


def unreadable(says: str) -> Expected:
    return Expected(error=ConfigurationError, says=f"SSL_CERT_FILE .*{says}", requests=0)


ENVIRONMENT: list[Fault] = [
    with_certificates(
        "SSL_CERT_FILE", "certificates of the environment", SSL_CERT_FILE="{home}/ca.pem"
    ),
    *[with_certificates("SSL_CERT_DIR", "certificates of the environment", SSL_CERT_DIR="{home}")]
    * bool(shutil.which("openssl")),
    with_certificates(
        "SSL_CERT_FILE that is missing",
        "unreadable certificates",
        unreadable("No such file"),
        SSL_CERT_FILE="{home}/none.pem",
    ),
    with_certificates(
        "SSL_CERT_FILE without a certificate",
        "unreadable certificates",
        unreadable("NO_CERTIFICATE"),
        SSL_CERT_FILE="{home}/broken.pem",
    ),
    in_surroundings(
        "a netrc for the host",
        "no session",
        variables={"HOME": "{home}", "NETRC": "{home}/.netrc"},
        sees=without("authorization"),
    ),
    in_surroundings(
        "cookies",
        "no session",
        Expected(requests=2),
        sets_cookies,
        sees=without("cookie"),
        calls=twice,
    ),
]

# 12. Which proxy is used

PASSWORD = "pä ss:w@rd/7"
BASIC = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
WITH_PASSWORD = {"HTTPS_PROXY": f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:{{port}}"}
DEAD = "http://127.0.0.1:1"
CONNECTED = b"HTTP/1.1 200 Connected\r\n\r\n"
TUNNELLED = Expected(requests=2)


def tunnels(inside: Script, tls: Callable[[], ssl.SSLContext] = serving) -> Script:
    """A proxy that is also what it connects to."""

    def script(peer: Peer) -> None:
        if peer.request():
            peer.send(CONNECTED)
            with tls().wrap_socket(peer.sock, server_side=True) as sock:
                inside(Peer(sock, peer.server))

    return script


TUNNEL = tunnels(answered)


def proxied(
    name: str,
    mechanism: str,
    expected: Expected = TUNNELLED,
    script: Script = TUNNEL,
    *,
    variables: Mapping[str, str] = WITH_PASSWORD,
    secret: str = PASSWORD,
    **options: Any,
) -> Fault:
    """What is asked for is reached through the proxy alone."""
    options = {"url": f"https://{NAME}", "tls": None, **options}
    return in_surroundings(
        name, mechanism, expected, script, variables=variables, secret=secret, **options
    )


def bypassed(name: str, no_proxy: str) -> Fault:
    return in_surroundings(
        name,
        "NO_PROXY",
        url=f"https://{NAME}:{{port}}",
        known=True,
        variables={"HTTPS_PROXY": DEAD, "NO_PROXY": no_proxy},
    )


def unusable(name: str, url: str, says: str) -> Fault:
    return proxied(
        name,
        "proxy is checked",
        Expected(error=ConfigurationError, says=f"HTTPS_PROXY.*{says}", requests=0),
        variables={"HTTPS_PROXY": url},
        secret="hunter",
    )


def hides_the_key(requests: list[bytes]) -> bool:
    """Is the key inside the tunnel alone, and what is for the proxy outside of it alone?"""
    outside, inside = requests
    return (
        outside.startswith(f"CONNECT {NAME}:443 ".encode())
        and KEY.encode() not in outside
        and header(inside, "x-api-key") == KEY
        and header(inside, "proxy-authorization") is None
    )


def tells_the_password(requests: list[bytes]) -> bool:
    return header(requests[0], "proxy-authorization") == f"Basic {BASIC}"


PROXIES: list[Fault] = [
    proxied("an https proxy", "tunnel", sees=hides_the_key),
    proxied(
        "a proxy password with odd characters", "proxy user and password", sees=tells_the_password
    ),
    proxied(
        "https_proxy goes before HTTPS_PROXY",
        "proxy of the environment",
        variables={"https_proxy": "http://127.0.0.1:{port}", "HTTPS_PROXY": DEAD},
    ),
    proxied(
        "ALL_PROXY without a scheme",
        "proxy of the environment",
        variables={"ALL_PROXY": "127.0.0.1:{port}"},
    ),
    in_surroundings(
        "proxies for other schemes",
        "proxy by scheme",
        variables={"HTTP_PROXY": DEAD, "FTP_PROXY": DEAD},
    ),
    in_surroundings(
        "plain http beside a proxy",
        "plain http has no proxy",
        url="http://127.0.0.1:{port}",
        tls=None,
        variables=dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), DEAD),
    ),
    bypassed("NO_PROXY with the host", f"a.test, {NAME.upper()}"),
    bypassed("NO_PROXY with host and port", f"{NAME}:{{port}}"),
    in_surroundings(
        "NO_PROXY with host and default port",
        "NO_PROXY",
        never_sent("not known here"),
        url=f"https://{NAME}",
        tls=None,
        variables={"HTTPS_PROXY": DEAD, "NO_PROXY": f"{NAME}:443"},
    ),
    bypassed("NO_PROXY with a domain", ".test"),
    bypassed("NO_PROXY for all", "*"),
    unusable("a SOCKS proxy", "socks5://me:hunter2@127.0.0.1:{port}", "SOCKS"),
    unusable("TLS up to the proxy", "https://me:hunter2@127.0.0.1:{port}", "TLS up to the proxy"),
    unusable("a proxy without a host", "http://me:hunter2@:{port}", "no valid host"),
    unusable("a proxy beyond ASCII", "http://me:hunter2@prüxy:{port}", "no valid host"),
    proxied(
        "nobody listens at the proxy",
        "retries",
        never_sent("Errno 111"),
        variables={"HTTPS_PROXY": DEAD},
    ),
    proxied(
        "a tunnel that breaks after the request",
        "record of what was sent",
        Expected(error=APIConnectionError, requests=(8, 2), unknown=True),
        tunnels(once(lambda _: None)),
    ),
]

# 12. No tunnel: nothing was sent

LATE = Expected(error=APITimeoutError, says=r"timeout=0\.4 seconds.* Nothing was sent")
TOLD = base64.b64encode(b"me:hunter#2").decode()


def refuses_once(peer: Peer) -> None:
    if peer.server.connections > 1:
        TUNNEL(peer)
    elif peer.request():
        peer.send(answer("502 Bad Gateway"))


def connects_and_hangs(peer: Peer) -> None:
    peer.send(CONNECTED)
    peer.hang()


NO_TUNNEL: list[Fault] = [
    proxied(
        "a proxy that wants another password",
        "a proxy's refusal",
        Expected(
            error=APIConnectionError,
            says=r"the proxy answered 407\. Nothing was sent",
            pauses=lambda pauses: pauses == [],
        ),
        replies(answer("407 Proxy Authentication Required")),
    ),
    proxied(
        "a proxy that has no way at first",
        "retries",
        Expected(requests=3, pauses=lambda pauses: len(pauses) == 1),
        refuses_once,
    ),
    proxied(
        "a proxy that closes",
        "tunnel is no request",
        never_sent("disconnected", requests=4),
        once(lambda _: None),
    ),
    proxied("a proxy that hangs", "tunnel is no request", LATE, once(Peer.hang), timeout=0.4),
    proxied(
        "a proxy that drips",
        "deadline",
        LATE,
        once(lambda peer: peer.drip(b"HTTP/1.1 200 " + b"x" * 99)),
        timeout=0.4,
    ),
    proxied(
        "a proxy that speaks no HTTP",
        "one family of errors",
        never_sent("illegal status line", requests=4),
        once(lambda peer: peer.send(b"SSH-2.0-proxy\r\n\r\n")),
    ),
    proxied(
        "a proxy with a header without end",
        "limit of the header",
        never_sent("too long", requests=4),
        endless(b"HTTP/1.1 200 OK\r\nx: ", LONG_LINE),
    ),
    proxied(
        "a proxy that refuses with the password",
        "a proxy's refusal",
        never_sent("the proxy answered 500", requests=4),
        replies(answer("500 hünter2")),
        variables={"HTTPS_PROXY": "http://me:h%C3%BCnter2@127.0.0.1:{port}"},
        secret="nter2",
    ),
    proxied(
        "a proxy that says the password and no HTTP",
        "scrubber",
        never_sent(r"\[redacted\], \[redacted\], \[redacted\]", requests=4),
        once(lambda peer: peer.send(f"hunter#2, hunter%232, {TOLD}\r\n\r\n".encode())),
        variables={"HTTPS_PROXY": "http://me:hunter%232@127.0.0.1:{port}"},
        secret="hunter",
    ),
    proxied(
        "a tunnel that closes before TLS",
        "tunnel is no request",
        never_sent("", requests=4),
        once(lambda peer: peer.send(CONNECTED)),
    ),
    proxied("a tunnel where TLS hangs", "deadline", LATE, once(connects_and_hangs), timeout=0.4),
    proxied(
        "a tunnel to somebody else",
        "certificate errors are final",
        not_trusted("Hostname mismatch", requests=1),
        tunnels(answered, lambda: serving("elsewhere.test")),
    ),
]

# Passwords that are odd texts

ODD_PASSWORDS: list[Fault] = [
    proxied(
        "a proxy password that is no text",
        "retries",
        never_sent("Errno 111"),
        variables={"HTTPS_PROXY": "http://me:hunter\udce4@127.0.0.1:1"},
        secret="hunter",
    ),
    proxied(
        "a proxy that says a password beyond ASCII and no HTTP",
        "scrubber",
        never_sent(r"\[redacted\]", requests=4),
        once(lambda peer: peer.send("hünter2\r\n\r\n".encode())),
        variables={"HTTPS_PROXY": "http://me:h%C3%BCnter2@127.0.0.1:{port}"},
        secret="nter2",
    ),
]
ROWS: list[Fault] = [*SIZES, *CODINGS, *MEMORY, *TLS, *ENVIRONMENT, *PROXIES, *NO_TUNNEL]
