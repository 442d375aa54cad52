"""What a change of a schema means for people whose code uses the client.

What is sent may only grow: a new optional field is fine, a new required one breaks. What is
answered may only shrink: a field that is always there now is fine, one that may be null now breaks.
What no rule knows counts as breaking: a false alarm costs less than a broken user.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from spec_document import ANYTHING, Node, Spec, type_of

__all__ = ["TEXTS", "Change", "Changes", "Comparison", "Kind"]

Kind: TypeAlias = Literal["breaking", "additive", "other"]
Changes: TypeAlias = Iterator["Change"]
Types: TypeAlias = dict[str, Node]
Above: TypeAlias = frozenset[tuple[int, int]]

NO_OBJECTS = {"anything", "array", "boolean", "integer", "null", "number", "string"}
KIN = {"integer": "number", "number": "integer"}
# The generator makes Python types of their own of these.
TYPED_FORMATS = {"binary", "date", "date-time", "uuid"}
WIDER_FORMATS = {("int32", "int64"), ("float", "double")}
LOWER = {"exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum"}
UPPER = {"exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum"}
LIMITS = LOWER | UPPER | {"multipleOf", "pattern", "uniqueItems"}
TEXTS = {
    "$comment", "deprecated", "description", "example", "examples", "externalDocs", "summary",
    "title",
}  # fmt: skip
JUDGED = LIMITS | TEXTS | {
    "$defs", "additionalProperties", "const", "enum", "format", "items", "properties",
    "propertyNames", "required", "type",
}  # fmt: skip


class Change(NamedTuple):
    """One finding: its place as the spec writes it, and what it means for the user."""

    kind: Kind
    where: str
    what: str


@dataclass(frozen=True)
class Comparison:
    """Two specs, compared at a place of theirs (`root`) that is sent, or else answered."""

    old: Spec
    new: Spec
    root: str
    sent: bool

    def change(self, kind: Kind, path: str, what: str) -> Change:
        """A finding at a path below the root."""
        return Change(kind, " > ".join(filter(None, (self.root, path))), what)

    def narrower(self, path: str, what: str) -> Change:
        """Less is possible than before: that breaks who sends."""
        if self.sent:
            return self.change("breaking", path, f"{what}: what was sent so far may be refused")
        return self.change("additive", path, what)

    def wider(self, path: str, what: str) -> Change:
        """More is possible than before: that breaks who reads."""
        if self.sent:
            return self.change("additive", path, what)
        return self.change("breaking", path, f"{what}: code that reads it does not expect that")

    def presence(self, path: str, what: str, was: bool | None, now: bool | None) -> Changes:
        """Of a field, an argument or a body: is it required (True), optional, or not there?"""
        if was is now:
            return
        if now is None:
            yield self.change("breaking", path, f"the {what} is gone: code that uses it fails")
        elif was is None and now and self.sent:
            lacks = "calls without it fail"
            yield self.change("breaking", path, f"a new {what} that is required: {lacks}")
        elif was is None:
            optional = "optional " if self.sent else ""
            yield self.change("additive", path, f"a new {optional}{what}")
        elif now:
            yield self.narrower(path, f"the {what} is required now")
        else:
            yield self.wider(path, f"the {what} is optional now")

    def schema(self, old: Any, new: Any, path: str = "", above: Above = frozenset()) -> Changes:
        """All that changed in a schema; a pair that it is itself a part of is not met again."""
        if (id(old), id(new)) in above:
            return
        above |= {(id(old), id(new))}
        before, after = self.old.alternatives(old), self.new.alternatives(new)
        pairs = _pairs(before, after)
        yield from self._types(path, before, after, pairs)
        for was, now in pairs:
            place = path if len(pairs) == 1 else f"{path}<{now}>"
            one, other = before[was], after[now]
            yield from self._values(place, now, one, other)
            yield from self._format(place, now, one, other)
            yield from self._limits(place, one, other)
            if now == "array":
                items = one.get("items", ANYTHING), other.get("items", ANYTHING)
                yield from self.schema(*items, f"{place}[]", above)
            elif now not in NO_OBJECTS:
                yield from self._fields(place, one, other, above)
                yield from self._other_fields(place, one, other, above)
            yield from self._unknown(place, one, other)

    def _types(
        self, path: str, before: Types, after: Types, pairs: list[tuple[str, str]]
    ) -> Changes:
        was, now = {*before}, {*after}
        # An integer is a number too, and anything is all of them.
        gone = was - now - {one for one, other in pairs if (one, other) != ("number", "integer")}
        come = now - was - {other for one, other in pairs if (one, other) != ("integer", "number")}
        gone = set() if "anything" in now else gone
        come = set() if "anything" in was else come
        if "null" in come:
            yield self.wider(path, "can be null now")
        if "null" in gone:
            yield self.narrower(path, "can no longer be null")
        gone, come = gone - {"null"}, come - {"null"}
        what = f"{_listed(before)} became {_listed(after)}"
        if gone and come:
            yield self.change("breaking", path, what)
        elif gone:
            yield self.narrower(path, what)
        elif come:
            yield self.wider(path, what)

    def _values(self, path: str, kind: str, old: Node, new: Node) -> Changes:
        was, now = _allowed(old, kind), _allowed(new, kind)
        if was is None and now is not None:
            yield self.narrower(path, f"only {', '.join(now)} from now on")
        elif was is not None and now is None:
            yield self.wider(path, f"not only {', '.join(was)} any more")
        elif was is not None and now is not None:
            gone, come = (
                [one for one in was if one not in now],
                [one for one in now if one not in was],
            )
            if gone:
                yield self.narrower(path, f"no longer {', '.join(gone)}")
            if come:
                yield self.wider(path, f"{', '.join(come)} too from now on")

    def _format(self, path: str, kind: str, old: Node, new: Node) -> Changes:
        was, now = old.get("format"), new.get("format")
        if was == now:
            return
        what = f"format {was or 'none'} became {now or 'none'}"
        if kind == "string" and {was, now} & TYPED_FORMATS:
            yield self.change("breaking", path, f"{what}: its Python type is another")
        elif was is None or (now, was) in WIDER_FORMATS:
            yield self.narrower(path, what)
        elif now is None or (was, now) in WIDER_FORMATS:
            yield self.wider(path, what)
        else:
            yield self.change("breaking", path, what)

    def _limits(self, path: str, old: Node, new: Node) -> Changes:
        for word in sorted(LIMITS):
            was, now = old.get(word), new.get(word)
            if was == now:
                continue
            what = (
                f"{word} {'none' if was is None else was} became {'none' if now is None else now}"
            )
            if not self.sent:
                yield self.change("other", path, what)
            elif now is None or (was is not None and _is_looser(word, was, now)):
                yield self.wider(path, what)
            else:
                yield self.narrower(path, what)

    def _fields(self, path: str, old: Node, new: Node, above: Above) -> Changes:
        before, after = self.old.part(old, "properties"), self.new.part(new, "properties")
        for name in dict.fromkeys([*before, *after]):
            place = f"{path}.{name}" if path else name
            was = name in old.get("required", ()) if name in before else None
            now = name in new.get("required", ()) if name in after else None
            yield from self.presence(place, "field", was, now)
            if was is not None and now is not None:
                yield from self.schema(before[name], after[name], place, above)

    def _other_fields(self, path: str, old: Node, new: Node, above: Above) -> Changes:
        word = "additionalProperties"
        was, now = old.get(word, ANYTHING), new.get(word, ANYTHING)
        if was is not False and now is not False:
            yield from self.schema(was, now, f"{path}<{word}>", above)
        elif was is not now and now is False:
            what = "other fields are no longer allowed: `additional_properties` is gone"
            yield self.change("breaking", path, what)
        elif was is not now:
            yield self.change("additive", path, "other fields are allowed from now on")
        names = old.get("propertyNames", ANYTHING), new.get("propertyNames", ANYTHING)
        yield from self.schema(*names, f"{path}<propertyNames>", above)

    def _unknown(self, path: str, old: Node, new: Node) -> Changes:
        for word in sorted(old.keys() | new.keys()):
            if word not in JUDGED and not word.startswith("x-") and old.get(word) != new.get(word):
                what = f"`{word}` changed: no rule judges it, so it counts as breaking"
                yield self.change("breaking", path, what)


def _pairs(before: Types, after: Types) -> list[tuple[str, str]]:
    """Which alternative became which; a single object stays itself under another name."""
    objects = [[label for label in each if label not in NO_OBJECTS] for each in (before, after)]
    single = dict(zip(*objects, strict=True)) if [*map(len, objects)] == [1, 1] else {}
    kept = {was: was if was in after else KIN.get(was, was) for was in before if was != "null"}
    return [(was, now) for was, now in {**kept, **single}.items() if now in after]


def _listed(types: Types) -> str:
    return " or ".join(label for label in types if label != "null") or "nothing"


def _allowed(schema: Node, kind: str) -> list[str] | None:
    """The values of one type that a schema lists, as JSON; None: all of them."""
    if not {"const", "enum"} & schema.keys():
        return None
    values = [schema["const"]] if "const" in schema else schema["enum"]
    return [json.dumps(each, default=str) for each in values if type_of(each) == kind]


def _is_looser(word: str, was: Any, now: Any) -> bool:
    return bool(now < was if word in LOWER else now > was if word in UPPER else False)
