"""What a caller gives: checked before anything is sent, and brought into JSON's own types."""

from collections.abc import Mapping
from typing import Any

from atomscale_target_materials_api.models import LayerCreate
from atomscale_target_materials_api.types import UNSET

from ._wire import Mismatch, converter, plain


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
        message = f"{place}: {mismatch}" if place else str(mismatch)
    except RecursionError:
        kind, message = ValueError, f"{place or 'an argument'}: nested too deeply"
    raise kind(message)
