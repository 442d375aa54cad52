"""The API as a page of the documentation, made from the spec."""

import json
from collections.abc import Iterable, Iterator
from typing import Any


def api_page(spec: Any) -> str:
    """The page, as Markdown, of an OpenAPI document whose bodies are all JSON."""
    parts = [*_head(spec)]
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            parts += _operation(spec, f"{method.upper()} {path}", operation)
    parts.append("## Schemas")
    for name, schema in spec["components"]["schemas"].items():
        parts += _schema(name, schema)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _head(spec: Any) -> Iterator[str]:
    yield "# The HTTP API"
    yield spec["info"]["description"]
    yield "This page is made from [openapi.yaml](openapi.yaml), and so is the client."
    yield "A1, A2 and B name the sections of [what is known of the API](api-reference.md)."
    yield "## Servers and keys"
    yield "\n".join(f"- `{server['url']}`: {server['description']}" for server in spec["servers"])
    for scheme in spec["components"]["securitySchemes"].values():
        yield f"The {scheme['in']} `{scheme['name']}`: {scheme['description']}"


def _operation(spec: Any, request: str, operation: Any) -> Iterator[str]:
    yield f"## {operation['summary']}"
    yield f"```http\n{request}\n```"
    yield operation["description"]
    answers = {status: _resolved(spec, each) for status, each in operation["responses"].items()}
    if "requestBody" in operation:
        yield from _body("Body", operation["requestBody"])
    success = next(status for status in answers if status.startswith("2"))
    yield from _body(f"Answer {success}", answers[success])
    rows = [
        (status, _type(_json(answer)["schema"]), answer["description"])
        for status, answer in answers.items()
    ]
    yield _table(("status", "body", "when"), rows)


def _body(name: str, holder: Any) -> Iterator[str]:
    yield f"**{name}**: {_type(_json(holder)['schema'])}, for example"
    yield f"```json\n{json.dumps(_json(holder)['example'], indent=2)}\n```"


def _schema(name: str, schema: Any) -> Iterator[str]:
    yield f"### {name}"
    yield schema["description"]
    required = schema.get("required", ())
    rows = [
        (f"`{field}`", _type(value), "yes" * (field in required), value["description"])
        for field, value in schema.get("properties", {}).items()
    ]
    if rows:
        yield _table(("field", "type", "required", "meaning"), rows)
    match schema["additionalProperties"]:
        case bool(allowed):
            yield f"Other fields are {'allowed' if allowed else 'refused'}."
        case values:
            yield f"The values: {_type(values)}."


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = ["| " + " | ".join(" ".join(cell.split()) for cell in row) + " |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "| --- " * len([*head]) + "|", *lines])


def _json(holder: Any) -> Any:
    return holder["content"]["application/json"]


def _resolved(spec: Any, value: Any) -> Any:
    if "$ref" not in value:
        return value
    for name in value["$ref"].split("/")[1:]:
        spec = spec[name]
    return spec


def _type(schema: Any) -> str:
    """A schema in a few words, which lead to the schemas that have a name."""
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": choices}:
            return " or ".join(map(_type, choices))
        case {"type": "array", "items": items}:
            return f"array of {_type(items)}"
        case {"type": str(kind)}:
            return kind
        case {"type": kinds}:
            return " or ".join(kinds)
    return "any"
