"""What a caller gives: checked before anything is sent, and brought into JSON's own types."""

import datetime
import numbers
import operator
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from atomscale_target_materials_api.models import LayerCreate
from atomscale_target_materials_api.types import UNSET

from ._wire import Mismatch, converter, finite, step


def layer_create(fields: LayerCreate | Mapping[str, Any], place: str = "") -> LayerCreate:
    """A layer to add, of these fields, where UNSET stands for one that was left out.

    Raises TypeError or ValueError, which names the field, after the `place` of the layer.
    """
    if isinstance(fields, Mapping):
        fields = {name: value for name, value in fields.items() if value is not UNSET}
    return fitting(LayerCreate, fields, place)[1]  # type: ignore[no-any-return]


def fitting(hint: Any, value: Any, place: str) -> tuple[Any, Any]:
    """`value` in JSON's own types and as its hint has it; TypeError or ValueError tells where."""
    try:
        json_value = plain(value)
        return json_value, converter(hint)(json_value)
    except Mismatch as mismatch:
        kind = ValueError if mismatch.is_value else TypeError
        place = (place + mismatch.path[1:]).lstrip(".")
        message = f"{place}: {mismatch.fault}" if place else mismatch.fault
    except RecursionError:
        kind, message = ValueError, f"{place or 'an argument'}: nested too deeply"
    raise kind(message)


def plain(value: Any) -> Any:
    """An argument in JSON's own types, or Mismatch where it has none.

    Anything with `__index__` but a bool is an int and any `numbers.Real` a number, numpy's too.
    """
    if value is None or isinstance(value, bool):
        return value
    if hasattr(value, "to_dict") and not isinstance(value, type):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {_key(key): step(plain, each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [step(plain, each, index) for index, each in enumerate(value)]
    if isinstance(value, datetime.date | uuid.UUID):
        return value  # which msgspec writes as JSON has it
    if isinstance(value, str):
        return _encodable(value)
    return _plain_number(value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise Mismatch(f"Expected `str` as a key, got `{type(key).__name__}`")
    return _encodable(key)


def _encodable(text: str) -> str:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise Mismatch("Expected text that UTF-8 can encode", is_value=True)
    return str.__str__(text)


def _plain_number(value: Any) -> int | float:
    with suppress(TypeError):
        return operator.index(value)
    if not isinstance(value, numbers.Real):
        raise Mismatch(f"`{type(value).__name__}` has no JSON form")
    return float(finite(value))
