"""Promises 9 to 11: one error family, and the key is in nothing that anybody sees."""

import logging
import pickle
import ssl
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from atomscale_target_materials import AtomscaleError, Client, ConfigurationError

from ..conftest import KEY, Caller
from ..server import Script, Server, answer, replies
from .test_promises import CALLS, ROW, listed, once, truncated

ECHO = {"x_echo": KEY, "x_request_id": KEY, "location": f"https://elsewhere/?key={KEY}"}

MIXED = "Sk-Te'st-\"0123456789/ABCDEF"
ERROR_PATHS: dict[str, Script] = {
    "401 that echoes the key": replies(answer(401, {"detail": f"bad key {KEY}"}, **ECHO)),
    "redirect with the key": replies(answer(307, **ECHO)),
    "500 with the key": replies(answer(500, KEY.encode(), **ECHO)),
    "200 with the key as id": replies(answer(200, [{**ROW, "id": KEY}], **ECHO)),
    "200 with the key as field": replies(answer(200, [{KEY: 1}], **ECHO)),
    "200 with the key as content type": replies(answer(200, [ROW], content_type=KEY)),
    "200 with the key as content coding": replies(answer(200, [ROW], content_encoding=KEY)),
    "no HTTP": once(lambda peer: peer.send(KEY.encode() + b"\r\n\r\n")),
    "truncated": once(truncated),
    "closed": once(lambda _: None),
}


def seen(error: BaseException) -> Iterator[str]:
    """Everything that a traceback printer, a crash reporter or a debugger shows of an error."""
    yield from (repr(error), str(error), repr(vars(error)), repr(pickle.dumps(error)))
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in report.stack:
        if "atomscale_target_materials" in frame.filename or "site-packages" in frame.filename:
            yield repr(frame)
            yield repr(frame.locals)
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from seen(other)


@pytest.mark.parametrize("script", ERROR_PATHS.values(), ids=ERROR_PATHS.keys())
@pytest.mark.parametrize("operation", CALLS)
def test_no_error_path_shows_the_key(
    caller: Caller, operation: str, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpcore").setLevel(logging.DEBUG)
    with Server(script) as server, pytest.raises(AtomscaleError) as caught:
        caller(CALLS[operation], base_url=server.base_url)
    assert [text for text in seen(caught.value) if KEY in text] == []
    assert "httpcore" in caplog.text
    assert KEY not in caplog.text
    assert [record for record in caplog.records if KEY in repr(vars(record))] == []


@pytest.mark.parametrize("coding", [MIXED, "x" * 80 + MIXED, MIXED.lower() + MIXED])
def test_a_key_of_mixed_case_and_quotes(caller: Caller, coding: str) -> None:
    script = replies(answer(200, [ROW], content_encoding=coding))
    with Server(script) as server, pytest.raises(AtomscaleError, match="content coding") as caught:
        caller(listed, MIXED, base_url=server.base_url)
    assert MIXED[:12] not in str(caught.value)


def test_a_key_of_quotes_in_what_is_no_http(caller: Caller) -> None:
    script = once(lambda peer: peer.send(MIXED.encode() + b"\r\n\r\n"))
    with Server(script) as server, pytest.raises(AtomscaleError) as caught:
        caller(listed, MIXED, base_url=server.base_url, max_tries=1)
    assert "0123456789" not in str(caught.value)


def test_an_error_of_a_users_own_transport_keeps_its_traceback(caller: Caller) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise AssertionError("mine")

    with pytest.raises(AssertionError, match="mine") as caught:
        caller(listed, transport=httpx.MockTransport(handler))
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-1] == "handler"


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_what_passes_through_shows_no_frames_underneath(
    caller: Caller, signal: type[BaseException]
) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise signal

    with pytest.raises(signal) as caught:
        caller(listed, transport=httpx.MockTransport(handler))
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert [file for file in files if "httpx" in file] == []


def test_certificates_are_checked_and_not_tried_again(caller: Caller) -> None:
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Server(replies(answer(200, [ROW])), tls=context) as server:
        with pytest.raises(AtomscaleError, match="CERTIFICATE_VERIFY_FAILED"):
            caller(listed, base_url=server.base_url)
        assert caller.pauses == []
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        assert len(caller(listed, base_url=server.base_url, ssl_context=trusting)) == 1


def test_an_unreadable_certificate_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE") as caught:
        Client(KEY)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Client("sk-\u2028secret"),
        lambda: Client("sk-se\ncret"),
        lambda: Client(KEY, base_url=f"https://user:{KEY}@example.com"),
        lambda: Client(KEY, base_url=f"https://example.com/?key={KEY}"),
        lambda: Client(KEY, timeout="1"),  # type: ignore[arg-type]
        lambda: Client(KEY, transport=KEY),  # type: ignore[arg-type]
    ],
)
def test_a_refused_configuration_shows_no_key(make: Callable[[], Client]) -> None:
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        make()
    assert "sk-" not in f"{caught.value!r} {vars(caught.value)}"
