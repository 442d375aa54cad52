"""The judge of answers: what the client makes of one is a valid value, or an `AtomscaleError`.

It is pure, and does not know how an answer was made: hypothesis and atheris ask the same one.
"""

import datetime
import html
import json
import pickle
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Self
from urllib.parse import unquote

import attrs
import jsonschema_rs

import atomscale_target_materials_api.api.target_materials.add_target_material_layer as add
import atomscale_target_materials_api.api.target_materials.list_target_materials as listing
from atomscale_target_materials import APIResponseValidationError, AtomscaleError
from atomscale_target_materials._codec import LONGEST_DETAIL
from atomscale_target_materials._operations import call
from atomscale_target_materials._settings import Secret, Settings
from atomscale_target_materials._steps import Outcome
from atomscale_target_materials.sandbox._contract import load_spec
from atomscale_target_materials_api.models import LayerCreate

KEY = "Sk-7f'Q\"x%2F/9\\Lm+Zt&w2<e>u"
"""Each encoder escapes something of it."""
URL = "http://127.0.0.1/prefix"
SETTINGS = Settings.resolve(Secret(KEY), Secret(URL), 30.0, 2, 2**26, proxied=False)
INT64 = {"minimum": -(2**63), "maximum": 2**63 - 1}


def _with_int64(schema: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema leaves this format to OpenAPI, where it is a number of 64 bits."""
    return schema | INT64 if schema.get("format") == "int64" else schema


SPEC = json.loads(json.dumps(load_spec()), object_hook=_with_int64)
OPERATIONS: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "list": (listing, {}, "/target-materials/", "get"),
    "add": (add, {"body": LayerCreate(layer_id=1)}, "/target-materials/layers/", "post"),
}
STRICTER = {
    "1.0 where an integer is declared": r"Expected `int`, got `float`",
    "an integer beyond every double": r"Expected a finite number in the range of a double",
    "a leap second": r"Invalid ISO 8601 timestamp",
    "nesting of hundreds of levels": r"nested too deeply",
}
"""What a schema accepts and the client refuses, on purpose, and what it says then."""
ISO_8601 = r"(?ai)[\dW-]+([T ][\d:.,]+(Z|[+-]\d\d(:?\d\d)?)?)?"
"""Characters and offset; the rest is seen by what reads it."""


@attrs.frozen
class Answer:
    """What a server says to one operation; any bytes are one, the files of the corpus too."""

    operation: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, data: bytes) -> Self:
        """`list 200`, a line for each header, an empty line, the body."""
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.decode("latin-1").split("\n")
        digits = re.search(r"(?a)\d{3}", first)
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        operation = "add" if first.startswith("a") else "list"
        return cls(operation, int(digits[0]) if digits else 200, headers, body)

    @property
    def kind(self) -> str:
        """The content type, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip()

    def __bytes__(self) -> bytes:
        lines = [f"{self.operation} {self.status}", *map(": ".join, self.headers.items())]
        return "\n".join(lines).encode("latin-1", "replace") + b"\n\n" + self.body


@cache
def schema_of(operation: str, status: int) -> Any:
    """What judges the value of a success, formats too; None: the spec has no such success."""
    *_, path, method = OPERATIONS[operation]
    response = SPEC["paths"][path][method]["responses"].get(str(status))
    if response is None or not 200 <= status <= 299:
        return None
    schema = response["content"]["application/json"]["schema"]
    whole = {**schema, "components": SPEC["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def judge(answer: Answer, settings: Settings = SETTINGS) -> Any:
    """What the client makes of an answer, in plain values; AssertionError if it should not."""
    try:
        value = _outcome(answer, settings)
    except AtomscaleError as error:
        _judge_error(answer, error)
        return type(error), str(error), vars(error)
    plain = plain_of(value)
    assert schema_of(answer.operation, answer.status).is_valid(plain), plain
    assert re.search("(?i)json$|^$", answer.kind), answer.headers
    try:
        encoded = dumped(plain)
        assert encoded == dumped(_as_read(json.loads(answer.body.decode()), answer))
    except RecursionError:  # The json of Python goes less deep than the client.
        return plain
    again = _outcome(attrs.evolve(answer, body=encoded.encode()), settings)
    assert again == value
    assert dumped(plain_of(again)) == encoded
    return plain


def _outcome(answer: Answer, settings: Settings) -> Any:
    """What a call comes to when this answer comes to each try."""
    operation, parameters, *_ = OPERATIONS[answer.operation]
    came = answer.status, answer.headers, answer.body, None, None
    outcome = Outcome(settings.timeout, 1.7e9, 0.5, *came)
    flow = call(settings, operation, parameters)
    next(flow)
    try:
        for _ in range(settings.max_tries):
            assert 0 <= flow.send(outcome).pause < settings.timeout
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it was tried too often")


def plain_of(value: Any) -> Any:
    """A value as JSON has it."""
    return [*map(plain_of, value)] if isinstance(value, list) else value.to_dict()


def dumped(value: Any) -> str:
    """As text, for comparing: 1, 1.0 and true differ there."""
    return json.dumps(value, sort_keys=True)


def _as_read(given: Any, answer: Answer) -> Any:
    """Each timestamp of the list in the one form in which it is written."""
    for row in given if answer.operation == "list" else ():
        if row.get("last_updated") is not None:
            assert re.fullmatch(ISO_8601, row["last_updated"]), row["last_updated"]
            moment = datetime.datetime.fromisoformat(row["last_updated"].upper())
            aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
            row["last_updated"] = aware.isoformat()
    return given


def _judge_error(answer: Answer, error: AtomscaleError) -> None:
    parts = [each for each in vars(error).values() if isinstance(each, str)]
    assert all(len(each) <= LONGEST_DETAIL for each in parts), parts
    assert len(str(error)) < 3 * LONGEST_DETAIL, len(str(error))
    for text in [str(error), *parts]:
        assert text.isprintable(), repr(text)
        assert not tells_key(text), text
    assert not error.outcome_unknown or answer.operation == "add", error
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
    assert {**vars(copy), "body": None} == {**vars(error), "body": None}
    is_success = 200 <= answer.status <= 299
    assert is_success == isinstance(error, APIResponseValidationError), error
    if isinstance(error, APIResponseValidationError):
        assert error.body is not None
        assert not tells_key(error.body.decode("latin-1")), error.body
        assert error.path is None or error.path.startswith("$")
        assert error.body == answer.body or b"[redacted]" in error.body
        known = any(re.search(each, str(error)) for each in STRICTER.values())
        assert known or not fits(answer), f"refused, but its schema accepts it: {error}"


def tells_key(text: str) -> bool:
    """Is the key in a text, as it is or as an encoder writes it?"""
    escaped = re.sub(r"\\{1,4}(?:u00|x)([0-9a-fA-F]{2})", lambda x: chr(int(x[1], 16)), text)
    entities = text
    for char in "<>\"'&":
        entities = entities.replace(html.escape(char), char)
    forms = (text, unquote(text), entities, *(escaped.replace("\\" * n, "\\") for n in (2, 4)))
    return any(KEY in each or KEY.replace('"', '\\"') in each for each in forms)


def fits(answer: Answer) -> bool:
    """Does the schema of this success accept the answer? JSON is what can be written again, too."""
    schema = schema_of(answer.operation, answer.status)
    if schema is None or answer.kind not in ("", "application/json"):
        return False
    try:
        given = json.loads(answer.body.decode(), parse_constant=int)
        json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
        return bool(schema.is_valid(given))
    except (ValueError, RecursionError):
        return False
