"""Rows on redirects, statuses and bodies: promises 5 to 7."""

import ast
import gzip
import json
import re
import ssl
from collections.abc import Callable
from functools import cache, partial
from types import NoneType
from typing import Any, get_args
from urllib.parse import quote

import attrs
import httpx
import pytest

from atomscale_target_materials import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
    _codec,
    _operations,
    _wire,
)
from atomscale_target_materials._codec import _Response
from atomscale_target_materials._steps import Outcome

from ..conftest import KEY, Caller
from ..server import Peer, Server, answer, replies
from .mechanisms import Disable, Mechanism, reading, replacing, uncached
from .table import BOTH, CALLS, GOOD, ROW, Expected, Fault, counted, expect, once, wire

# Mechanisms


def _only_200(outcome: Outcome) -> Any:
    return _Response(outcome if outcome.status == 200 else attrs.evolve(outcome, status=299))


def _judging(change: Callable[[Outcome], Outcome]) -> Disable:
    """The body is judged with an outcome that was changed."""
    right = _codec._value_of
    return replacing(_codec, "_value_of", lambda outcome, *rest: right(change(outcome), *rest))


def _exactly_json(outcome: Outcome) -> Outcome:
    if outcome.headers.get("content-type") != "application/json":
        raise ValueError("no JSON")
    return outcome


def _none_if_unreadable(*args: Any) -> Any:
    try:
        return _codec.decode(*args)
    except APIResponseValidationError:
        return None


def _mended(body: bytes) -> Any:
    text = re.sub(r"/\*.*?\*/|//.*", "", bytes(body).decode()).strip()
    for end in ("", "}", "}]"):
        try:
            return ast.literal_eval(text + end)
        except SyntaxError:
            continue
    raise ValueError("no JSON")


def _first_document(body: bytes) -> Any:
    return json.JSONDecoder().raw_decode(bytes(body).decode())[0]


def _drops_what_is_unknown(patch: pytest.MonkeyPatch) -> None:
    right = _wire._Model._by_field

    def without_them(reader: Any, members: dict[str, Any]) -> Any:
        model = right(reader, members)
        model.additional_properties = {}
        return model

    patch.setattr(_wire._Model, "_by_field", without_them)


def _never_null(hint: Any) -> tuple[Any, ...]:
    return tuple(kind for kind in get_args(hint) if kind is not NoneType)


MECHANISMS: dict[str, Mechanism] = {
    "undocumented statuses": Mechanism(
        "_codec._Response",
        "a 2xx that the spec does not document is no success",
        replacing(_codec, "_Response", partial(_Response, raise_on_unexpected_status=False)),
    ),
    "documented statuses": Mechanism(
        "_codec._value_of",
        "every 2xx that the spec documents is a success",
        replacing(_codec, "_Response", _only_200),
    ),
    "content type": Mechanism(
        "_codec._value_of",
        "what does not call itself JSON is not read as JSON",
        _judging(lambda outcome: attrs.evolve(outcome, headers={})),
    ),
    "forms of the content type": Mechanism(
        "_codec._value_of",
        "JSON may have any of its names, or none",
        _judging(_exactly_json),
    ),
    "unreadable raises": Mechanism(
        "_codec.decode",
        "an answer that cannot be read is an error, never None",
        replacing(_operations, "decode", _none_if_unreadable),
    ),
    "no mending": Mechanism(
        "_wire.reader",
        "what is nearly JSON is none",
        reading(_mended),
    ),
    "whole body": Mechanism(
        "_wire.reader",
        "the body is one JSON value and nothing more",
        reading(_first_document),
    ),
    "UTF-8 alone": Mechanism(
        "_wire.reader",
        "no other encoding is guessed",
        reading(json.loads),
    ),
    "timestamps": Mechanism(
        "_wire._moment",
        "a timestamp is one of ISO 8601",
        uncached(replacing(_wire, "_moment", lambda text: text)),
    ),
    "unknown fields": Mechanism(
        "_wire._Model",
        "fields that the spec does not know are kept",
        uncached(_drops_what_is_unknown),
    ),
    "null is allowed": Mechanism(
        "_wire.reader, _wire._wire",
        "an optional field may be null",
        uncached(replacing(_wire, "get_args", _never_null)),
    ),
    "recursion guard": Mechanism(
        "_codec.decode, _codec._detail_of",
        "nesting that exhausts the interpreter's stack is a fault of the answer",
        lambda patch: patch.setattr(_codec, "RecursionError", KeyError, raising=False),
    ),
    "2,000 characters": Mechanism(
        "_codec.LONGEST_DETAIL",
        "no text of a server is longer in a message",
        replacing(_codec, "LONGEST_DETAIL", 10**9),
    ),
    "advice": Mechanism(
        "_codec._advice",
        "a message says what to do next",
        replacing(_codec, "_advice", lambda *_: ""),
    ),
    "HTML says nothing": Mechanism(
        "_codec._detail_of",
        "an HTML page is no detail",
        replacing(
            _codec, "_detail_of", lambda outcome: bytes(outcome.content).decode(errors="replace")
        ),
    ),
}


# 5. Redirects


@attrs.frozen
class Redirect:
    """May name the ports `{here}` and `{there}` and the `{path}` of the request."""

    status: int
    location: bytes | None
    shows: str | None = None
    """In the message; None: the location as it is."""
    body: Any = b""
    first: bytes = b""
    """What the first try is answered with."""
    https: bool = False


@cache
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server, and for a client that trusts it."""
    import trustme

    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return context, trusting


def redirected(caller: Caller, operation: str, redirect: Redirect) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            is_first = redirect.first and len(server.requests) == 1
            peer.send(redirect.first if is_first else head + where + b"\r\n\r\n" + body)

    head, _, body = answer(redirect.status, redirect.body).partition(b"\r\n\r\n")
    context, trusting = tls() if redirect.https else (None, None)
    with Server(replies(answer(201, GOOD["add"]))) as other, Server(script, context) as server:
        places = {b"{here}": server.port, b"{there}": other.port, b"{path}": PATHS[operation]}
        target = redirect.location or b""
        for place, value in places.items():
            target = target.replace(place, str(value).encode())
        where = b"" if redirect.location is None else b"\r\nlocation: " + target
        shown = re.escape(target.decode() if redirect.shows is None else redirect.shows)
        expected = Expected(
            error=APIStatusError,
            says=f" It redirects to {shown}; redirects are never followed: check base_url[.]",
            unknown=True,
            has={"status_code": redirect.status},
        )

        def call() -> Any:
            try:
                return caller(CALLS[operation], base_url=server.base_url, ssl_context=trusting)
            finally:
                assert not other.requests, "hands the key to another port"
                counted(caller, "requests", len(server.requests), 2 if redirect.first else 1)

        expect(caller, call, operation, expected)


def redirects(name: str, *forms: Redirect, mechanism: str = "no redirects") -> Fault:
    def check(caller: Caller, operation: str) -> None:
        for form in forms:
            redirected(caller, operation, form)

    return Fault(5, name, mechanism, check)


PATHS = {"list": "/target-materials/", "add": "/target-materials/layers/"}
ELSEWHERE = b"http://127.0.0.1:{there}{path}"

REDIRECTS = [
    redirects("moves to another port (301)", Redirect(301, ELSEWHERE)),
    redirects("is found at another host name (302)", Redirect(302, b"http://localhost:{there}/")),
    redirects(
        "sends a write to see a layer elsewhere (303)",
        Redirect(303, b"http://127.0.0.1:{there}/layers/5"),
    ),
    redirects("hands the request itself on (307)", Redirect(307, ELSEWHERE + b"?a=b#c")),
    redirects(
        "moves for good, to a relative target (308)",
        Redirect(308, b"../elsewhere/"),
        Redirect(308, b"//127.0.0.1:{there}{path}"),
    ),
    redirects("redirects from https to plain http", Redirect(307, ELSEWHERE, https=True)),
    redirects("redirects to itself", Redirect(307, b"http://127.0.0.1:{here}{path}")),
    redirects(
        "redirects the second try", Redirect(307, ELSEWHERE, first=answer(429, retry_after="0"))
    ),
    redirects(
        "offers a choice, with a layer in the body (300)",
        Redirect(300, ELSEWHERE, body=GOOD["add"]),
        mechanism="status first",
    ),
    redirects(
        "redirects without a target (302, 304)",
        Redirect(302, None, "(no location)"),
        Redirect(304, None, "(no location)"),
        mechanism="status first",
    ),
    redirects(
        "redirects to what is no address",
        Redirect(302, b"", "(no location)"),
        Redirect(302, b"javascript:alert(1)"),
        Redirect(302, b"\xff\xfe\x80", "\xff\xfe"),
        Redirect(302, b"http://[::1"),
        Redirect(302, b"http://127.0.0.1:99999999/"),
    ),
    redirects(
        "redirects with a user and a password",
        Redirect(307, b"http://user:word@127.0.0.1:{there}{path}"),
    ),
    redirects(
        "redirects to control characters",
        Redirect(307, b"http://[::1]/ \x1b[31m \xe2\x80\xae\x07x", "http://[::1]/ [31m x"),
        mechanism="clean texts",
    ),
    redirects(
        "redirects to a target of great length",
        Redirect(307, b"x" * 20_000, "x" * 2000),
        mechanism="2,000 characters",
    ),
    redirects(
        "echoes the key in the target",
        Redirect(
            307, b"https://a.invalid/?key=%s" % KEY.encode(), "https://a.invalid/?key=[redacted]"
        ),
        mechanism="scrubber",
    ),
]


# 6. Statuses outside 2xx

CLASSES: dict[int, type[APIStatusError]] = {
    400: BadRequestError, 401: AuthenticationError, 403: PermissionDeniedError, 404: NotFoundError,
    409: ConflictError, 418: APIStatusError, 422: UnprocessableEntityError, 429: RateLimitError,
    500: InternalServerError, 520: InternalServerError, 530: InternalServerError,
    599: InternalServerError, 600: APIStatusError, 999: APIStatusError,
}  # fmt: skip
CERTAINLY_NOT_DONE = (400, 401, 403, 404, 409, 422, 429)


@attrs.frozen
class Refusal:
    """An answer with a status outside 2xx, and what becomes of it."""

    status: int
    body: Any = b""
    detail: str | None = None
    says: str = ""
    """After status and detail."""
    content_type: str | None = attrs.field(default="application/json", kw_only=True)
    coding: str | None = attrs.field(default=None, kw_only=True)
    request_id: str = attrs.field(default="r-1", kw_only=True)
    shows_id: str = attrs.field(default="r-1", kw_only=True)
    key: str | None = attrs.field(default=KEY, kw_only=True)

    @property
    def reply(self) -> bytes:
        headers = {"x_request_id": self.request_id}
        if self.coding is not None:
            headers["content_encoding"] = self.coding
        return answer(self.status, self.body, content_type=self.content_type, **headers)

    @property
    def expected(self) -> Expected:
        told = f": {re.escape(self.detail)}" if self.detail else "[.]"
        return Expected(
            error=CLASSES[self.status],
            says=f"answered {self.status}{told}.*{self.says}",
            unknown=self.status not in CERTAINLY_NOT_DONE,
            has={"status_code": self.status, "detail": self.detail, "request_id": self.shows_id},
        )


def refuses(name: str, mechanism: str, *refusals: Refusal) -> Fault:
    def check(caller: Caller, operation: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AS_API_KEY", KEY)
            for each in refusals:
                script, expected = replies(each.reply), each.expected
                row = wire(6, name, mechanism, script, expected, key=each.key, max_tries=1)
                row.check(caller, operation)

    return Fault(6, name, mechanism, check)


def sends(name: str, mechanism: str, expected: Expected, *answers: bytes) -> Fault:
    """What is no HTTP as it should be."""

    def check(caller: Caller, operation: str) -> None:
        for data in answers:
            row = wire(6, name, mechanism, once(sending(data)), expected, max_tries=1)
            row.check(caller, operation)

    return Fault(6, name, mechanism, check)


def sending(data: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.send(data)


def nests(caller: Caller, operation: str) -> None:
    too_deep = Refusal(400, b"[" * 100_000, "[" * 2000)
    refuses("", "", too_deep).check(caller, operation)
    # Of these depths some can be decoded, but not be written out again.
    for depth in range(850, 1000):
        message = b'{"a":' * depth + b"1" + b"}" * depth
        content = b'{"detail": [{"loc": [], "msg": %s}]}' % message
        transport = httpx.MockTransport(partial(bad_request, content))
        call = partial(caller, CALLS[operation], transport=transport)
        expect(caller, call, operation, Expected(error=BadRequestError))


def bad_request(content: bytes, _: httpx.Request) -> httpx.Response:
    return httpx.Response(400, content=content)


HTML = b"<!doctype html><title>Bad gateway</title>"
MISSING = {"loc": ["body", "layer_id"], "msg": "Field required", "type": "missing"}
NO_NUMBER = {"loc": ["body", "element_dict", 0], "msg": "No number", "input": {"a": 1}}
ODD_KEY = "Sk-Te'st-\"0123456789/ABCDEF"
ECHOES = (
    ODD_KEY,
    quote(ODD_KEY),
    quote(ODD_KEY, safe=""),
    quote(ODD_KEY, safe="").replace("%2F", "%2f"),
    json.dumps(ODD_KEY)[1:-1],
    json.dumps(ODD_KEY)[1:-1].replace("/", "\\/"),
    "".join(f"%{ord(char):02x}" for char in ODD_KEY),
    "".join(f"\\u{ord(char):04X}" for char in ODD_KEY),
)
IS_IT_RIGHT = "Is base_url right: http://127"

REFUSALS = [
    refuses(
        "refuses with a status that has an error of its own",
        "error classes",
        *map(Refusal, (400, 409, 422, 500, 520, 530, 599)),
    ),
    refuses(
        "does not know the key (401)",
        "advice",
        Refusal(401, {"detail": "bad key"}, "bad key", "from the api_key argument"),
        Refusal(401, b"", None, "from the environment variable AS_API_KEY", key=None),
    ),
    refuses(
        "does not grant the scope (403)",
        "advice",
        Refusal(403, b"", None, "scope: `read` to list, `write` to add"),
    ),
    refuses(
        "is not the API (404)",
        "advice",
        Refusal(404, b"", None, IS_IT_RIGHT),
        Refusal(404, {"detail": "Not Found"}, "Not Found", IS_IT_RIGHT),
    ),
    refuses(
        "does not find the sample (404)",
        "reading of detail",
        Refusal(404, {"detail": "no sample 7"}, "no sample 7", "(?<=sample 7[.])$"),
    ),
    refuses(
        "is asked too often (429)",
        "advice",
        Refusal(429, b"", None, "Wait a while before the next"),
    ),
    refuses(
        "answers with a status that no standard knows",
        "status first",
        Refusal(999, GOOD["add"], '{"id":5,"layer_id":1}'),
        Refusal(600),
    ),
    sends(
        "answers with what is no final status",
        "one family of errors",
        Expected(error=APIConnectionError, unknown=True),
        *(answer(status, GOOD["add"]) for status in ("099", "000", "101", "1000", "2OO")),
    ),
    refuses(
        "lists its faults as FastAPI does",
        "reading of detail",
        Refusal(422, {"detail": [MISSING]}, "body.layer_id: Field required"),
        Refusal(
            422,
            {"detail": [MISSING, NO_NUMBER]},
            "body.layer_id: Field required; body.element_dict.0: No number",
        ),
    ),
    refuses(
        "gives a detail of an odd shape",
        "reading of detail",
        Refusal(400, {"detail": [1, {"loc": "body"}]}, '{"detail":[1,{"loc":"body"}]}'),
        Refusal(
            400,
            {"detail": [{"loc": "body", "msg": "no"}]},
            '{"detail":[{"loc":"body","msg":"no"}]}',
        ),
        Refusal(400, {"detail": []}, '{"detail":[]}'),
        Refusal(400, {"detail": {}}, '{"detail":{}}'),
        Refusal(400, {"detail": {"a": {"b": [None]}}}, '{"detail":{"a":{"b":[null]}}}'),
        Refusal(400, {"error": {"message": "no"}}, '{"error":{"message":"no"}}'),
        Refusal(400, ["no"], '["no"]'),
        Refusal(400, b"null", "null"),
    ),
    refuses(
        "refuses with an HTML page",
        "HTML says nothing",
        Refusal(520, HTML, content_type="text/html; charset=utf-8"),
        Refusal(530, b"\r\n" + HTML),
        Refusal(500, b"\xef\xbb\xbf" + HTML, content_type=None),
    ),
    refuses(
        "refuses in words that are no JSON",
        "reading of detail",
        Refusal(418, b"I am\n a teapot", "I am a teapot", content_type="text/plain"),
        Refusal(500, b"oops", "oops", content_type=None),
        Refusal(400, b"caf\xe9", "caf\ufffd", content_type="text/plain; charset=utf-16"),
        Refusal(400, b'{"detail":"a', '{"detail":"a'),
    ),
    Fault(6, "nests its refusal as deep as can be", "recursion guard", nests),
    sends(
        "breaks off its refusal",
        "status first",
        Expected(error=PermissionDeniedError, has={"detail": "no sco", "status_code": 403}),
        b"HTTP/1.1 403 X\r\ncontent-length: 99\r\n\r\nno sco",
        b"HTTP/1.1 403 X\r\ntransfer-encoding: chunked\r\n\r\n6\r\nno sco\r\nzz",
    ),
    refuses(
        "refuses in gzip",
        "gzip is decoded",
        Refusal(400, gzip.compress(b'{"detail": "no"}'), "no", coding="gzip"),
    ),
    refuses(
        "refuses in a coding that cannot be read",
        "status first",
        *(Refusal(401, b"xx", coding=coding) for coding in ("gzip", "br", "gzip, gzip")),
    ),
    sends(
        "refuses with an odd reason phrase",
        "status first",
        Expected(error=NotFoundError, has={"detail": None, "status_code": 404}),
        *(
            b"HTTP/1.1 404" + phrase + b"\r\ncontent-length: 0\r\n\r\n"
            for phrase in (b"", b" ", b" 200 OK", b" \xff\xfe\x1b[31m")
        ),
    ),
    refuses(
        "refuses at great length",
        "2,000 characters",
        Refusal(400, {"detail": "x" * 50_000}, "x" * 2000),
    ),
    refuses(
        "refuses in control characters",
        "clean texts",
        Refusal(
            400,
            {"detail": "a \x1b[31mb\r\n\u202ec \0d \x9be\u2028f"},
            "a [31mb c d e f",
            request_id="r \x1b[2J\x07",
            shows_id="r [2J",
        ),
    ),
    refuses(
        "echoes the key",
        "scrubber",
        *(
            Refusal(
                400,
                f"who is {echo}?".encode(),
                "who is [redacted]?",
                key=ODD_KEY,
                request_id=f"r-{echo}",
                shows_id="r-[redacted]",
            )
            for echo in ECHOES
        ),
        Refusal(400, f"who is {KEY}?".encode("utf-16-le"), "who is [redacted]?"),
        # Where the text is cut.
        Refusal(400, {"detail": "x" * 1995 + KEY}, "x" * 1995 + "[reda"),
    ),
]


# 7. A 2xx is judged strictly

Body = Callable[[str], bytes]
"""What an operation is answered with."""


def fields(**values: Any) -> Body:
    """The right answer but for these fields."""

    def body(operation: str) -> bytes:
        row = {**(GOOD["list"][0] if operation == "list" else GOOD["add"]), **values}
        return json.dumps([row] if operation == "list" else row).encode()

    return body


def member(text: bytes) -> Body:
    """The right answer with this text before its fields."""
    return lambda operation: fields()(operation).replace(b"{", b"{" + text + b", ", 1)


def whole(body: bytes) -> Body:
    return lambda _: body


def recoded(codec: str) -> Body:
    return lambda operation: fields()(operation).decode().encode(codec)


def mangled(old: bytes, new: bytes) -> Body:
    return lambda operation: fields()(operation).replace(old, new)


def followed_by(more: bytes) -> Body:
    return lambda operation: fields()(operation) + more


def swapped(operation: str) -> bytes:
    return json.dumps(GOOD["add" if operation == "list" else "list"]).encode()


@attrs.frozen
class Answer:
    """A 2xx that is refused."""

    says: str
    body: Body
    path: str | None = None
    """From the row on where it does not begin with `$`."""
    status: int = 200
    content_type: str = "application/json"

    def expected(self, operation: str) -> Expected:
        path = self.path
        if path is not None and not path.startswith("$"):
            path = ("$[0]" if operation == "list" else "$") + path
        return Expected(
            error=APIResponseValidationError,
            says=f"answered {self.status}, but not .*{self.says}.* in the error's [.]body[.]",
            unknown=True,
            has={
                "path": path,
                "body": self.body(operation).replace(KEY.encode(), b"[redacted]"),
            },
        )


def judged(
    name: str, mechanism: str, *answers: Answer, operations: tuple[str, ...] = BOTH
) -> Fault:
    def check(caller: Caller, operation: str) -> None:
        for each in answers:
            reply = answer(each.status, each.body(operation), content_type=each.content_type)
            row = wire(7, name, mechanism, replies(reply), each.expected(operation))
            row.check(caller, operation)

    return Fault(7, name, mechanism, check, operations)


def accepted(name: str, mechanism: str, body: Body, value: Callable[[Any], bool]) -> Fault:
    """A row that an answer is taken; `value` judges the row, or the layer."""

    def check(caller: Caller, operation: str) -> None:
        expected = Expected(value=lambda it: value(it[0] if operation == "list" else it))
        script = replies(answer(200, body(operation)))
        wire(7, name, mechanism, script, expected).check(caller, operation)

    return Fault(7, name, mechanism, check)


def called(name: str, mechanism: str, *content_types: str | None) -> Fault:
    """A row that an answer of these content types is taken."""

    def check(caller: Caller, operation: str) -> None:
        for each in content_types:
            script = replies(answer(200, GOOD[operation], content_type=each))
            wire(7, name, mechanism, script, Expected()).check(caller, operation)

    return Fault(7, name, mechanism, check)


MALFORMED = "(malformed|truncated)"
OPTIONAL = ("composition_string", "element_dict", "orientation", "space_group", "mp_id")
KEPT = {"x": [1, {"y": None}], "Id": "a", "additional_properties": {"": 0.5}}

SUCCESSES = [
    judged(
        "answers with a 2xx that is not documented",
        "undocumented statuses",
        *(
            Answer("not a documented success", fields(), status=status)
            for status in (202, 203, 205, 206, 226, 299)
        ),
    ),
    judged(
        "answers with no content (204)",
        "undocumented statuses",
        Answer("not a documented success", whole(b""), status=204),
    ),
    judged(
        "calls JSON something else",
        "content type",
        *(
            Answer(f"content type is '{kind}' instead", fields(), content_type=kind)
            for kind in ("image/png", "text/plain", "application/json-seq")
        ),
        # It forges the text in which msgspec names a path.
        Answer("content type is 'text/html", fields(), content_type="text/html - at `$.forged"),
    ),
    judged(
        "shows a login page",
        "unreadable raises",
        Answer("content type is 'text/html'", whole(HTML), content_type="text/html; charset=utf-8"),
        Answer(MALFORMED, whole(HTML)),
    ),
    judged(
        "has an empty body",
        "unreadable raises",
        Answer("the body is empty", whole(b"")),
        Answer(MALFORMED, whole(b" \r\n\t")),
    ),
    judged(
        "ends in the midst of the JSON",
        "no mending",
        Answer(MALFORMED, lambda operation: fields()(operation).rstrip(b"}]")),
    ),
    judged(
        "has quotes, comments or commas of its own",
        "no mending",
        Answer(MALFORMED, mangled(b'"', b"'")),
        Answer(MALFORMED, mangled(b"}", b",}")),
        Answer(MALFORMED, lambda operation: b"/* layers */ " + fields()(operation)),
        Answer("trailing", followed_by(b" // layers")),
    ),
    judged(
        "adds something after the JSON",
        "whole body",
        *(
            Answer("trailing", followed_by(more))
            for more in (b" x", b"\n{}", b"\0\0", b"]", b"\x1a")
        ),
    ),
    judged(
        "writes UTF-16, UTF-32 or a byte order mark",
        "UTF-8 alone",
        *(
            Answer(MALFORMED, recoded(codec), content_type=f"application/json; charset={codec}")
            for codec in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
        ),
    ),
    judged(
        "writes bytes that are no UTF-8",
        "strict JSON",
        *(
            Answer("'utf-8' codec", member(text), "")
            for text in (
                b'"mp_id": "\xff"',
                b'"x": {"y": ["caf\xe9"]}',
                b'"\xff": 1',
                b'"x": "\xc0\xaf"',
                b'"x": "\xed\xa0\x80"',
                b'"x": "\xf4\x90\x80\x80"',
                b'"x": "\xe2\x82"',
            )
        ),
    ),
    judged(
        "escapes half a character",
        "strict JSON",
        *(
            Answer(f"({MALFORMED}|surrogate)", member(text))
            for text in (b'"x": "\\ud800"', b'"x": "\\udc00"', b'"\\ud800": 1')
        ),
    ),
    judged(
        "writes NaN, an infinity or 1e400",
        "strict JSON",
        *(
            Answer(MALFORMED, member(b'"x": ' + number))
            for number in (b"NaN", b"Infinity", b"-Infinity")
        ),
        Answer("out of range", member(b'"x": 1e400'), ""),
        Answer("out of range", member(b'"x": {"y": [-1e400]}'), ""),
    ),
    judged(
        "counts beyond a double",
        "finite numbers",
        Answer("range of a double", fields(element_dict={"Ba": 10**400}), ".element_dict.Ba"),
        Answer("range of a double", fields(x={"y": [-(10**400)]}), ".x.y[0]"),
    ),
    judged(
        "gives an ID of more than 64 bits",
        "64 bits",
        Answer("Expected `int` <= 9223372036854775807", fields(id=2**63), ".id"),
        Answer("Expected `int` >= -9223372036854775808", fields(id=-(2**63) - 1), ".id"),
        Answer("Expected `int` <= 9223372036854775807", fields(layer_id=2**64), ".layer_id"),
    ),
    judged(
        "writes an integer as a float",
        "strict types",
        Answer("Expected `int`, got `float`", fields(id=1.0), ".id"),
        Answer("Expected `int`, got `float`", mangled(b'"id": ', b'"id": 1e2, "_": '), ".id"),
    ),
    judged(
        "mixes up texts and numbers",
        "strict types",
        Answer("Expected `int`, got `str`", fields(id="5"), ".id"),
        Answer("Expected `str`, got `int`", fields(mp_id=5), ".mp_id"),
        Answer("got `str`", fields(element_dict={"Ba": "0.5"}), ".element_dict.Ba"),
    ),
    judged(
        "writes a bool for a number",
        "strict types",
        Answer("Expected `int`, got `bool`", fields(id=True), ".id"),
        Answer("got `bool`", fields(element_dict={"Ba": 1, "O": False}), ".element_dict.O"),
    ),
    judged(
        "leaves out or nulls what every entry has",
        "typed decoding",
        Answer("the field 'id' is missing", mangled(b'"id"', b'"ID"'), ""),
        Answer("Expected `int`, got `null`", fields(id=None), ".id"),
    ),
    judged(
        "has a null among the entries",
        "typed decoding",
        Answer("Expected `object`, got `null`", whole(json.dumps([ROW, None]).encode()), "$[1]"),
        operations=("list",),
    ),
    judged(
        "nests a wrong type in the elements",
        "typed decoding",
        Answer("got `null`", fields(element_dict={"Ga": 1, "N": None}), ".element_dict.N"),
        Answer("got `object`", fields(element_dict={"Ga": {"x": 1}}), ".element_dict.Ga"),
        Answer("got `array`", fields(element_dict={"a b": [1]}), '.element_dict["a b"]'),
    ),
    judged(
        "has another shape",
        "typed decoding",
        Answer("Expected `(array|object)`, got `(object|array)`", swapped, "$"),
        Answer("Expected `(array|object)`, got `null`", whole(b"null"), "$"),
        Answer("Expected `(array|object)`, got `str`", whole(b'"ok"'), "$"),
        Answer("Expected `object`, got `array`", fields(element_dict=[]), ".element_dict"),
    ),
    judged(
        "reports an error with status 200",
        "typed decoding",
        Answer(
            "(Expected `array`, got `object`|the field 'id' is missing)",
            whole(b'{"detail": "Not authenticated"}'),
            "$",
        ),
    ),
    judged(
        "dates an entry with what is no timestamp",
        "timestamps",
        *(
            Answer("Invalid ISO 8601 timestamp", fields(last_updated=text), ".last_updated")
            for text in ("yesterday", "", "2024-13-01T00:00:00Z", "15.01.2024", "1705316400")
        ),
        Answer("Expected `str`, got `int`", fields(last_updated=17), ".last_updated"),
        operations=("list",),
    ),
    judged(
        "nests without end",
        "recursion guard",
        Answer("nested too deeply", member(b'"x": ' + b"[" * 100_000 + b"]" * 100_000)),
        Answer("nested too deeply", member(b'"x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000)),
        Answer("nested too deeply", member(b'"x": ' + b"[" * 2000 + b"]" * 2000)),
    ),
    judged(
        "sends the key back in a field",
        "scrubber",
        Answer("got `str`", fields(id=KEY), ".id"),
        Answer("got `str`", fields(element_dict={KEY: KEY}), '.element_dict["[redacted]"]'),
        Answer("type is '\\[redacted\\]'", fields(), content_type=KEY),
    ),
    judged(
        "names a field with control characters",
        "clean texts",
        Answer(
            "got `null`",
            fields(element_dict={"a\x1b[2J \u202eb \x7fc": None}),
            '.element_dict["a\\u001b[2J b c"]',
        ),
    ),
    wire(
        7,
        "answers a write with 201",
        "documented statuses",
        replies(answer(201, GOOD["add"])),
        Expected(value=lambda layer: bool(layer.id == 5)),
        operations=("add",),
    ),
    called(
        "calls JSON by another of its names, or by none",
        "forms of the content type",
        "application/vnd.api+json",
        "application/problem+json",
        "Application/JSON; charset=latin-1",
        None,
    ),
    accepted(
        "adds fields that the spec does not know",
        "unknown fields",
        fields(**KEPT),
        lambda row: bool(row.additional_properties == KEPT),
    ),
    accepted(
        "has null for every optional field",
        "null is allowed",
        fields(**dict.fromkeys(OPTIONAL)),
        lambda row: bool(row.element_dict is None and row.mp_id is None),
    ),
]


def sends_the_key_in_utf_16(caller: Caller, operation: str) -> None:
    body = json.dumps({"id": KEY}).encode("utf-16-le")
    with (
        Server(replies(answer(200, body))) as server,
        pytest.raises(APIResponseValidationError) as caught,
    ):
        caller(CALLS[operation], base_url=server.base_url)
    assert KEY.encode() not in (caught.value.body or b"").replace(b"\0", b"")


ROWS: list[Fault] = [
    *REDIRECTS,
    *REFUSALS,
    *SUCCESSES,
    Fault(7, "sends the key back in UTF-16", "scrubber", sends_the_key_in_utf_16),
]
