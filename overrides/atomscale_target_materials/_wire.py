"""JSON values <-> Python values, driven by type hints alone.

A converter is made once for each type hint of the generated code. It checks one JSON value strictly
and gives the value that the hint stands for. No model and no field is named here.
"""

import datetime
import enum
import json
import math
import numbers
import operator
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from atomscale_target_materials_api import models
from atomscale_target_materials_api.types import UNSET, Unset

Convert = Callable[[Any], Any]
"""JSON value -> Python value; raises Mismatch."""


class Mismatch(Exception):  # noqa: N818 - it never leaves the package: callers turn it into their own errors
    """A value that does not fit its type hint, and where."""

    def __init__(self, fault: str, *, is_value: bool = False) -> None:
        super().__init__(fault)
        self.fault = fault
        self.is_value = is_value
        """True: the type is right, the value is not."""
        self.steps: list[str | int] = []
        """From the inside out."""

    def at(self, step: str | int) -> "Mismatch":
        """This mismatch, seen from one level further out."""
        self.steps.append(step)
        return self

    @property
    def path(self) -> str:
        """As a JSON path, for example `$[1].element_dict.Ba`."""
        return "$" + "".join(_path_step(step) for step in reversed(self.steps))


def _path_step(step: str | int) -> str:
    if isinstance(step, str):
        return f".{step}" if step.isidentifier() else f"[{_shown(step)}]"
    return f"[{step}]"


_JSON_NAMES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    NoneType: "null",
    float: "number",
}


def _name(value: Any) -> str:
    return _JSON_NAMES.get(type(value), type(value).__name__)


def _shown(value: Any) -> str:
    """As JSON: the form in which the caller finds a secret. The caller shortens it."""
    return json.dumps(value, ensure_ascii=False)


@cache
def converter(hint: Any) -> Convert:  # noqa: PLR0911 - a table by kind
    """The converter for a type hint of the generated code."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return _as_it_is
    if origin in (Union, UnionType):
        return _union(args)
    if origin is list:
        return _array(converter(args[0]))
    if origin is dict:
        return _object(converter(args[1]))
    if origin is Literal:
        return _constant(args)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _enum(hint)
    if attrs.has(hint) and hasattr(hint, "from_dict"):
        return _model(hint)
    raise TypeError(f"{hint!r} has no JSON form")


def _as_it_is(value: Any) -> Any:
    return value


def _exactly(kind: type) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is not kind:
            raise Mismatch(f"expected {_JSON_NAMES[kind]}, got {_name(value)}")
        return value

    return convert


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise Mismatch(f"expected int, got {_name(value)}")
    if not -(2**63) <= value < 2**63:
        raise Mismatch("expected an int of 64 bits, got a larger one", is_value=True)
    return value


def _number(value: Any) -> int | float:
    if type(value) not in (int, float):
        raise Mismatch(f"expected number, got {_name(value)}")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise Mismatch("expected a finite number in the range of a double", is_value=True)
    return value  # type: ignore[no-any-return]


def _text_form(expected: str, parse: Callable[[str], Any]) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is not str:
            raise Mismatch(f"expected {expected}, got {_name(value)}")
        try:
            return parse(value)
        except ValueError:
            pass
        raise Mismatch(f"expected {expected}, got {_shown(value)}", is_value=True)

    return convert


def _timestamp(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text.upper())
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


_SCALARS: dict[Any, Convert] = {
    str: _exactly(str),
    bool: _exactly(bool),
    NoneType: _exactly(NoneType),
    int: _integer,
    float: _number,
    datetime.datetime: _text_form("an ISO 8601 timestamp", _timestamp),
    datetime.date: _text_form("an ISO 8601 date", datetime.date.fromisoformat),
    uuid.UUID: _text_form("a UUID", uuid.UUID),
}


def _enum(kind: type[enum.Enum]) -> Convert:
    return _constant(tuple(member.value for member in kind), kind)


def _constant(allowed: tuple[Any, ...], wrap: Convert = _as_it_is) -> Convert:
    def convert(value: Any) -> Any:
        if not any(value == each and type(value) is type(each) for each in allowed):
            raise Mismatch(f"expected one of {list(allowed)}, got {_shown(value)}", is_value=True)
        return wrap(value)

    return convert


def _array(item: Convert) -> Convert:
    def convert(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Mismatch(f"expected array, got {_name(value)}")
        return [_step(item, each, index) for index, each in enumerate(value)]

    return convert


def _object(member: Convert) -> Convert:
    def convert(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Mismatch(f"expected object, got {_name(value)}")
        return {key: _step(member, each, key) for key, each in value.items()}

    return convert


def _step(convert: Convert, value: Any, step: str | int) -> Any:
    try:
        return convert(value)
    except Mismatch as mismatch:
        raise mismatch.at(step) from None


def _union(hints: Iterable[Any]) -> Convert:
    members = [converter(hint) for hint in hints if hint not in (Unset, NoneType)]
    nullable = NoneType in hints

    def convert(value: Any) -> Any:
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
        return min(fits, key=_unknown_fields)

    return convert


def _unknown_fields(value: Any) -> int:
    return len(getattr(value, "additional_properties", ()))


def _model(cls: type) -> Convert:
    @cache
    def fields() -> tuple[list[tuple[str, str, Convert, bool]], Convert | None]:
        # Not before the first use: a model may hold itself.
        hints = get_type_hints(cls, localns=vars(models))
        rest = hints.pop("additional_properties", None)
        json_names = _json_names(cls, hints)
        known = [
            (json_names[name], name, converter(hint), Unset not in get_args(hint))
            for name, hint in hints.items()
        ]
        return known, converter(rest) if rest else None

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch(f"expected object, got {_name(value)}")
        known, rest = fields()
        unread, arguments = dict(value), {}
        for json_name, name, member, required in known:
            if json_name in unread:
                arguments[name] = _step(member, unread.pop(json_name), json_name)
            elif required:
                raise Mismatch(f"the field {json_name!r} is missing")
            else:
                arguments[name] = UNSET
        model = cls(**arguments)
        if rest:
            model.additional_properties = rest(unread)
        elif unread:
            raise Mismatch(f"unknown field {next(iter(unread))!r}")
        return model

    return convert


def _json_names(cls: Any, names: Iterable[str]) -> dict[str, str]:
    """Python name -> JSON name. It stands only inside the generated `to_dict`: so that is asked."""
    model = cls.__new__(cls)
    if hasattr(cls, "additional_properties"):
        model.additional_properties = {}
    for name in names:
        setattr(model, name, _Probe(name))
    return {_probed(value): json_name for json_name, value in model.to_dict().items()}


class _Probe:
    """Stands for a field's value in `to_dict`, and comes out of it under the JSON name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def value(self) -> "_Probe":
        return self

    def to_dict(self) -> "_Probe":
        return self

    isoformat = to_tuple = to_dict

    def __iter__(self) -> Iterator["_Probe"]:
        yield self

    def __str__(self) -> str:
        return self.name


def _probed(value: Any) -> str:
    while isinstance(value, list):
        value = value[0]
    return str(value)


def plain(value: Any) -> Any:
    """An argument in JSON's own types, or Mismatch where it has none.

    Anything with `__index__` but a bool is an int and any `numbers.Real` a number, numpy's too.
    """
    if value is None or isinstance(value, bool):
        return value
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {_key(key): _step(plain, each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_step(plain, each, index) for index, each in enumerate(value)]
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str | uuid.UUID):
        return _encodable(str(value))
    return _plain_number(value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise Mismatch(f"expected text as a key, got {type(key).__name__}")
    return _encodable(key)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return str(text)
    raise Mismatch(f"expected text that UTF-8 can encode, got {text!a:.60}", is_value=True)


def _plain_number(value: Any) -> int | float:
    try:
        return operator.index(value)
    except TypeError:
        pass
    if not isinstance(value, numbers.Real):
        raise Mismatch(f"{type(value).__name__} has no JSON form")
    try:
        return _number(float(value))
    except OverflowError:
        pass
    raise Mismatch("expected a finite number in the range of a double", is_value=True)
