"""An OpenAPI document as the comparison reads it: `$ref`, `allOf`, unions and types undone.

Nothing is unfolded before it is asked for, so a schema may contain itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

__all__ = ["ANYTHING", "Invalid", "Node", "Spec", "type_of"]

Node: TypeAlias = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
ANYTHING: Node = {}
NOTHING: Node = {"enum": []}
TYPES = {
    bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array",
    dict: "object",
}  # fmt: skip


class Invalid(Exception):  # noqa: N818 - a message to who typed make
    """Why a spec cannot be compared."""


@dataclass(frozen=True)
class Spec:
    """A parsed document; `name` is what messages call it."""

    tree: Node
    name: str = "openapi.yaml"

    def resolved(self, node: Any) -> Node:
        """A mapping of the spec without its `$ref`; what stands beside it wins."""
        if isinstance(node, bool):
            return ANYTHING if node else NOTHING
        if not isinstance(node, dict):
            raise Invalid(f"{self.name}: {node!r:.60} stands where a mapping belongs")
        if "$ref" not in node:
            return node
        return {**self.resolved(self._target(node["$ref"])), **_without("$ref", node)}

    def _target(self, ref: str) -> Any:
        root, *steps = ref.split("/")
        target = self.tree if root == "#" else None
        for step in steps:
            name = step.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, dict) else None
        if target is None:
            raise Invalid(f"{self.name}: nothing is at $ref {ref!r}")
        return target

    def part(self, node: Node, word: str) -> Node:
        """The mapping below a word; an empty one where the word is missing."""
        return self.resolved(node.get(word) or {})

    def operations(self) -> dict[str, Node]:
        """The operations by their `operationId`, with the parameters of their path."""
        found: dict[str, Node] = {}
        for path, each in self.part(self.tree, "paths").items():
            item = self.resolved(each)
            for method in (method for method in METHODS if method in item):
                call = f"{method.upper()} {path}"
                operation = self.resolved(item[method])
                name = operation.get("operationId", call)
                if name in found:
                    raise Invalid(f"{self.name}: two operations have the operationId {name!r}")
                found[name] = {
                    **operation,
                    "call": call,
                    "parameters": _parameters(item, operation),
                }
        return found

    def merged(self, schema: Any) -> Node:
        """A schema with what its `allOf` adds."""
        node = self.resolved(schema)
        return reduce(_both, map(self.merged, node.get("allOf", ())), _without("allOf", node))

    def alternatives(self, schema: Any) -> dict[str, Node]:
        """A schema as alternatives of one type each, null among them; objects by their name."""
        return dict(self._alternatives(self.merged(schema), _name(schema)))

    def _alternatives(self, node: Node, name: str) -> Iterable[tuple[str, Node]]:
        union = next((word for word in ("anyOf", "oneOf") if word in node), None)
        if union is None:
            return [(name or kind if kind == "object" else kind, node) for kind in _types(node)]
        rest = _without(union, node)
        return [
            alternative
            for each in node[union]
            for alternative in self._alternatives(_both(rest, self.merged(each)), _name(each))
        ]


def _parameters(item: Node, operation: Node) -> list[Any]:
    return [*item.get("parameters", ()), *operation.get("parameters", ())]


def _without(word: str, node: Node) -> Node:
    return {key: value for key, value in node.items() if key != word}


def _both(one: Node, other: Node) -> Node:
    """A schema that asks for what both ask for."""
    together = {**one, **other}
    if "properties" in one and "properties" in other:
        together["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        together["required"] = [*one["required"], *other["required"]]
    return together


def _name(schema: Any) -> str:
    """What the spec calls a schema; empty when it stands where it is used."""
    return schema.get("$ref", "").rpartition("/")[2] if isinstance(schema, dict) else ""


def _types(node: Node) -> list[str]:
    """The types of a schema without unions; what says nothing may be `anything`."""
    declared = node.get("type")
    if declared is not None:
        types = [declared] if isinstance(declared, str) else declared
        without_null = None not in node.get("enum", [None])
        return [kind for kind in types if kind != "null" or not without_null]
    if "enum" in node or "const" in node:
        return [*dict.fromkeys(map(type_of, node.get("enum", [node.get("const")])))]
    if {"properties", "additionalProperties", "propertyNames", "required"} & node.keys():
        return ["object"]
    return ["array"] if "items" in node else ["anything"]


def type_of(value: Any) -> str:
    """The JSON type of a value; YAML's dates are strings there."""
    return TYPES.get(type(value), "string")
