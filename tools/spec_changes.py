"""What a change of the OpenAPI spec means for people whose code uses the client.

Pure: two parsed documents in, a list of changes out. What is sent may only grow (a new optional
field is fine, a new required one breaks), what is answered may only shrink (a field that is always
there is fine, one that may be null breaks). A schema that is used on both sides is judged twice.
What no rule knows counts as breaking: better a false alarm than a broken user.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, NamedTuple, TypeAlias

__all__ = ["Change", "Invalid", "Kind", "Spec", "spec_changes"]

Kind: TypeAlias = Literal["breaking", "additive", "other"]
Node: TypeAlias = dict[str, Any]
Alternatives: TypeAlias = dict[str, Node]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
ANYTHING: Node = {}
TYPES = {
    str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null",
    list: "array", dict: "object",
}  # fmt: skip
# An integer is a number too.
KIN = {"integer": "number", "number": "integer"}
# The generator makes Python types of their own of these.
TYPED_FORMATS = {"binary", "date", "date-time", "uuid"}
WIDER_FORMAT = {"int32": "int64", "float": "double"}
LOWER = {"exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum"}
UPPER = {"exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum"}
LIMITS = sorted(LOWER | UPPER | {"multipleOf", "pattern", "uniqueItems"})
TEXTS = {
    "$comment", "callbacks", "deprecated", "description", "example", "examples", "externalDocs",
    "headers", "info", "links", "servers", "summary", "title", "webhooks",
}  # fmt: skip
AUTHENTICATION = {"security", "securitySchemes"}
JUDGED = TEXTS | {
    *LIMITS, "$defs", "additionalProperties", "const", "enum", "format", "items", "properties",
    "propertyNames", "required", "type",
}  # fmt: skip
# Their keys are names, not words of the specification: a field may be called `description`.
NAMED = {
    "$defs", "examples", "parameters", "pathItems", "paths", "properties", "requestBodies",
    "responses", "schemas",
}  # fmt: skip


class Invalid(Exception):  # noqa: N818 - a message to who typed make
    """Why a spec cannot be compared."""


class Change(NamedTuple):
    """One finding: its place as the spec writes it, and what it means for the user."""

    kind: Kind
    where: str
    what: str


def spec_changes(old: "Spec", new: "Spec") -> list[Change]:
    """All that changed from one spec to the other, once each."""
    if old.tree == new.tree:
        return []
    try:
        found = [*_operations(old, new), *_texts(old.tree, new.tree, ())]
    except RecursionError:
        raise Invalid("a $ref or allOf leads to itself without end") from None
    unjudged = Change("other", new.name, "changed in a place that no operation uses")
    return list(dict.fromkeys(found)) or [unjudged]


@dataclass(frozen=True)
class Spec:
    """A parsed document; `name` is what messages call it."""

    tree: Any
    name: str = "openapi.yaml"

    def resolved(self, node: Any) -> Node:
        """A node without its `$ref`; what stands beside it wins. Looked up only when asked."""
        if isinstance(node, bool):
            return ANYTHING if node else {"enum": []}
        if not isinstance(node, dict):
            raise Invalid(f"{self.name}: {node!r:.60} stands where a mapping belongs")
        if "$ref" not in node:
            return node
        beside = {word: value for word, value in node.items() if word != "$ref"}
        return {**self.resolved(self._target(node["$ref"])), **beside}

    def _target(self, ref: Any) -> Any:
        steps = str(ref).removeprefix("#/").replace("~1", "/").replace("~0", "~")
        node: Any = self.tree
        for step in str(ref).removeprefix("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, dict) else None
        if node is None:
            raise Invalid(f"{self.name}: nothing is at $ref {ref!r}")
        return node

    def part(self, node: Node, word: str) -> Node:
        """What a node has below a word: a mapping, empty where the word is not there."""
        return self.resolved(node.get(word) or {})

    def merged(self, schema: Any) -> Node:
        """A schema with what its `allOf` adds."""
        node = self.resolved(schema)
        own = {word: value for word, value in node.items() if word != "allOf"}
        return reduce(_both, map(self.merged, node.get("allOf", ())), own)

    def alternatives(self, schema: Any, name: str = "") -> Alternatives:
        """A schema as alternatives of one type each, null among them; objects by their name."""
        if isinstance(schema, dict) and "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
        node = self.merged(schema)
        union = next((word for word in ("anyOf", "oneOf") if word in node), None)
        if union is None:
            return {name if name and kind == "object" else kind: node for kind in _types(node)}
        rest = {word: value for word, value in node.items() if word != union}
        found: Alternatives = {}
        for each in node[union]:
            inner = _name(each)
            for label, one in self.alternatives(_both(rest, self.merged(each)), inner).items():
                found[f"{label} {len(found) + 1}" if label in found else label] = one
        return found

    def operations(self) -> dict[str, Node]:
        """The operations by the name that the user calls; parameters of the path included."""
        found: dict[str, Node] = {}
        for path, each in self.part(self.tree, "paths").items():
            item = self.resolved(each)
            for method in METHODS:
                if method in item:
                    operation = self.resolved(item[method])
                    call = f"{method.upper()} {path}"
                    name = operation.get("operationId", call)
                    if name in found:
                        raise Invalid(f"{self.name}: the operationId {name!r} is given twice")
                    shared = [*item.get("parameters", ()), *operation.get("parameters", ())]
                    found[name] = {**operation, "parameters": shared, "call": call}
        return found
