"""Messages, word for word: they tell what happened and what to do next."""

import gzip
import json
import re
import time
import zlib
from types import ModuleType
from typing import Any

import attrs
import pytest
from httpcore import RemoteProtocolError

from atomscale_target_materials import APIResponseValidationError, AtomscaleError
from atomscale_target_materials._codec import clean, decode, failure_of, fitting
from atomscale_target_materials._settings import Proxy, Secret, Settings
from atomscale_target_materials._steps import Failure, Outcome, Request
from atomscale_target_materials._transport import Body, Limits, Unreadable
from atomscale_target_materials_api.api.target_materials import (
    add_target_material_layer,
    list_target_materials,
)
from atomscale_target_materials_api.models import LayerCreate

from .conftest import KEY

LIST, ADD = Request("GET", "/materials/", {}), Request("POST", "/layers/", {})
LATER = " Try again later, or with another timeout, max_tries or max_response_bytes."
NEVER = "; redirects are never followed: check base_url."
REVOKED = "The key came from the api_key argument: is it the right one, and not revoked?"
UNKNOWN = " Whether the write was carried out is unknown: look before you send it again."


@pytest.fixture
def settings() -> Settings:
    key, url = Secret(KEY), Secret("https://lab.example.com")
    return Settings.resolve(key, url, 30.0, 4, 1000, proxied=False)


def came(status: int | None, content: bytes = b"", **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Outcome(1.0, 0.0, 0.0, status, named, content, None, None)


def error_of(request: Request, outcome: Outcome, settings: Settings) -> AtomscaleError:
    error = failure_of(request, outcome, settings)
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("request_", "outcome", "says"),
    [
        (LIST, came(400), "400."),
        (LIST, came(400, b'{"detail": "odd"}'), "400: odd."),
        (LIST, came(401), f"401. {REVOKED}"),
        (ADD, came(403), "403. The key may lack the scope: `read` to list, `write` to add."),
        (LIST, came(404), "404. Is base_url right: https://lab.example.com?"),
        (LIST, came(404, b'{"detail": "Not Found"}'),
         "404: Not Found. Is base_url right: https://lab.example.com?"),
        (LIST, came(404, b'{"detail": "no such sample"}'), "404: no such sample."),
        (LIST, came(429), "429. Wait a while before the next call."),
        (ADD, came(429, retry_after="7"), "429. Wait 7 seconds before the next call."),
        (LIST, came(300), f"300. It redirects to (no location){NEVER}"),
        (ADD, came(307, location="https://b.org/"), f"307. It redirects to https://b.org/{NEVER}"),
        (LIST, came(399), f"399. It redirects to (no location){NEVER}"),
        (LIST, came(499), "499."),
        (LIST, came(500), f"500.{LATER}"),
        (ADD, came(500), "500."),
        (ADD, came(418), "418."),
    ],
    ids=str,
)  # fmt: skip
def test_a_refusal(request_: Request, outcome: Outcome, says: str, settings: Settings) -> None:
    error = error_of(request_, outcome, settings)
    assert str(error) == f"{request_} answered {says}" + UNKNOWN * error.outcome_unknown


def test_which_refusals_have_certainly_done_nothing(settings: Settings) -> None:
    statuses = [*range(100, 200), *range(300, 600)]
    certain = {x for x in statuses if not error_of(ADD, came(x), settings).outcome_unknown}
    assert certain == {400, 401, 403, 404, 405, 409, 413, 415, 422, 429}
    assert not any(error_of(LIST, came(x), settings).outcome_unknown for x in statuses)


def test_a_refusal_has_the_id_of_its_answer(settings: Settings) -> None:
    error: Any = error_of(LIST, came(500, b'{"detail": "odd"}', x_request_id=f"r\n{KEY}"), settings)
    assert (error.status_code, error.detail, error.request_id) == (500, "odd", "r [redacted]")
    bare: Any = error_of(LIST, came(500), settings)
    assert (bare.detail, bare.request_id) == (None, None)


@pytest.mark.parametrize(
    ("request_", "sent", "advice"),
    [
        (LIST, True, LATER),
        (ADD, True, UNKNOWN),
        (ADD, False, " Nothing was sent: are base_url, network, proxy and certificates right?"),
    ],
    ids=str,
)
def test_a_failure(request_: Request, sent: bool, advice: str, settings: Settings) -> None:
    outcome = attrs.evolve(came(None), failure=Failure(f"odd\n{KEY}", sent=sent))
    error = error_of(request_, outcome, settings)
    place = f"{request_} to https://lab.example.com"
    assert str(error) == f"{place} failed: odd [redacted].{advice}"
    assert error.outcome_unknown is (advice == UNKNOWN)
    proxied = attrs.evolve(settings, proxy=Proxy("http://proxy.example.com:3128", None))
    told = str(error_of(request_, outcome, proxied))
    assert told.startswith(f"{place} through the proxy http://proxy.example.com:3128 failed: odd")


def test_no_error(settings: Settings) -> None:
    assert [failure_of(LIST, came(status), settings) for status in (200, 204, 299)] == [None] * 3
    broke_off = attrs.evolve(came(200), failure=Failure("reset"))
    assert failure_of(LIST, broke_off, settings) is not None


JSON = "application/json"


@pytest.mark.parametrize(
    ("outcome", "says", "path"),
    [
        (came(200), "the body is empty", None),
        (came(200, b"[]", content_type="text/html; charset=utf-8"),
         "the content type is 'text/html' instead of JSON", None),
        (came(200, b"[]", content_type="xapplication/json"),
         "the content type is 'xapplication/json' instead of JSON", None),
        (came(202, b"[]"), "the status is not a documented success", None),
        (came(200, b"[" * 10**5), "it is nested too deeply", None),
        (came(200, b"{}"), "Expected `array`, got `object`", "$"),
        (came(200, b'[{"id": 1}]'), "the field 'sample_id' is missing at $[0]", "$[0]"),
        (came(200, b'[{"id": true, "sample_id": 1}]'),
         "Expected `int`, got `bool` at $[0].id", "$[0].id"),
    ],
    ids=lambda each: str(each)[:40],
)  # fmt: skip
def test_an_answer_that_is_none(
    outcome: Outcome, says: str, path: str | None, settings: Settings
) -> None:
    with pytest.raises(APIResponseValidationError) as caught:
        decode(LIST, outcome, list_target_materials, settings)
    error = caught.value
    told = f"{LIST} answered {outcome.status}, but not what the API describes: {says}. "
    assert str(error) == told + "The answer is in the error's .body."
    assert (error.path, error.body, error.outcome_unknown) == (path, outcome.content, False)


def test_an_answer_to_a_write_that_is_none(settings: Settings) -> None:
    operation: ModuleType = add_target_material_layer
    outcome = came(200, json.dumps({"id": KEY}).encode())
    with pytest.raises(APIResponseValidationError) as caught:
        decode(ADD, outcome, operation, settings)
    error = caught.value
    assert str(error).endswith(f" The answer is in the error's .body.{UNKNOWN}")
    assert (error.body, error.outcome_unknown) == (b'{"id": "[redacted]"}', True)


@pytest.mark.parametrize(
    ("content", "kind", "detail"),
    [
        (b'{"detail": [{"loc": ["body", 3], "msg": "a"}, {"loc": ["x"], "msg": "b"}]}', JSON,
         "body.3: a; x: b"),
        (b'{"detail": [{"loc": ["body"], "msg": "a"}, 1]}', JSON,
         '{"detail":[{"loc":["body"],"msg":"a"},1]}'),
        (b'{"detail": [{"loc": "body", "msg": "a"}]}', JSON,
         '{"detail":[{"loc":"body","msg":"a"}]}'),
        (b'{"detail": [{"loc": []}]}', JSON, '{"detail":[{"loc":[]}]}'),
        (b'{"detail": []}', JSON, '{"detail":[]}'),
        (b'{"error": "a"}', JSON, '{"error":"a"}'),
        (b'["a"]', JSON, '["a"]'),
        (b"[" * 10**5, "x", "[" * 2000),
        (b"X-rays", "text/plain", "X-rays"),
        (b"\xef\xbb\xbf \t\r\n<html>", "text/plain", None),
        (b"caf\xe9", "text/plain", "caf\ufffd"),
    ],
)  # fmt: skip
def test_a_detail(content: bytes, kind: str, detail: str | None, settings: Settings) -> None:
    error: Any = error_of(LIST, came(400, content, content_type=kind), settings)
    assert error.detail == detail


def test_a_text_of_a_server_becomes_one_short_line(settings: Settings) -> None:
    assert clean(f" a\tb\x1b[0m\n{KEY} \x00", settings) == "a b[0m [redacted]"
    assert clean("x" * 2001, settings) == "x" * 2000
    assert clean(" " * 19_999 + "xy", settings) == "x"


FIVE = gzip.compress(b"12345")


@pytest.mark.parametrize(
    ("coding", "limit", "pieces", "says"),
    [
        (" BR ", 5, [], "the content coding ' BR ' was not asked for (only gzip was)"),
        ("identity", 5, [b"123", b"456"], "the answer is larger than max_response_bytes=5"),
        ("gzip", 4, [FIVE], "the answer is larger than max_response_bytes=4"),
        (" X-GZip ", 5, [b"12345"], "the body is not valid gzip"),
        ("gzip", 5, [zlib.compress(b"12345")], "the body is not valid gzip"),
        ("gzip", 5, [FIVE + b"6"], "bytes follow the gzip body"),
        ("gzip", 5, [FIVE, b"6"], "bytes follow the gzip body"),
        ("gzip", 5, [FIVE[:-1]], "the gzip body is not complete"),
        ("", 5, [b"12", b"345"], ""),
        ("Gzip", 5, [FIVE[:9], FIVE[9:]], ""),
        ("gzip", 5, [], ""),
    ],
)
def test_a_body_that_cannot_be_read(
    coding: str, limit: int, pieces: list[bytes], says: str
) -> None:
    def read() -> bytes:
        body = Body(coding, limit)
        for piece in pieces:
            body.feed(piece)
        body.end()
        return bytes(body.content)

    if says:
        with pytest.raises((Unreadable, RemoteProtocolError), match=f"^{re.escape(says)}$"):
            read()
    else:
        assert read() == (b"12345" if pieces else b"")


def test_an_argument_that_holds_itself() -> None:
    amounts: dict[str, Any] = {}
    amounts["Ba"] = amounts
    with pytest.raises(ValueError, match=r"^nested too deeply$"):
        fitting(LayerCreate, {"layer_id": 1, "element_dict": amounts}, "")


def test_bytes_on_the_wire_are_counted() -> None:
    limits = Limits(time.monotonic() + 9, 5)
    assert limits.received(b"123") + limits.received(b"45") == b"12345"
    told = "^more bytes came than max_response_bytes leaves room for$"
    with pytest.raises(Unreadable, match=told):
        limits.received(b"6")
