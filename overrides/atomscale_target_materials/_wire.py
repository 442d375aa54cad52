"""From JSON values to Python values, driven by type hints alone.

A converter is made once for each type hint of the generated code. It checks one JSON value strictly
and gives the value that the hint stands for. No model and no field is named here.
"""

import datetime
import json
import math
import numbers
import operator
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib.resources import files
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from atomscale_target_materials_api import models
from atomscale_target_materials_api.types import UNSET, Unset

Convert = Callable[[Any], Any]
"""JSON value -> Python value; raises Mismatch."""


class Mismatch(Exception):  # noqa: N818 - it never leaves the package: callers turn it into their own errors
    """A value that does not fit its type hint, and where."""

    def __init__(self, fault: str, *steps: str | int, is_value: bool = False) -> None:
        super().__init__(fault)
        self.is_value = is_value
        """True: the type is right, the value is not."""
        self.steps = [*steps]
        """From the inside out."""

    @property
    def path(self) -> str:
        """As a JSON path, for example `$[1].element_dict.Ba`."""
        return "$" + "".join(map(_path_step, reversed(self.steps)))


def _path_step(step: str | int) -> str:
    if str(step).isidentifier():
        return f".{step}"
    # As JSON: the form in which a secret is found when the message is scrubbed.
    return f"[{json.dumps(step, ensure_ascii=False)}]"


@cache
def converter(hint: Any) -> Convert:
    """The converter for a type hint of the generated code."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        kinds = [kind for kind in args if kind not in (Unset, NoneType)] or [NoneType]
        return partial(_union, [*map(converter, kinds)], NoneType in args)
    if origin in (list, dict):
        return partial(_array if origin is list else _object, converter(args[-1]))
    if attrs.has(hint):
        return partial(_model, hint)
    return _OURS.get(hint) or partial(_checked, kind=hint)


def _checked(value: Any, kind: Any) -> Any:
    """`value` as msgspec has it: strict in its type, and within the kind's bounds."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Mismatch(str(error), is_value=", got `" not in str(error)) from None


def _timestamp(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    with suppress(ValueError):
        moment = datetime.datetime.fromisoformat(_checked(value, str).upper())
        return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    raise Mismatch(f"Invalid ISO 8601 timestamp {json.dumps(value)}", is_value=True)


def finite(number: Any) -> Any:
    """A number that JSON can write and a double can hold."""
    with suppress(OverflowError):
        if math.isfinite(number):
            return number
    raise Mismatch("Expected a finite number in the range of a double", is_value=True)


_AS_IT_IS = (NoneType, bool, datetime.date, uuid.UUID)
"""What msgspec writes as JSON has it."""


def plain(value: Any) -> Any:
    """A value in JSON's own types, or Mismatch where it has none.

    Anything with `__index__` but a bool is an int and any `numbers.Real` a number, numpy's too.
    """
    if isinstance(value, _AS_IT_IS):
        return value
    if isinstance(value, str):
        return _encodable(value)
    if type(value) in (int, float):
        return finite(value)
    if hasattr(value, "to_dict") and not isinstance(value, type):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {_key(key): step(plain, each, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [step(plain, each, index) for index, each in enumerate(value)]
    return _plain_number(value)


def fitting(hint: Any, value: Any, place: str) -> tuple[Any, Any]:
    """`value` in JSON's own types and as its hint has it; TypeError or ValueError tells where."""
    try:
        json_value = plain(value)
        return json_value, converter(hint)(json_value)
    except Mismatch as mismatch:
        kind = ValueError if mismatch.is_value else TypeError
        place = (place + mismatch.path[1:]).lstrip(".")
        message = f"{place}: {mismatch}" if place else str(mismatch)
    except RecursionError:
        kind, message = ValueError, f"{place or 'an argument'}: nested too deeply"
    raise kind(message)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise Mismatch(f"Expected `str` as a key, got `{type(key).__name__}`")
    return _encodable(key)


def _encodable(text: str) -> str:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise Mismatch("Expected text that UTF-8 can encode", is_value=True)
    return str.__str__(text)


def _plain_number(value: Any) -> Any:
    with suppress(TypeError):
        return finite(operator.index(value))
    if not isinstance(value, numbers.Real):
        raise Mismatch(f"`{type(value).__name__}` has no JSON form")
    return float(finite(value))


_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_OURS: dict[Any, Convert] = {
    Any: plain,
    int: lambda value: _checked(value, _Int64),
    # A whole number stays an int: 1 is not written back as 1.0.
    float: lambda value: finite(_checked(value, int | float)),
    datetime.datetime: _timestamp,
}


def _array(member: Convert, value: Any) -> list[Any]:
    return [step(member, each, index) for index, each in enumerate(_checked(value, list))]


def _object(member: Convert, value: Any) -> dict[str, Any]:
    return {key: step(member, each, key) for key, each in _checked(value, dict).items()}


def step(convert: Convert, value: Any, place: str | int) -> Any:
    """What is one level further in: a mismatch there is told where."""
    try:
        return convert(value)
    except Mismatch as mismatch:
        mismatch.steps.append(place)
        raise


def _union(members: list[Convert], nullable: bool, value: Any) -> Any:
    if value is None and nullable:
        return None
    fits, mismatches = [], []
    for member in members:
        try:
            fits.append(member(value))
        except Mismatch as mismatch:
            mismatches.append(mismatch)
    if not fits:
        # The member that was read furthest is the one that was meant.
        raise max(mismatches, key=lambda mismatch: len(mismatch.steps))
    return min(fits, key=lambda fit: len(getattr(fit, "additional_properties", ())))


@cache
def _fields(cls: Any) -> tuple[list[tuple[str, str, Convert, bool]], Convert | None]:
    hints = get_type_hints(cls, localns=vars(models))
    rest = hints.pop("additional_properties", None)
    known = []
    # The JSON names stand only inside the generated `to_dict`: so that is asked.
    for json_name, value in cls(**{name: _Probe(name) for name in hints}).to_dict().items():
        name = str(value).strip("[']")  # of a list, what came out is ['name']
        known.append((json_name, name, converter(hints[name]), Unset not in get_args(hints[name])))
    return known, _bounded(converter(rest), cls.__name__) if rest else None


def _model(cls: Any, value: Any) -> Any:
    # Asked for at the first use: a model may hold itself.
    known, rest = _fields(cls)
    unread, arguments = dict(_checked(value, dict)), {}
    for json_name, name, member, required in known:
        if json_name in unread:
            arguments[name] = step(member, unread.pop(json_name), json_name)
        elif required:
            raise Mismatch(f"the field {json_name!r} is missing")
        else:
            arguments[name] = UNSET
    model = cls(**arguments)
    if rest:
        model.additional_properties = rest(unread)
    elif unread:
        names = ", ".join(each[0] for each in known)
        raise Mismatch(f"the field {json.dumps(next(iter(unread)))} is unknown; there are {names}")
    return model


@cache
def _schemas() -> dict[str, Any]:
    """The schemas of the spec, by the names of their classes in lower case."""
    spec = files("atomscale_target_materials_api").joinpath("openapi.json").read_bytes()
    schemas = msgspec.json.decode(spec)["components"].get("schemas", {})
    # The generator makes `my-amounts` the class `MyAmounts`, and `Warning` the class `Warning_`.
    return {re.sub(r"\W|_", "", name).lower(): schema for name, schema in schemas.items()}


def _bounded(convert: Convert, class_name: str) -> Convert:
    """A map's converter with what the generated code has lost: which names and amounts it takes."""
    schema = _schemas().get(class_name.rstrip("_").lower(), {})
    names = schema.get("propertyNames", {}).get("enum")
    amounts = schema.get("additionalProperties")
    limits = amounts if isinstance(amounts, dict) else {}
    low, high = limits.get("minimum", -math.inf), limits.get("maximum", math.inf)

    def bounded(value: Any) -> Any:
        members = convert(value)
        for name, amount in members.items():
            if names and name not in names:
                few = f"one of the {len(names)} names {', '.join(names[:5])}, ..."
                raise Mismatch(f"{json.dumps(name)} is not {few}", is_value=True)
            if isinstance(amount, int | float) and not low <= amount <= high:
                fault = f"Expected a number from {low:g} to {high:g}, got {amount!r}"
                raise Mismatch(fault, name, is_value=True)
        return members

    return bounded if names or limits.keys() & {"minimum", "maximum"} else convert


class _Probe(str):
    """A field's own name as its value: whatever `to_dict` does with it, it stays."""

    def __getattr__(self, _: str) -> "_Probe":
        return self

    def __call__(self) -> "_Probe":
        return self

    def __iter__(self) -> Iterator["_Probe"]:
        yield self
