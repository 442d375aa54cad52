"""Between JSON and the values of the generated code, driven by type hints alone.

msgspec reads in C what a hint allows, and compiled code fills the models. What it refuses is read
again level by level, to tell where it does not fit. No model and no field is named here.
"""

import datetime
import json
import math
import re
from collections.abc import Callable, Iterator
from functools import cache, cached_property, partial
from importlib.resources import files
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec
from msgspec import Meta, Raw

from atomscale_target_materials_api import models
from atomscale_target_materials_api.types import UNSET, Unset

Read = Callable[[Any], Any]
"""JSON -> Python value; raises Mismatch."""
TYPES: dict[Any, Any] = {
    int: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    # A whole number stays an int: 1 is not written back as 1.0.
    float: int | float,
    str: str,
    Any: Any,
}
"""What msgspec reads for a hint, alone or in a list or a map."""
LEARNABLE = re.compile(r"[^\"\\\x00-\x1f]{1,100}")
ISO: Any = re.compile(r"(?a)[\dW-]+([T ][\d:.,]*\d(Z|[+-]\d\d(:?\d\d)?)?)?")
"""ISO 8601. Python reads more: any separator, a NUL at the end, offsets of seconds."""
DIGITS = bytes.maketrans(b"123456789", b"000000000")
PLAIN = {b"0000-00-00T00:00:00" + end for end in b"Z +00:00 .000Z .000000Z .000000+00:00".split()}
"""What most servers write, with `DIGITS`: it needs no closer look."""

hints_of = cache(partial(get_type_hints, localns=vars(models)))
"""The type hints of a model, or of a function, of the generated code."""


class Mismatch(Exception):  # noqa: N818 - it never leaves the package: callers turn it into their own errors
    """What does not fit its type hint, or has no JSON form, and where."""

    path = "$"
    """As a JSON path, for example `$[1].element_dict.Ba`."""

    @property
    def is_value(self) -> bool:
        """Is the type right, and the value not?"""
        return not re.search(", got `[^`]*`$|^the field|JSON form$|^keys", str(self))


@cache
def reader(hint: Any) -> Read:
    """What reads JSON for a type hint of the generated code."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return partial(_one_of, [*map(reader, kinds_of(hint))], NoneType in args)
    if origin is list:
        return _leaf(list[Raw], partial(_list, reader(args[0])))
    if origin is dict:
        return _leaf(dict[str, Raw], partial(_dict, hint))
    return _Model(hint).read if attrs.has(hint) else _leaf(*_wire(hint))


def kinds_of(hint: Any) -> list[Any]:
    """What a union is of, but for null and Unset; of any other hint itself."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return [kind for kind in kinds if kind not in (NoneType, Unset)] or [NoneType]


def _leaf(wire: Any, make: Read | None = None) -> Read:
    decode = msgspec.json.Decoder(wire).decode

    def read(content: Any) -> Any:
        try:
            return make(decode(content)) if make else decode(content)
        except (msgspec.ValidationError, UnicodeDecodeError) as error:
            # Where in an unknown value it is, msgspec tells without the names.
            raise Mismatch(str(error).partition(" - at `")[0]) from None

    return read


def _wire(hint: Any) -> tuple[Any, Read | None]:
    """The type that msgspec reads, and what makes the value of that; Raw: it is read by level."""
    kind, *others = kinds_of(hint)
    is_model, is_moment = attrs.has(kind), kind is datetime.datetime
    wire = str if is_moment else TYPES.get(kind, kind)
    if is_model or get_origin(kind) in (list, dict):
        # A model without fields of its own is a map.
        known, whole = fields_of(kind) if is_model else ({}, kind)
        *key, member = get_args(whole) or [kind]
        is_flat = not known and (member in TYPES or get_origin(member) is Annotated)
        wire = get_origin(whole)[*key, TYPES.get(member, member)] if is_flat else Raw
    if others or wire is Raw:
        return Raw, None
    make: Any = _moment if is_moment else kind if is_model else None
    return Union[wire, *({NoneType} & {*get_args(hint)})], make


def _list(read_one: Read, rows: list[Any]) -> list[Any]:
    return [step(number, read_one, row) for number, row in enumerate(rows)]


def _dict(hint: Any, members: dict[str, Any]) -> dict[str, Any]:
    key, member = get_args(hint)
    names = get_args(key)
    for name in [each for each in members if names and each not in names]:
        few = f"one of the {len(names)} names {', '.join(names[:5])}, ..."
        raise Mismatch(f"{json.dumps(name)} is not {few}")
    return {name: step(name, reader(member), each) for name, each in members.items()}


def step(place: str | int, read_one: Read, content: Any) -> Any:
    """What is one level further in: a mismatch there is told where."""
    try:
        return read_one(content)
    except Mismatch as mismatch:
        # As JSON: the form in which a secret is found when the message is scrubbed.
        quoted = json.dumps(place, ensure_ascii=False, default=repr)
        place = f".{place}" if str(place).isidentifier() else f"[{quoted}]"
        mismatch.path = f"${place}{mismatch.path[1:]}"
        raise


def _one_of(kinds: list[Read], nullable: bool, content: Any) -> Any:
    if nullable and content in (b"null", Raw(b"null")):
        return None
    mismatches = []
    for read_one in kinds:  # The first that fits, as the generated code has it.
        try:
            return read_one(content)
        except Mismatch as mismatch:
            mismatches.append(mismatch)
    # The kind that was read furthest is the one that was meant, or whose type is right.
    raise max(mismatches, key=lambda each: (len(each.path), each.is_value))


def _moment(text: str) -> datetime.datetime:
    try:
        plain = text.encode().translate(DIGITS) in PLAIN
        moment = datetime.datetime.fromisoformat(text if plain else ISO.fullmatch(text.upper())[0])
    except (TypeError, ValueError):  # Its text hides a secret from the scrubber.
        raise msgspec.ValidationError("Invalid ISO 8601 timestamp") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


class _Model:
    """Reads one model. The unknown fields that occur are learned, and read in one go, too."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls
        self._known, self._rest = fields_of(cls)
        self._misses, self._learned = 0, list[str]()

    def read(self, content: Any) -> Any:
        """The model of a JSON object, or Mismatch."""
        try:
            return self._fill(content)
        except ValueError:
            return self._by_field(_MEMBERS(content))

    def _by_field(self, members: dict[str, Any]) -> Any:
        known = {name: members[name] for name in self._known if name in members}
        unknown = {name: each for name, each in members.items() if name not in self._known}
        if unknown and not self._rest:
            odd, names = json.dumps(next(iter(unknown))), ", ".join(self._known)
            raise Mismatch(f"the field {odd} is unknown; there are {names}")
        try:
            model = self._fill(msgspec.json.encode(known))
        except ValueError as error:
            for json_name, value in known.items():
                step(json_name, reader(self._known[json_name][1]), msgspec.json.encode(value))
            missing = "Object missing required field `(.*)`", r"the field '\1' is missing"
            raise Mismatch(re.sub(*missing, str(error))) from None
        if self._rest:
            if self._rest != dict[str, Any]:
                unknown = reader(self._rest)(msgspec.json.encode(unknown))
            model.additional_properties = unknown
            self._misses += 1
            # At the first miss, the second, the fourth, ...: so that learning never costs much.
            if self._misses & (self._misses - 1) == 0 and len(unknown) <= 32:
                self._learned = [*filter(LEARNABLE.fullmatch, unknown)]
                vars(self).pop("_fill", None)
        return model

    @cached_property
    def _fill(self) -> Read:
        """Copies each field from a msgspec Struct to the model; compiled, as attrs compiles."""
        fields = self._known | {x: ("", get_args(self._rest)[-1], False) for x in self._learned}
        scope: dict[str, Any] = {"new": object.__new__, "cls": self._cls, "UNSET": UNSET}
        code = ["def fill(content):", "wire = decode(content)", "model = new(cls)"]
        code += ["rest = model.additional_properties = {}"] if self._rest else []
        wires, rename = [], {}
        for number, (json_name, (name, hint, required)) in enumerate(fields.items()):
            wire, make = _wire(hint)
            make = partial(step, json_name, reader(hint)) if wire is Raw else make
            field = f"f{number}"
            wires.append((field, wire) if required else (field, wire, UNSET))
            rename[field] = json_name
            scope |= {f"make_{field}": make, f"name_{field}": json_name}
            fill = f"value = make_{field}(value)"
            if attrs.has(make):  # type: ignore[arg-type]
                fill = f"made = new(make_{field}); made.additional_properties = value; value = made"
            filled = [f"if value is not UNSET and value is not None: {fill}"] if make else []
            rest = f"if value is not UNSET: rest[name_{field}] = value"
            code += [f"value = wire.{field}", *filled, f"model.{name} = value" if name else rest]
        wire = msgspec.defstruct("Wire", wires, rename=rename, gc=False, forbid_unknown_fields=True)
        scope["decode"] = msgspec.json.Decoder(wire).decode
        exec("\n ".join([*code, "return model"]), scope)  # noqa: S102 - no server's text is in it
        return scope["fill"]  # type: ignore[no-any-return]


@cache
def fields_of(cls: Any) -> tuple[dict[str, tuple[str, Any, bool]], Any]:
    """By JSON name each field's attribute, hint, and is it required; and the hint of the rest."""
    hints = dict(hints_of(cls))
    rest = hints.pop("additional_properties", None)
    known = {}
    # The JSON names stand only inside the generated `to_dict`: so that is asked.
    for json_name, value in cls(**{name: _Probe(name) for name in hints}).to_dict().items():
        name = str(value).strip("[']")  # of a list, what came out is ['name']
        known[json_name] = name, hints[name], Unset not in get_args(hints[name])
    return known, rest and _limited(cls, *get_args(rest))


def _limited(cls: Any, key: Any, member: Any) -> Any:
    """A map's hint with what the generated code has lost: its names, and the least and the most."""
    schema = _schemas().get(cls.__name__.rstrip("_").lower(), {})
    names, members = schema.get("propertyNames", {}).get("enum"), schema.get("additionalProperties")
    bounds = members if isinstance(members, dict) else {}
    low, high = bounds.get("minimum"), bounds.get("maximum")
    if member in (int, float) and (low, high) != (None, None):
        least = math.ceil(low) if low is not None and low >= -(2**63) else None
        most = math.floor(high) if high is not None and high < 2**63 else None
        whole = Annotated[int, Meta(ge=least, le=most)]
        real = Annotated[float, Meta(ge=low, le=high)]
        # Annotated once more, so that both are read as one.
        member = whole if member is int else Annotated[whole | real, Meta()]
    return dict[Literal[*names] if names else key, member]  # type: ignore[misc]


@cache
def _schemas() -> dict[str, Any]:
    """The schemas of the spec, by the names of their classes in lower case."""
    spec = files("atomscale_target_materials_api").joinpath("openapi.json").read_bytes()
    schemas = msgspec.json.decode(spec)["components"]["schemas"]
    # The generator makes `my-amounts` the class `MyAmounts`, and `Warning` the class `Warning_`.
    return {re.sub(r"\W|_", "", name).lower(): schema for name, schema in schemas.items()}


class _Probe(str):
    """A field's own name as its value: whatever `to_dict` does with it, it stays."""

    def __getattr__(self, _: str = "") -> "_Probe":
        return self

    __call__ = __getattr__

    def __iter__(self) -> Iterator["_Probe"]:
        yield self


_MEMBERS = _leaf(dict[str, Any])
