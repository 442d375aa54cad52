"""`client.call` on operations that the spec does not have: modules as the generator writes them."""

import datetime
import sys
import types
from typing import Any

import attrs
import httpx
import numpy as np
import pytest

from atomscale_target_materials import (
    UNSET,
    APIResponseValidationError,
    BadRequestError,
    Client,
    InternalServerError,
    _operations,
)
from atomscale_target_materials._codec import failure_of
from atomscale_target_materials._settings import Secret, Settings
from atomscale_target_materials._steps import Failure, Outcome, Request, Send
from atomscale_target_materials_api.api.target_materials import (
    add_target_material_layer,
    list_target_materials,
)
from atomscale_target_materials_api.models import LayerCreate

from .conftest import KEY, Caller
from .server import Server, answer, replies

# What the generator writes for a PATCH with path, query and header parameters and three successes.
SOURCE = """
from io import BytesIO
from typing import Any, cast
from urllib.parse import quote
import datetime
from atomscale_target_materials_api import errors
from atomscale_target_materials_api.models import Error, Layer, LayerCreate
from atomscale_target_materials_api.types import UNSET, File, Unset

def _get_kwargs(note, *, body: LayerCreate, since: datetime.date | Unset = UNSET,
                limit: int | Unset = UNSET, x_tag: str | Unset = UNSET) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_tag, Unset):
        headers["X-Tag"] = x_tag
    params: dict[str, Any] = {}
    json_since: str | Unset = UNSET
    if not isinstance(since, Unset):
        json_since = since.isoformat()
    params["since"] = json_since
    params["limit"] = limit
    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}
    kwargs: dict[str, Any] = {
        "method": "patch",
        "url": "/notes/{note}/layers/".format(note=quote(str(note), safe="")),
        "params": params,
    }
    kwargs["json"] = body.to_dict()
    headers["Content-Type"] = "application/json"
    kwargs["headers"] = headers
    return kwargs

_get_kwargs.__annotations__["note"] = str

def _parse_response(*, client, response) -> Any | Error | File | str | None:
    if response.status_code == 200:
        return File(payload=BytesIO(response.content))
    if response.status_code == 203:
        return cast(str, response.text)
    if response.status_code == 204:
        return cast(Any, None)
    if response.status_code == 404:
        return Error.from_dict(response.json())
    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    return None
"""


@pytest.fixture(scope="module")
def patch_note() -> types.ModuleType:
    module = types.ModuleType("atomscale_target_materials_api.api.notes.patch_note")
    exec(SOURCE, vars(module))
    sys.modules[module.__name__] = module
    return module


BODY = LayerCreate(layer_id=1)


def test_what_is_sent(caller: Caller, patch_note: types.ModuleType) -> None:
    with Server(replies(b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
        result = caller(
            lambda client: client.call(
                patch_note,
                note="a/b ?",
                body=BODY,
                since=datetime.date(2024, 1, 15),
                limit=np.int64(3),
                x_tag="t",
            ),
            base_url=server.base_url,
        )
    assert result is None
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PATCH /notes/a%2Fb%20%3F/layers/?since=2024-01-15&limit=3 HTTP/1.1")
    assert b"X-Tag: t" in head
    assert body == b'{"layer_id":1}'


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        (answer(200, b"\x00\x01", content_type="application/octet-stream"), b"\x00\x01"),
        (answer(203, b"text", content_type="text/plain"), "text"),
    ],
)
def test_answers_that_are_no_json(
    caller: Caller, patch_note: types.ModuleType, reply: bytes, read: Any
) -> None:
    with Server(replies(reply)) as server:
        result = caller(
            lambda client: client.call(patch_note, note="n", body=BODY), base_url=server.base_url
        )
    assert (result.payload.read() if isinstance(read, bytes) else result) == read


def test_an_undocumented_success(caller: Caller, patch_note: types.ModuleType) -> None:
    with (
        Server(replies(answer(202, b"{}"))) as server,
        pytest.raises(APIResponseValidationError, match="not a documented success"),
    ):
        caller(
            lambda client: client.call(patch_note, note="n", body=BODY), base_url=server.base_url
        )


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({}, TypeError, "missing 1 required .*'note'"),
    ({"note": "n", "body": BODY, "x": 1}, TypeError, "got an unexpected keyword argument 'x'"),
    ({"note": 5, "body": BODY}, TypeError, "note: Expected `str`, got `int`"),
    ({"note": "n", "body": BODY, "limit": "3"}, TypeError, "limit: Expected `int`, got `str`"),
    ({"note": "n", "body": BODY, "since": "x"}, ValueError, "since: Invalid RFC3339"),
    ({"note": "n", "body": {"layer_id": 1}}, TypeError, "body: Expected `LayerCreate`, got `dict`"),
    ({"note": "n", "body": LayerCreate(layer_id="1")}, TypeError, "body.layer_id: Expected `int`"),  # type: ignore[arg-type]
    ({"note": "", "body": BODY}, ValueError, "note: '' cannot be a part of the path"),
    ({"note": ".", "body": BODY}, ValueError, r"note: '\.' cannot be a part of the path"),
    ({"note": "..", "body": BODY}, ValueError, r"note: '\.\.' cannot be a part of the path"),
    ({"note": "n", "body": BODY, "x_tag": "a\r\nX: 1"}, ValueError, "x-tag: a header has no"),
    ({"note": "n" * 70_000, "body": BODY}, ValueError, "PATCH: URL too long"),
]


@pytest.mark.parametrize(("parameters", "kind", "says"), WRONG)
def test_wrong_parameters(
    caller: Caller,
    patch_note: types.ModuleType,
    parameters: dict[str, Any],
    kind: type[Exception],
    says: str,
) -> None:
    with Server(replies(answer())) as server, pytest.raises(kind, match=says):
        caller(lambda client: client.call(patch_note, **parameters), base_url=server.base_url)
    assert server.connections == 0


def test_a_body_that_may_be_left_out() -> None:
    module = types.ModuleType("optional")
    exec(SOURCE.replace("body: LayerCreate,", "body: LayerCreate | Unset = UNSET,"), vars(module))
    with pytest.raises(TypeError, match=r"^body: Expected `.*LayerCreate \| .*Unset`, got `dict`$"):
        _operations.request_of(module, {"note": "n", "body": {}})


def test_what_is_unset_is_not_sent(patch_note: types.ModuleType) -> None:
    with (
        Server(replies(b"HTTP/1.1 204 No Content\r\n\r\n")) as server,
        Client(KEY, base_url=server.base_url) as client,
    ):
        client.call(patch_note, note="n", body=BODY, limit=UNSET, since="2024-01-15")
    assert b"/layers/?since=2024-01-15 HTTP" in server.requests[0]


def test_an_empty_value_elsewhere_than_in_the_path_is_fine(patch_note: types.ModuleType) -> None:
    with (
        Server(replies(b"HTTP/1.1 204 No Content\r\n\r\n")) as server,
        Client(KEY, base_url=server.base_url) as client,
    ):
        client.call(patch_note, note="n", body=BODY, x_tag="")
    assert b"X-Tag:" in server.requests[0]


@pytest.mark.parametrize("operation", [None, httpx, "list_target_materials"])
def test_what_is_no_operation(operation: Any) -> None:
    with Client(KEY) as client, pytest.raises(TypeError, match="operation: use a module of"):
        client.call(operation)


def test_a_body_that_holds_itself() -> None:
    body: list[Any] = []
    body.append(body)
    told = "body: Expected `LayerCreate`, got `list`"
    with Client(KEY) as client, pytest.raises(TypeError, match=told):
        client.call(add_target_material_layer, body=body)


SETTINGS = Settings.resolve(Secret(KEY), Secret(None), 30.0, 3, 1000, proxied=False)
REQUEST = Request("GET", "/target-materials/", {})


def test_each_try_has_what_is_left_of_the_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    flow = _operations.call(SETTINGS, list_target_materials, {})
    refused = Outcome(29.0, 0.0, 0.5, 503, {}, b"busy", None, end=1030.0)
    assert next(flow) == Send(SETTINGS, REQUEST, 0.0, None)
    assert flow.send(refused) == Send(SETTINGS, REQUEST, 0.25, 1030.0)
    again = attrs.evolve(refused, left=28.0, status=None, failure=Failure("reset"))
    assert flow.send(again) == Send(SETTINGS, REQUEST, 0.5, 1030.0)
    with pytest.raises(InternalServerError, match=r" It was tried 3 times\.$"):
        flow.send(attrs.evolve(refused, left=26.5))
    assert caplog.messages == [
        f"{REQUEST}: 503, try 1, 1.000 s, 4 bytes",
        f"{REQUEST} answered 503. Try 2 of 3 in 0.25 s.",
        f"{REQUEST}: no answer, try 2, 0.750 s, 4 bytes",
        f"{error_of(again)} Try 3 of 3 in 0.50 s.",
        f"{REQUEST}: 503, try 3, 1.000 s, 4 bytes",
    ]


def error_of(outcome: Outcome) -> Any:
    return failure_of(REQUEST, outcome, SETTINGS)


def test_how_often_it_was_tried_is_told_from_the_second_try_on() -> None:
    flow = _operations.call(SETTINGS, list_target_materials, {})
    refused = Outcome(29.0, 0.0, 0.5, 503, {}, b"busy", None, end=1030.0)
    next(flow)
    flow.send(refused)
    with pytest.raises(BadRequestError, match=r" It was tried 2 times\.$"):
        flow.send(attrs.evolve(refused, status=400))
    flow = _operations.call(SETTINGS, list_target_materials, {})
    next(flow)
    with pytest.raises(BadRequestError, match=r"answered 400: busy\.$"):
        flow.send(attrs.evolve(refused, status=400))
