"""Tables of entries for pandas, polars and Apache Arrow, and layers from such tables.

Which columns there are, and of which type, comes from the type hints of the generated models. An
absent value and a null are the library's own null. Amounts are float64. Unknown fields, and columns
of elements, stand in the order of their first appearance. An unknown field whose name would be that
of a field or of an element's column is called `unknown.<name>`.

Free-form values, such as `sample_metadata`, are Python's own in pandas. In the others they are JSON
text, for their types may differ from row to row. An unknown field is a column of integers, numbers,
truth values or strings where all its values are, and free-form otherwise.
"""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

import attrs
import msgspec

from atomscale_target_materials_api.models import LayerCreate, TargetMaterial
from atomscale_target_materials_api.types import UNSET

from ._wire import fields_of, hints_of, kinds_of
from .stacks import Elements, layer_create

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Column = tuple[str, Any, list[Any]]
"""Name, kind and values. Kinds are int, float, bool, str, datetime (as microseconds since 1970, in
UTC), dict (amounts: symbol -> number) and object (whatever JSON has)."""
Make = Callable[[Any], Any]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
EXACT = 2**53
"""Below it every integer is a float, and no two are the same one."""


def to_pandas(
    materials: Sequence[TargetMaterial], elements: Elements, unknown: bool
) -> pandas.DataFrame:
    """See `TargetMaterials.to_pandas`."""
    library, numpy = _library("pandas", "pandas"), import_module("numpy")
    dtypes = {
        int: "Int64", float: "float64", bool: "boolean", str: "string",
        datetime.datetime: "datetime64[us, UTC]", dict: object, object: object,
    }  # fmt: skip
    table = {}
    for name, kind, values in _columns(materials, elements, unknown, _plain):
        cells = numpy.array(values, "M8[us]") if kind is datetime.datetime else values
        table[name] = library.Series(cells, dtype=dtypes[kind])
    return library.DataFrame(table)  # type: ignore[no-any-return]


def to_polars(
    materials: Sequence[TargetMaterial], elements: Elements, unknown: bool
) -> polars.DataFrame:
    """See `TargetMaterials.to_polars`."""
    library = _library("polars", "polars")
    dtypes = {
        int: library.Int64, float: library.Float64, bool: library.Boolean,
        str: library.String, object: library.String,
        datetime.datetime: library.Datetime("us", "UTC"),
    }  # fmt: skip
    table = {}
    for name, kind, values in _columns(materials, elements, unknown, _json):
        if kind is dict:
            table[name] = _polars_map(library, values)
        else:
            table[name] = library.Series(values, dtype=dtypes[kind])
    return library.DataFrame(table)  # type: ignore[no-any-return]


def to_arrow(
    materials: Sequence[TargetMaterial], elements: Elements, unknown: bool
) -> pyarrow.Table:
    """See `TargetMaterials.to_arrow`."""
    library = _library("pyarrow", "arrow")
    types = {
        int: library.int64(), float: library.float64(), bool: library.bool_(),
        str: library.string(), object: library.string(),
        datetime.datetime: library.timestamp("us", "UTC"),
    }  # fmt: skip
    table = {}
    for name, kind, values in _columns(materials, elements, unknown, _json):
        if kind is dict:
            table[name] = _arrow_map(library, values)
        else:
            table[name] = library.array(values, types[kind])
    return library.table(table)


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"to_{extra} needs an extra: pip install 'atomscale-target-materials[{extra}]', "
            f"or {name} itself"
        ) from error


def _polars_map(library: Any, values: list[Any]) -> Any:
    """A list of structs `key` and `value` for each mapping: rows of dicts take 20 times as long."""
    flat: dict[str, list[Any]] = {"row": [], "key": [], "value": []}
    for number, each in enumerate(values):
        # One that is null or empty has a row too, which is dropped from its list again.
        flat["row"] += [number] * len(each or [None])
        flat["key"] += each or [None]
        flat["value"] += map(float, each.values()) if each else [None]
    schema = {"row": library.Int64, "key": library.String, "value": library.Float64}
    rows = library.DataFrame(flat, schema=schema).group_by("row", maintain_order=True)
    pairs = library.struct("key", "value").filter(library.col("key").is_not_null())
    present = library.Series([each is not None for each in values], dtype=library.Boolean)
    lists = rows.agg(pairs=pairs)["pairs"]
    return library.select(pairs=library.when(present).then(lists))["pairs"]


def _arrow_map(library: Any, values: list[Any]) -> Any:
    keys: list[str] = []
    amounts: list[float] = []
    starts: list[int | None] = []
    for each in values:
        starts.append(None if each is None else len(keys))
        keys += each or ()
        amounts += map(float, (each or {}).values())
    return library.MapArray.from_arrays(
        library.array([*starts, len(keys)], library.int32()),
        library.array(keys, library.string()),
        library.array(amounts, library.float64()),
    )


def _columns(
    rows: Sequence[TargetMaterial], elements: str, unknown: bool, free_form: Make
) -> Iterator[Column]:
    """One column at a time: no more than that is held."""
    if elements not in get_args(Elements):
        choices = " or ".join(map(repr, get_args(Elements)))
        raise ValueError(f"elements: {choices} is needed, not {elements!r}")
    fields = _fields(TargetMaterial)
    for name, (attribute, kind) in fields.items():
        values = _cells(kind, map(attrgetter(attribute), rows), free_form)
        if kind is dict and elements == "columns":
            for symbol, amounts in _spread([each or {} for each in values]):
                yield f"{name}.{symbol}", float, _cells(float, amounts)
        else:
            yield name, kind, values
    taken = {*fields}
    for name, found in _spread([row.additional_properties for row in rows] if unknown else ()):
        free = name
        while free in taken or _is_amount(free, TargetMaterial):
            free = f"unknown.{free}"
        taken.add(free)
        kind = _kind_of(found)
        yield free, kind, _cells(kind, found, free_form)


def _spread(mappings: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Each name with its value in each of the mappings."""
    for name in dict.fromkeys(chain.from_iterable(mappings)):
        yield name, [each.get(name) for each in mappings]


@cache
def _fields(cls: Any) -> dict[str, tuple[str, Any]]:
    """By JSON name each field's attribute and kind."""
    return {
        name: (attribute, _kind(hint)) for name, (attribute, hint, _) in fields_of(cls)[0].items()
    }


def _kind(hint: Any) -> Any:
    kind, *others = kinds_of(hint)
    kind = object if others else kind
    if attrs.has(kind) and not fields_of(kind)[0]:
        is_amounts = hints_of(kind).get("additional_properties") == dict[str, float]
        return dict if is_amounts else object
    return kind if kind in (int, float, bool, str, datetime.datetime) else object


def _kind_of(values: Iterable[Any]) -> Any:
    """The kind of column that can hold these values of an unknown field, with nothing lost."""
    kinds = {*map(type, values)} - {NoneType}
    whole = [each for each in values if type(each) is int]
    if kinds == {int, float} and all(abs(each) < EXACT for each in whole):
        return float
    kind = kinds.pop() if len(kinds) == 1 else object
    fits = all(-(2**63) <= each < 2**63 for each in whole)
    return kind if kind in (int, float, bool, str) and fits else object


def _cells(kind: Any, values: Iterable[Any], free_form: Make | None = None) -> list[Any]:
    """The values as their kind has them, and None for those that are absent."""
    makes: dict[Any, Make | None] = {float: float, dict: _plain, object: free_form}
    makes[datetime.datetime] = _microseconds
    if make := makes.get(kind):
        return [None if each is None or each is UNSET else make(each) for each in values]
    return [None if each is UNSET else each for each in values]


def _microseconds(moment: datetime.datetime) -> int:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    # A difference, not `astimezone`: in the years 1 and 9999 that overflows.
    return (moment - EPOCH) // MICROSECOND


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [*map(_plain, value)]
    return value.to_dict() if hasattr(value, "to_dict") else value


def _json(value: Any) -> str:
    return msgspec.json.encode(_plain(value)).decode()


def layers_from_frame(
    frame: pandas.DataFrame | polars.DataFrame | pyarrow.Table,
) -> list[LayerCreate]:
    """The layers that a table has, one a row: for `LayerStack.declare`, or to add one by one.

    The columns are fields of `LayerCreate`; amounts stand in a column of mappings, or in a column
    for each element, for example `element_dict.Ba`. The other fields of `TargetMaterial` are left
    aside, and nulls and NaN left out. Nothing is sent.

    In a table that has such other fields, `id` is that of the target material: it is left aside,
    too. `sample_id` is taken: drop it before you add the layers to another sample.

    Beware of what a reader of CSV files guesses: an orientation 001 that has become the number 1 is
    refused. `LayerStack.from_file` does not guess.

    Args:
        frame: A pandas or polars DataFrame, or a pyarrow Table.

    Returns:
        In the order of the rows. A field without a value is UNSET.

    Raises:
        TypeError: It is no such table, `layer_id` is missing, or a value is of the wrong type; the
            message names row and column. A row of pandas goes by its label, another by its number.
        ValueError: A column that a layer does not have, or a value out of range.
    """
    names, column, labels = _opened(frame)
    _check(names)
    own, listed = {*_fields(LayerCreate)}, {*names} & {*_fields(TargetMaterial)}
    # An entry's `id` is that of the target material.
    taken = own - {"id"} if listed - own else own
    cells = {
        name: column(number)
        for number, name in enumerate(names)
        if name in taken or _is_amount(name, LayerCreate)
    }
    return [
        _layer(label, {name: values[number] for name, values in cells.items()})
        for number, label in enumerate(labels)
    ]


def _opened(frame: Any) -> tuple[list[Any], Callable[[int], list[Any]], Sequence[Any]]:
    """Names of the columns, what gives the values of one, and labels of the rows."""
    if hasattr(frame, "itertuples"):
        return [*frame.columns], lambda n: frame.iloc[:, n].tolist(), frame.index.tolist()
    if hasattr(frame, "iter_rows"):
        return frame.columns, lambda n: frame.to_series(n).to_list(), range(len(frame))
    if hasattr(frame, "itercolumns"):
        return frame.column_names, lambda n: frame.column(n).to_pylist(), range(len(frame))
    needed = "a pandas DataFrame, a polars DataFrame or a pyarrow Table is needed"
    raise TypeError(f"frame: {needed}, not `{type(frame).__name__}`")


def _is_amount(name: Any, cls: Any) -> bool:
    """Is it the name of a column of one element's amounts?"""
    field, _, symbol = str(name).partition(".")
    return bool(symbol) and _fields(cls).get(field, ("", None))[1] is dict


def _check(names: list[Any]) -> None:
    fields = _fields(LayerCreate)
    for number, name in enumerate(names):
        field = str(name).partition(".")[0]
        is_amount = _is_amount(name, LayerCreate)
        if not (is_amount or name in fields or name in _fields(TargetMaterial)):
            few = [f"{each}.Ba, ..." for each, (_, kind) in fields.items() if kind is dict]
            told = f"column {name!r}: a layer has {', '.join([*fields, *few])}"
            raise ValueError(f"{told}; drop the column, or rename it")
        if is_amount and field in names:
            raise ValueError(f"columns {field!r} and {name!r}: both have amounts; drop one of them")
        if name in names[:number]:
            raise ValueError(f"column {name!r}: there are two of that name; drop one of them")


def _layer(label: Any, cells: Mapping[str, Any]) -> LayerCreate:
    fields: dict[str, Any] = {}
    try:
        for name, cell in cells.items():
            field, _, symbol = name.partition(".")
            if symbol and not _is_missing(cell):
                fields.setdefault(field, {})[symbol] = cell
            elif not _is_missing(cell):
                fields[field] = _value(name, cell)
        return layer_create(fields)
    except (TypeError, ValueError, ArithmeticError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        hint = "; a sample without layers has none: drop its row" * ("is missing" in str(error))
        raise kind(f"row {label!r}, {error}{hint}") from None


def _value(name: str, cell: Any) -> Any:
    _, kind = _fields(LayerCreate)[name]
    if kind is dict:
        return _amounts(name, cell)
    if kind is int and isinstance(cell, numbers.Real) and not isinstance(cell, numbers.Integral):
        number = float(cell)
        if not number.is_integer() or abs(number) >= EXACT:
            raise ValueError(f"{name}: {cell} is no integer, or one that was rounded to a float")
        return int(number)
    return cell


def _amounts(name: str, cell: Any) -> Any:
    """A cell of mappings as a dict. What is no such cell is left: `layer_create` refuses it."""
    cell = cell.tolist() if hasattr(cell, "tolist") else cell
    pairs: list[Any] = [*map(_pair, cell)] if isinstance(cell, list) else [None]
    if None not in pairs:
        cell = dict(pairs)
        if len(cell) < len(pairs):
            raise ValueError(f"{name}: an element is there twice")
    if isinstance(cell, Mapping):
        amounts = {symbol: amount for symbol, amount in cell.items() if not _is_missing(amount)}
        return amounts if amounts or not cell else UNSET
    return cell


def _pair(member: Any) -> Any:
    match member:
        case {"key": str(symbol), "value": amount} | (str(symbol), amount):
            return symbol, amount
    return None


def _is_missing(value: Any) -> bool:
    """Is it None, NaN, or NA or NaT of pandas, which is not imported for that?"""
    if isinstance(value, numbers.Number):
        return value != value  # noqa: PLR0124 - NaN
    return value is None or type(value).__name__ in ("NAType", "NaTType")
