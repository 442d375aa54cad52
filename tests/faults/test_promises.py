"""The promises of docs/reliability, one row a fault: for list and add, sync and async."""

import gzip
import json
import re
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from atomscale_target_materials import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AtomscaleError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)

from ..conftest import KEY, Caller
from ..server import Peer, Script, Server, answer, replies

ROW = {"id": 1, "sample_id": 2}
GOOD = {"list": [ROW], "add": {"id": 5, "layer_id": 1}}


def listed(client: Any) -> Any:
    return client.list_target_materials()


def added(client: Any) -> Any:
    return client.add_layer(layer_id=1, sample_id=2, composition_string="GaN")


CALLS: dict[str, Callable[[Any], Any]] = {"list": listed, "add": added}


@pytest.fixture(params=["list", "add"])
def operation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def failing(
    caller: Caller, operation: str, script: Script, **options: Any
) -> tuple[AtomscaleError, Server]:
    with Server(script) as server, pytest.raises(AtomscaleError) as caught:
        caller(CALLS[operation], base_url=server.base_url, **options)
    error = caught.value
    assert KEY not in f"{error!r} {vars(error)}"
    assert error.__cause__ is None
    assert error.__context__ is None
    return error, server


def once(act: Callable[[Peer], None]) -> Script:
    """Reads a request, then misbehaves."""

    def script(peer: Peer) -> None:
        if peer.request():
            act(peer)

    return script


# 1. Deadline

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def endless_interim_answers(peer: Peer) -> None:
    while not peer.server.stopping.is_set():
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def drips_the_body(peer: Peer) -> None:
    peer.send(HEAD + b"content-length: 99\r\n\r\n")
    peer.drip(b" " * 99)


def asks_to_wait_then_hangs(peer: Peer) -> None:
    peer.send(answer(429, retry_after="0"))
    if peer.request():
        peer.hang()


DEADLINE_FAULTS = {
    "never answers": once(Peer.hang),
    "drips the header": once(lambda peer: peer.drip(HEAD + b"x-filler: " + b"x" * 99)),
    "drips the body": once(drips_the_body),
    "interim answers for ever": once(endless_interim_answers),
    "asks to wait, then hangs": once(asks_to_wait_then_hangs),
}


@pytest.mark.parametrize("script", DEADLINE_FAULTS.values(), ids=DEADLINE_FAULTS.keys())
def test_1_a_call_ends_within_its_timeout(caller: Caller, operation: str, script: Script) -> None:
    began = time.monotonic()
    error, _ = failing(caller, operation, script, timeout=0.7)
    assert time.monotonic() - began < 3
    assert type(error) is APITimeoutError
    assert "timeout=0.7 seconds" in str(error)
    assert error.outcome_unknown is (operation == "add")


def test_1_a_tls_handshake_that_never_ends(caller: Caller, operation: str) -> None:
    with (
        Server(lambda peer: peer.hang()) as server,
        pytest.raises(APITimeoutError, match="Nothing was sent") as caught,
    ):
        caller(CALLS[operation], base_url=server.base_url.replace("http", "https"), timeout=0.5)
    assert caught.value.outcome_unknown is False


# 2 and 3. What is tried again


def truncated(peer: Peer) -> None:
    peer.send(HEAD + b"content-length: 99\r\n\r\n[")


def reset(peer: Peer) -> None:
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


BROKEN = {"closes": lambda _: None, "resets": reset, "truncates": truncated}


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN.keys())
def test_2_3_a_broken_connection(
    caller: Caller, operation: str, act: Callable[[Peer], None]
) -> None:
    error, server = failing(caller, operation, once(act))
    assert type(error) is APIConnectionError
    assert len(server.requests) == (4 if operation == "list" else 1)
    assert len(caller.pauses) == (3 if operation == "list" else 0)
    assert error.outcome_unknown is (operation == "add")
    assert ("look before you send it again" in str(error)) is (operation == "add")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, *range(520, 530)])
def test_2_3_a_passing_status(caller: Caller, operation: str, status: int) -> None:
    good = answer(200, GOOD[operation])
    with Server(replies(answer(status), good)) as server:
        if operation == "list" or status == 429:
            caller(CALLS[operation], base_url=server.base_url)
            assert len(server.requests) == 2
        else:
            with pytest.raises(APIStatusError) as caught:
                caller(CALLS[operation], base_url=server.base_url)
            assert len(server.requests) == 1
            assert caught.value.outcome_unknown is True


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501, 505, 530, 999])
def test_3_a_lasting_status_is_not_tried_again(caller: Caller, operation: str, status: int) -> None:
    _, server = failing(caller, operation, replies(answer(status, x_should_retry="true")))
    assert len(server.requests) == 1


def test_3_max_tries(caller: Caller, operation: str) -> None:
    error, server = failing(caller, operation, replies(answer(429)), max_tries=2)
    assert isinstance(error, RateLimitError)
    assert error.outcome_unknown is False
    assert len(server.requests) == 2


def test_2_a_failed_connect_is_tried_again(caller: Caller, operation: str) -> None:
    with Server(lambda _: None) as server:
        url = server.base_url
    with pytest.raises(APIConnectionError, match="Errno 111") as caught:
        caller(CALLS[operation], base_url=url)
    assert len(caller.pauses) == 3
    assert caught.value.outcome_unknown is False
    assert "Nothing was sent" in str(caught.value)


def test_2_3_what_the_caller_is_handling_is_not_our_cause(caller: Caller, operation: str) -> None:
    with Server(lambda _: None) as server:
        url = server.base_url
    try:
        int("password=hunter2")
    except ValueError:
        with pytest.raises(APIConnectionError, match="Errno 111") as caught:
            caller(CALLS[operation], base_url=url)
    assert "hunter2" not in str(caught.value)
    assert len(caller.pauses) == 3


# 4. Retry-After


@pytest.mark.parametrize(
    ("value", "pause"),
    [("7", 7.0), ("0", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_4_retry_after_is_honoured(
    caller: Caller, operation: str, value: str, pause: float
) -> None:
    script = replies(answer(429, retry_after=value), answer(200, GOOD[operation]))
    with Server(script) as server:
        caller(CALLS[operation], base_url=server.base_url)
    assert caller.pauses == ([pause] if pause else [])


@pytest.mark.parametrize("value", ["86400", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_4_one_that_does_not_fit_raises_at_once(caller: Caller, operation: str, value: str) -> None:
    error, server = failing(caller, operation, replies(answer(429, retry_after=value)))
    assert isinstance(error, RateLimitError)
    assert (len(server.requests), caller.pauses) == (1, [])


# 5. Redirects


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_5_redirects_are_never_followed(caller: Caller, operation: str, status: int) -> None:
    with Server(replies(answer(200, GOOD[operation]))) as other:
        target = f"{other.base_url}/elsewhere"
        error, server = failing(caller, operation, replies(answer(status, location=target)))
    assert other.requests == []
    assert len(server.requests) == 1
    assert isinstance(error, APIStatusError)
    assert error.status_code == status
    assert target in str(error)
    assert error.outcome_unknown is (operation == "add")


# 6. Statuses outside 2xx

HTML = b"<!doctype html><title>Bad gateway</title>"
FASTAPI = {"detail": [{"loc": ["body", "layer_id"], "msg": "Field required", "type": "missing"}]}


@attrs.frozen
class Refused:
    status: int
    error: type[APIStatusError]
    body: Any = b""
    content_type: str | None = "application/json"
    detail: str | None = None


REFUSED = {
    "400 text": Refused(400, BadRequestError, {"detail": "no"}, detail="no"),
    "401": Refused(401, AuthenticationError, {"detail": "bad key"}, detail="bad key"),
    "403": Refused(403, PermissionDeniedError),
    "404 empty": Refused(404, NotFoundError),
    "404 html": Refused(404, NotFoundError, HTML, "text/html"),
    "404 html called JSON": Refused(404, NotFoundError, HTML),
    "409": Refused(409, ConflictError, {"detail": "taken"}, detail="taken"),
    "418": Refused(418, APIStatusError, b"teapot", "text/plain", "teapot"),
    "422 FastAPI": Refused(
        422, UnprocessableEntityError, FASTAPI, detail="body.layer_id: Field required"
    ),
    "422 odd detail": Refused(
        422, UnprocessableEntityError, {"detail": [1]}, detail='{"detail":[1]}'
    ),
    "500 without a type": Refused(500, InternalServerError, b"oops", None, "oops"),
    "501": Refused(501, InternalServerError, {"detail": {"a": 1}}, detail='{"detail":{"a":1}}'),
    "520 html": Refused(520, InternalServerError, HTML, "text/html; charset=utf-8"),
    "999": Refused(999, APIStatusError, b"\xff\xfe", "text/plain; charset=utf-16", "\ufffd\ufffd"),
    "control characters": Refused(
        400, BadRequestError, {"detail": "a\x1b[31mb\r\n\u202ec"}, detail="a [31mb c"
    ),
    "echo of the key": Refused(
        400, BadRequestError, {"detail": f"who is {KEY}?"}, detail="who is [redacted]?"
    ),
    "too long": Refused(400, BadRequestError, {"detail": "x" * 5000}, detail="x" * 2000),
    "too deep": Refused(400, BadRequestError, b"[" * 5000, detail="[" * 2000),
}


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED.keys())
def test_6_a_status_outside_2xx_raises(caller: Caller, operation: str, row: Refused) -> None:
    reply = answer(row.status, row.body, content_type=row.content_type, x_request_id="r-1")
    error, _ = failing(caller, operation, replies(reply), max_tries=1)
    assert type(error) is row.error
    assert isinstance(error, APIStatusError)
    assert (error.status_code, error.detail) == (row.status, row.detail)
    assert error.request_id == "r-1"
    assert f"answered {row.status}" in str(error)
    assert (row.detail or "") in str(error)


def test_6_a_404_of_the_server_itself_asks_for_the_base_url(caller: Caller) -> None:
    error, server = failing(caller, "list", replies(answer(404, {"detail": "Not Found"})))
    assert f"Is base_url right: {server.base_url}?" in str(error)
    error, _ = failing(caller, "list", replies(answer(404, {"detail": "no sample 7"})))
    assert "base_url" not in str(error)


def test_6_a_401_names_where_the_key_came_from(
    caller: Caller, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AS_API_KEY", KEY)
    with Server(replies(answer(401))) as server, pytest.raises(AuthenticationError) as caught:
        caller(CALLS[operation], None, base_url=server.base_url)
    assert "the environment variable AS_API_KEY" in str(caught.value)


# 7. A 2xx is judged strictly


@attrs.frozen
class Invalid:
    says: str
    body: Callable[[str], bytes]
    status: int = 200
    content_type: str | None = "application/json"
    path: Callable[[str], str | None] = lambda _: None


def whole(body: bytes) -> Callable[[str], bytes]:
    return lambda _: body


def row_with(**fields: Any) -> Callable[[str], bytes]:
    """A good answer but for these fields."""

    def body(operation: str) -> bytes:
        value = {**(ROW if operation == "list" else {"id": 5, "layer_id": 1}), **fields}
        return json.dumps([value] if operation == "list" else value).encode()

    return body


def raw_row_with(text: bytes) -> Callable[[str], bytes]:
    return lambda operation: row_with()(operation).replace(
        b'"id": ', b'"id": 1, ' + text + b'"_": '
    )


def at(place: str) -> Callable[[str], str | None]:
    return lambda operation: ("$[0]" if operation == "list" else "$") + place


INVALID = {
    "204": Invalid("204, but not .*documented success", whole(b""), status=204),
    "206": Invalid("206, but not", row_with(), status=206),
    "202": Invalid("202, but not", row_with(), status=202),
    "empty": Invalid("the body is empty", whole(b"")),
    "html": Invalid("content type is \"?'?text/html", whole(HTML), content_type="text/html"),
    "html called JSON": Invalid("malformed", whole(HTML)),
    "not JSON": Invalid("malformed|truncated", whole(b"[{")),
    "trailing bytes": Invalid("trailing", lambda op: row_with()(op) + b" x"),
    "byte order mark": Invalid("malformed", lambda op: b"\xef\xbb\xbf" + row_with()(op)),
    "not UTF-8": Invalid("utf-8", raw_row_with(b'"x": "\xff", ')),
    "lone surrogate": Invalid("malformed|truncated|invalid", raw_row_with(b'"x": "\\ud800", ')),
    "NaN": Invalid("malformed", raw_row_with(b'"x": NaN, ')),
    "infinity": Invalid("malformed", raw_row_with(b'"x": Infinity, ')),
    "too large a number": Invalid("out of range", raw_row_with(b'"x": 1e400, '), path=at("[...]")),
    "nested too deeply": Invalid("nested too deeply", whole(b"[" * 100_000 + b"]" * 100_000)),
    "wrong top": Invalid("Expected `(array|object)`, got `str`", whole(b'"x"'), path=lambda _: "$"),
    "null": Invalid("Expected `(array|object)`, got `null`", whole(b"null"), path=lambda _: "$"),
    "string id": Invalid("Expected `int`, got `str`", row_with(id="x"), path=at(".id")),
    "bool id": Invalid("Expected `int`, got `bool`", row_with(id=True), path=at(".id")),
    "float id": Invalid("Expected `int`, got `float`", row_with(id=1.0), path=at(".id")),
    "null id": Invalid("Expected `int`, got `null`", row_with(id=None), path=at(".id")),
    "huge id": Invalid("Expected `int` <= 9223372036854775807", row_with(id=2**63), path=at(".id")),
    "number for a string": Invalid(
        "Expected `str`, got `int`", row_with(mp_id=1), path=at(".mp_id")
    ),
    "list for a map": Invalid(
        "Expected `object`, got `array`", row_with(element_dict=[]), path=at(".element_dict")
    ),
    "string amount": Invalid(
        "Expected `int | float`, got `str`",
        row_with(element_dict={"Ba": "1"}),
        path=at(".element_dict.Ba"),
    ),
    "amount beyond a double": Invalid(
        "range of a double",
        row_with(element_dict={"Ba": 10**400}),
        path=at(".element_dict.Ba"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", INVALID.values(), ids=INVALID.keys())
def test_7_a_success_is_judged_strictly(caller: Caller, operation: str, row: Invalid) -> None:
    body = row.body(operation)
    reply = answer(row.status, body, content_type=row.content_type)
    if row.status == 204:
        reply = reply.replace(b"content-length: 0\r\n", b"")
    error, server = failing(caller, operation, replies(reply))
    assert type(error) is APIResponseValidationError
    assert error.body == body
    assert error.path == row.path(operation)
    assert re.search(row.says, str(error)), str(error)
    assert len(server.requests) == 1
    assert error.outcome_unknown is (operation == "add")


@pytest.mark.parametrize("fields", [{"last_updated": "yesterday"}, {"last_updated": 17}])
def test_7_a_timestamp_that_is_none(caller: Caller, fields: dict[str, Any]) -> None:
    error, _ = failing(caller, "list", replies(answer(200, [ROW, {**ROW, **fields}])))
    assert isinstance(error, APIResponseValidationError)
    assert error.path == "$[1].last_updated"


def test_7_an_entry_that_is_null(caller: Caller) -> None:
    error, _ = failing(caller, "list", replies(answer(200, [ROW, None])))
    assert isinstance(error, APIResponseValidationError)
    assert error.path == "$[1]"


def test_7_a_missing_field(caller: Caller) -> None:
    error, _ = failing(caller, "list", replies(answer(200, [{"id": 1}])))
    assert "the field 'sample_id' is missing at $[0]" in str(error)


def test_7_the_key_in_a_body_is_redacted(caller: Caller) -> None:
    error, _ = failing(caller, "list", replies(answer(200, [{"id": KEY}])))
    assert isinstance(error, APIResponseValidationError)
    assert error.body == b'[{"id": "[redacted]"}]'


@pytest.mark.parametrize("status", [200, 201])
def test_7_the_post_succeeds_with_both(caller: Caller, status: int) -> None:
    with Server(replies(answer(status, {**GOOD["add"], "x": [1]}))) as server:  # type: ignore[dict-item]
        layer = caller(added, base_url=server.base_url)
    assert layer.additional_properties == {"x": [1]}


@pytest.mark.parametrize(
    "content_type", [None, "application/vnd.api+json", "Application/JSON; x=y"]
)
def test_7_forms_of_the_content_type(caller: Caller, content_type: str | None) -> None:
    with Server(replies(answer(200, [ROW], content_type=content_type))) as server:
        assert len(caller(listed, base_url=server.base_url)) == 1


def test_7_a_number_out_of_range_in_an_unknown_field(caller: Caller, operation: str) -> None:
    body = row_with(x={"y": [10**400]})(operation)
    error, _ = failing(caller, operation, replies(answer(200, body)))
    assert isinstance(error, APIResponseValidationError)
    assert error.path == at(".x.y[0]")(operation)


# 8, as far as it is laid out: content codings and limits


def test_8_gzip(caller: Caller) -> None:
    body = gzip.compress(json.dumps([ROW] * 20_000).encode())
    with Server(replies(answer(200, body, content_encoding="gzip"))) as server:
        assert len(caller(listed, base_url=server.base_url)) == 20_000


@pytest.mark.parametrize(
    ("body", "coding", "says"),
    [
        (b"x" * 2000, None, "max_response_bytes=1000"),
        (gzip.compress(b" " * 2000), "gzip", "max_response_bytes=1000"),
        (gzip.compress(b"[]"), "gzip, gzip", "not asked for"),
        (b"[]", "br", "not asked for"),
        (b"[]", "gzip", "not valid gzip"),
        (gzip.compress(b"[]") + b"x", "gzip", "bytes follow"),
    ],
    ids=["plain", "bomb", "two codings", "brotli", "no gzip", "trailing bytes"],
)
def test_8_what_is_refused(
    caller: Caller, operation: str, body: bytes, coding: str | None, says: str
) -> None:
    headers = {} if coding is None else {"content_encoding": coding}
    error, server = failing(
        caller, operation, replies(answer(200, body, **headers)), max_response_bytes=1000
    )
    assert type(error) is APIResponseValidationError
    assert says in str(error)
    assert len(server.requests) == 1
    assert error.outcome_unknown is (operation == "add")


def test_8_a_truncated_gzip_is_a_truncated_answer(caller: Caller, operation: str) -> None:
    body = gzip.compress(json.dumps(GOOD[operation]).encode())[:-4]
    error, server = failing(caller, operation, replies(answer(200, body, content_encoding="gzip")))
    assert type(error) is APIConnectionError
    assert len(server.requests) == (4 if operation == "list" else 1)


def test_8_a_too_large_error_answer_keeps_its_status(caller: Caller, operation: str) -> None:
    error, _ = failing(
        caller, operation, replies(answer(401, b"x" * 2000)), max_response_bytes=1000
    )
    assert isinstance(error, AuthenticationError)


# 14. Arguments are checked before sending

BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"layer_id": "1"}, TypeError, "layer_id: Expected `int`, got"),
    ({"layer_id": True}, TypeError, "layer_id: Expected `int`, got `bool`"),
    ({"layer_id": 1.0}, TypeError, "layer_id: Expected `int`, got"),
    ({"layer_id": None}, TypeError, "layer_id: Expected `int`, got `null`"),
    ({"layer_id": 2**63}, ValueError, "layer_id: Expected `int` <="),
    ({"sample_id": -(2**63) - 1}, ValueError, "sample_id: Expected `int` >="),
    ({"id": object()}, TypeError, "id: `object` has no JSON form"),
    ({"composition_string": 5}, TypeError, "composition_string: Expected `str`, got `int`"),
    ({"composition_string": b"GaN"}, TypeError, "composition_string: `bytes` has"),
    ({"orientation": "\ud800"}, ValueError, "orientation: .*UTF-8"),
    ({"element_dict": [1]}, TypeError, "element_dict: Expected `object`"),
    ({"element_dict": {"Ba": "1"}}, TypeError, "element_dict.Ba: Expected `int | float`"),
    ({"element_dict": {"Ba": True}}, TypeError, "element_dict.Ba: Expected `int | float`"),
    ({"element_dict": {"Ba": float("nan")}}, ValueError, "element_dict.Ba: .*finite"),
    ({"element_dict": {"Ba": float("inf")}}, ValueError, "element_dict.Ba: .*finite"),
    ({"element_dict": {"Ba": -1}}, ValueError, "element_dict.Ba: Expected a number from 0"),
    ({"element_dict": {"Qq": 1}}, ValueError, 'element_dict: "Qq" is not one of the 118'),
    ({"element_dict": {"ba": 1}}, ValueError, 'element_dict: "ba" is not one of the 118'),
    ({"element_dict": {1: 1}}, TypeError, "element_dict: Expected `str` as a key"),
    ({"thickness": 5}, TypeError, "thickness"),
]


@pytest.mark.parametrize(("fields", "kind", "says"), BAD_ARGUMENTS)
def test_14_arguments_are_checked_before_sending(
    caller: Caller, fields: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with Server(replies(answer(201, GOOD["add"]))) as server, pytest.raises(kind, match=says):
        caller(lambda c: c.add_layer(**{"layer_id": 1, **fields}), base_url=server.base_url)
    assert server.connections == 0


# Hosts and addresses


def test_a_host_that_is_not_found(caller: Caller) -> None:
    with pytest.raises(APIConnectionError, match="Nothing was sent") as caught:
        caller(listed, base_url="https://no-such-host.invalid", max_tries=1)
    assert caught.value.__cause__ is None


def test_all_addresses_of_a_host_are_tried(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    # localhost is two addresses here; the server listens on the second alone.
    with Server(replies(answer(200, [ROW]))) as server:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port))
            for address in ("127.0.0.2", "127.0.0.1")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert len(caller(listed, base_url=f"http://localhost:{server.port}")) == 1


def test_when_no_address_answers_the_last_one_tells_why(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(lambda _: None) as server:
        pass
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port))
        for address in ("127.0.0.2", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(APIConnectionError, match="Errno 111"):
        caller(listed, base_url=f"http://localhost:{server.port}", max_tries=1)
