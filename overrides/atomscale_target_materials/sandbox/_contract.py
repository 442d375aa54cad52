"""The shipped `openapi.json` as the judge of requests and answers: no shape is written twice."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import attrs
import jsonschema_rs

import atomscale_target_materials_api


@attrs.frozen
class Operation:
    """One operation of the spec."""

    operation_id: str
    method: str
    path: str
    body: jsonschema_rs.Draft202012Validator | None
    answers: dict[int, jsonschema_rs.Draft202012Validator | None]
    """Documented status -> validator of the body; None: no body."""


def load_spec() -> dict[str, Any]:
    """The spec that is shipped with the generated package."""
    text = files(atomscale_target_materials_api).joinpath("openapi.json").read_text("utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def operations_of(spec: dict[str, Any]) -> Iterator[Operation]:
    """Its operations, ready to judge."""
    for path, item in spec["paths"].items():
        for method in item.keys() & {"get", "put", "post", "delete", "patch", "head", "options"}:
            operation = item[method]
            answers = operation["responses"].items()
            yield Operation(
                operation["operationId"],
                method.upper(),
                path,
                _validator(spec, operation.get("requestBody")),
                {
                    int(status): _validator(spec, answer)
                    for status, answer in answers
                    if status.isdigit()
                },
            )


def _validator(
    spec: dict[str, Any], message: dict[str, Any] | None
) -> jsonschema_rs.Draft202012Validator | None:
    while message and "$ref" in message:
        *_, section, name = message["$ref"].split("/")
        message = spec["components"][section][name]
    schema = (message or {}).get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return None
    return jsonschema_rs.Draft202012Validator({**schema, "components": spec["components"]})


MOST_TO_TELL = 4 << 20
"""Faults times bytes: the validator copies much of the body for each fault that it tells."""


def faults(
    validator: jsonschema_rs.Draft202012Validator, body: Any, size: int
) -> list[dict[str, Any]]:
    """What is wrong with a request body, in FastAPI's form; empty when nothing is."""
    try:
        count = len(validator.evaluate(body).errors())
        if count * size > MOST_TO_TELL:
            told = f"too many faults to tell in a body of {size} bytes: {count}"
            return [{"loc": ["body"], "msg": told, "type": "too_many"}]
        return [_fault(error) for error in validator.iter_errors(body)]
    except ValueError as error:  # nested deeper than the validator goes
        return [{"loc": ["body"], "msg": str(error), "type": "recursion"}]


def _fault(error: jsonschema_rs.ValidationError) -> dict[str, Any]:
    kind: Any = error.kind
    place = [*error.instance_path]
    if kind.name == "anyOf":
        # The first form is the one that was meant: the other is null.
        inner = _fault(kind.context[0][0])
        return {**inner, "loc": max(inner["loc"], ["body", *place], key=len)}
    if kind.name == "required":
        place.append(kind.property)
    if kind.name == "additionalProperties":
        place.append(kind.unexpected[0])
    return {"loc": ["body", *place], "msg": error.message, "type": kind.name}
