"""The private names of others that `overrides` uses are what it takes them for."""

import inspect
import types
from typing import Any, get_type_hints

import pytest

from atomscale_target_materials import _transport
from atomscale_target_materials_api.api.target_materials import (
    add_target_material_layer,
    list_target_materials,
)
from atomscale_target_materials_api.models import Error, Layer, LayerCreate, TargetMaterial

from .test_examples import BODY

KEYWORD = inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ("operation", "arguments", "success", "request_of"),
    [
        pytest.param(
            list_target_materials, {}, list[TargetMaterial],
            {"method": "get", "url": "/target-materials/"}, id="list",
        ),
        pytest.param(
            add_target_material_layer, {"body": LayerCreate.from_dict(BODY)}, Layer,
            {"method": "post", "url": "/target-materials/layers/", "json": BODY,
             "headers": {"Content-Type": "application/json"}}, id="add",
        ),
    ],
)  # fmt: skip
def test_the_private_names_that_we_use(
    operation: Any, arguments: dict[str, Any], success: Any, request_of: dict[str, Any]
) -> None:
    build, parse = operation._get_kwargs, operation._parse_response
    parameters = inspect.signature(build).parameters.values()
    assert {(each.name, each.kind) for each in parameters} == {(n, KEYWORD) for n in arguments}
    assert get_type_hints(build).get("body") is (LayerCreate if arguments else None)
    assert build(**arguments) == request_of
    parameters = inspect.signature(parse).parameters.values()
    assert [(each.name, each.kind) for each in parameters] == [
        ("client", KEYWORD), ("response", KEYWORD),
    ]  # fmt: skip
    assert get_type_hints(parse)["return"] == Error | success | None


def test_what_httpcore_hides_counts_as_left_over() -> None:
    stream = types.SimpleNamespace(fresh_until=0.0)
    response = types.SimpleNamespace(stream=None, extensions={"network_stream": stream})
    _transport.settle(response)
    assert stream.fresh_until < 0


def test_what_anyio_hides_counts_as_unread() -> None:
    stream = _transport.AsyncStream(types.SimpleNamespace(get_extra_info=lambda _: None))
    assert stream.get_extra_info("is_readable") is True
