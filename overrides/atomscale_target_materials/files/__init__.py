"""Declared stacks from YAML and CSV files: what is behind `LayerStack.from_file`.

Each value is taken as the text that stands there, and read as what its field wants: `001` is an
orientation and not the number 1, `No` is nobelium and not false. An empty field is left out. Every
error names the file, the line and the column.
"""

from contextlib import suppress
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import attrs

from atomscale_target_materials_api.models import LayerCreate

from .._wire import hints_of
from ..stacks import LayerStack, layer_create

PARSERS = {".csv": "_csv", ".yaml": "_yaml", ".yml": "_yaml"}


@attrs.frozen
class Cell:
    """A text of a file and where it stands; lines and columns are counted from 1."""

    text: str
    line: int
    column: int

    def wrong(self, fault: str) -> ValueError:
        """The error to raise, which tells the place."""
        return ValueError(f"line {self.line}, column {self.column}: {fault}")


@attrs.frozen
class Layer:
    """A layer as it stands in a file."""

    begin: Cell
    values: list[tuple[Cell, str, Cell]]
    """Name of the field, symbol of an element or an empty text, value."""


def read(path: str | PathLike[str]) -> LayerStack:
    """The stack that a file declares; see `LayerStack.from_file`."""
    path = Path(path)
    parser = PARSERS.get(path.suffix.lower())
    if parser is None:
        raise ValueError(f"{path}: a file is needed that ends in {', '.join(PARSERS)}")
    parse = import_module(f"{__name__}.{parser}").parse
    try:
        return _stack_of(*parse(path.read_bytes().decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        fault = f"byte {error.start + 1}: it is not UTF-8; save it so"
    except ValueError as error:
        fault = str(error)
    raise ValueError(f"{path}, {fault}")


def _stack_of(substrate: Cell | None, layers: list[Layer]) -> LayerStack:
    bodies: dict[int, LayerCreate] = {}
    position = 0
    for layer in layers:
        fields = {"layer_id": position + 1, **_fields(layer)}
        body = _created(layer.begin, fields)
        position = body.layer_id
        if position in bodies:
            raise layer.begin.wrong(f"there is a layer at position {position} already")
        bodies[position] = body
    said = substrate.text if substrate else ""
    return LayerStack.declare(substrate=said or None, layers=bodies.values())


def _fields(layer: Layer) -> dict[str, Any]:
    hints = hints_of(LayerCreate)
    fields: dict[str, Any] = {}
    for name, symbol, cell in layer.values:
        if name.text not in hints:
            raise name.wrong(f"{name.text!r} is none of the fields {', '.join(hints)}")
        if not (symbol or cell.text):
            continue
        is_text = str in get_args(hints[name.text]) and not symbol
        value = cell.text if is_text else _number(cell)
        given: Any = {symbol: value} if symbol else value
        _created(cell, {"layer_id": 1, name.text: given})
        fields[name.text] = {**fields.get(name.text, {}), **given} if symbol else given
    if not fields.keys() & {"composition_string", "element_dict"}:
        raise layer.begin.wrong("the layer has neither `composition_string` nor `element_dict`")
    return fields


def _created(place: Cell, fields: dict[str, Any]) -> LayerCreate:
    try:
        return layer_create(fields)
    except (TypeError, ValueError) as error:
        raise place.wrong(str(error)) from None


def _number(cell: Cell) -> int | float:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(cell.text)
    raise cell.wrong(f"{cell.text!r} is no number; decimals are written 0.3")
