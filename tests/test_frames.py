import datetime
import json
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pandas
import polars
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomscale_target_materials import LayerCreate, TargetMaterial, TargetMaterials, frames
from atomscale_target_materials.frames import layers_from_frame
from atomscale_target_materials_api.models import ElementDict, SampleMetadata
from atomscale_target_materials_api.types import UNSET, Unset

Make = Callable[..., Any]
UTC = datetime.UTC
MOMENT = datetime.datetime(2024, 1, 15, 11, 0, 0, 123456, UTC)


def amounts(**numbers: float) -> ElementDict:
    return ElementDict.from_dict(numbers)


def row(layer_id: Any = 1, /, unknown: dict[str, Any] | None = None, **fields: Any) -> Any:
    made = TargetMaterial(id=7, sample_id=42, layer_id=layer_id, **fields)
    made.additional_properties = unknown or {}
    return made


def of(*rows: TargetMaterial) -> TargetMaterials:
    return TargetMaterials(rows)


FULL = row(
    sample_name="<script>",
    element_dict=amounts(Ba=1, O=10**25),
    sample_metadata=SampleMetadata.from_dict({"run": 1, "steps": [{"kelvin": 900.5}, "é", 10**25]}),
    last_updated=MOMENT,
)
BARE = row(UNSET, sample_name=None)
BOTH = of(FULL, BARE)


def listed(table: Any, name: Any) -> list[Any]:
    """The values of a column, where None stands for what is missing."""
    if isinstance(table, pandas.DataFrame):
        column = table[name]
        return [None if gone else v for v, gone in zip(column, column.isna(), strict=True)]
    return list(table[name].to_pylist() if isinstance(table, pyarrow.Table) else table[name])


def names(table: Any) -> list[str]:
    return list(table.column_names if isinstance(table, pyarrow.Table) else table.columns)


MAKES: dict[str, Make] = {
    "pandas": TargetMaterials.to_pandas,
    "polars": TargetMaterials.to_polars,
    "arrow": TargetMaterials.to_arrow,
}
each_library = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
each_setting = pytest.mark.parametrize("elements", ["map", "columns"])
KINDS = {
    "pandas": {
        int: "Int64", float: "float64", bool: "boolean", str: "string", dict: "object",
        object: "object", datetime.datetime: "datetime64[us, UTC]",
    },
    "polars": {
        int: "Int64", float: "Float64", bool: "Boolean", str: "String", object: "String",
        dict: "List(Struct({'key': String, 'value': Float64}))",
        datetime.datetime: "Datetime(time_unit='us', time_zone='UTC')",
    },
    "arrow": {
        int: "int64", float: "double", bool: "bool", str: "string", object: "string",
        dict: "map<string, double>", datetime.datetime: "timestamp[us, tz=UTC]",
    },
}  # fmt: skip
OTHERS = {"id": int, "sample_id": int, "layer_id": int, "element_dict": dict}
OTHERS |= {"sample_metadata": object, "last_updated": datetime.datetime}


def types(table: Any) -> dict[str, str]:
    if isinstance(table, pandas.DataFrame):
        return {str(name): str(dtype) for name, dtype in table.dtypes.items()}
    schema = table.schema
    found = schema.types if isinstance(table, pyarrow.Table) else schema.dtypes()
    return dict(zip(names(table), map(str, found), strict=True))


FIELDS = [
    "id", "sample_id", "sample_name", "substrate", "layer_id", "composition_string",
    "element_dict", "orientation", "space_group", "mp_id", "detail_notes_id",
    "detail_note_content", "sample_metadata", "user_id", "user_name", "version", "last_updated",
]  # fmt: skip


@pytest.mark.parametrize("materials", [BOTH, of(BARE), of()], ids=["both", "bare", "empty"])
@pytest.mark.parametrize("library", MAKES)
def test_columns_and_their_types(library: str, materials: TargetMaterials) -> None:
    found = types(MAKES[library](materials))
    assert [*found] == FIELDS
    assert found == {name: KINDS[library][OTHERS.get(name, str)] for name in FIELDS}


@each_library
def test_values(make: Make) -> None:
    table = make(BOTH)
    assert listed(table, "layer_id") == [1, None]
    assert listed(table, "sample_name") == ["<script>", None]
    assert listed(table, "last_updated") == [MOMENT, None]
    assert listed(table, "user_id") == [None, None]


def test_mappings_are_python_in_pandas_and_no_part_of_the_rows() -> None:
    table = BOTH.to_pandas()
    assert listed(table, "element_dict") == [{"Ba": 1, "O": 10**25}, None]
    assert listed(table, "sample_metadata") == [FULL.sample_metadata.to_dict(), None]
    table["element_dict"][0]["Ba"] = 5
    assert FULL.element_dict["Ba"] == 1


@pytest.mark.parametrize("make", [MAKES["polars"], MAKES["arrow"]], ids=["polars", "arrow"])
def test_free_form_mappings_are_json_elsewhere(make: Make) -> None:
    text, absent = listed(make(BOTH), "sample_metadata")
    assert (json.loads(text), absent) == (FULL.sample_metadata.to_dict(), None)


ROWS = of(FULL, row(element_dict=amounts()), row(element_dict=None), row(element_dict=amounts(O=3)))


def test_amounts_as_maps() -> None:
    pairs: list[Any] = [[("Ba", 1.0), ("O", 1e25)], [], None, [("O", 3.0)]]
    structs = [each and [{"key": x, "value": n} for x, n in each] for each in pairs]
    assert ROWS.to_arrow()["element_dict"].to_pylist() == pairs
    assert ROWS.to_polars()["element_dict"].to_list() == structs
    assert of().to_polars()["element_dict"].to_list() == []


@pytest.mark.parametrize("library", MAKES)
def test_amounts_as_columns(library: str) -> None:
    table = MAKES[library](ROWS, elements="columns")
    found = [name for name in names(table) if name.startswith("element_dict")]
    assert found == ["element_dict.Ba", "element_dict.O"]
    assert listed(table, "element_dict.Ba") == [1.0, None, None, None]
    assert listed(table, "element_dict.O") == [1e25, None, None, 3.0]
    assert {types(table)[name] for name in found} == {KINDS[library][float]}
    assert names(table).index("element_dict.Ba") == FIELDS.index("element_dict")


@each_library
def test_other_settings_of_elements(make: Make) -> None:
    with pytest.raises(ValueError, match=r"^elements: 'map' or 'columns' is needed, not 'rows'$"):
        make(BOTH, elements="rows")


def at(hours: int, year: int = 2024) -> datetime.datetime:
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    return datetime.datetime(year, 1, 1, 12, tzinfo=zone)


@each_library
def test_moments_of_any_offset_are_in_utc(make: Make) -> None:
    moments = [at(-7), at(0), at(14), at(0).replace(tzinfo=None)]
    table = make(of(*(row(last_updated=moment) for moment in moments)))
    assert listed(table, "last_updated") == [at(-7), at(0), at(14), at(0)]
    assert {moment.utcoffset() for moment in listed(table, "last_updated")} == {at(0).utcoffset()}


@each_library
def test_the_first_and_the_last_moments(make: Make) -> None:
    first, last = (
        datetime.datetime.min.replace(tzinfo=UTC),
        datetime.datetime.max.replace(tzinfo=UTC),
    )
    table = make(of(row(last_updated=first), row(last_updated=last)))
    assert listed(table, "last_updated") == [first, last]


@each_library
def test_a_moment_before_the_year_1_in_utc_does_not_stop_the_table(make: Make) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=14))
    table = make(of(row(last_updated=datetime.datetime(1, 1, 1, tzinfo=zone))))
    assert listed(table, "sample_id") == [42]


UNKNOWN: dict[str, tuple[list[Any], Any]] = {
    "whole": ([1, None, -(2**63)], int),
    "mixed": ([1, 0.5, None], float),
    "yes": ([True, None, False], bool),
    "text": (["<b>", None, "2024"], str),
    "nested": ([{"a": [1, {"b": None}]}, None, [2]], object),
    "truth and numbers": ([True, 1, 0.5], object),
    "big": ([2**63, 1, None], object),
    "not exact": ([2**53 + 1, 0.5, None], object),
    "nothing": ([None, None, None], object),
}


@pytest.mark.parametrize("library", MAKES)
@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_fields(library: str, name: str) -> None:
    values, kind = UNKNOWN[name]
    materials = of(*(row(unknown={name: each}) for each in values), row())
    assert name not in names(MAKES[library](materials))
    table = MAKES[library](materials, unknown=True)
    assert types(table)[name] == KINDS[library][kind]
    found = listed(table, name)
    if kind is object and library != "pandas":
        found = [each and json.loads(each) for each in found]
    assert found == [*values, None]


@each_library
@each_setting
def test_names_that_clash_overwrite_nothing(make: Make, elements: str) -> None:
    odd = ["element_dict.Ba", "id", "unknown.id", "z", "a"]
    materials = of(row(unknown={name: name for name in odd}, element_dict=amounts(Ba=1)))
    table = make(materials, elements=elements, unknown=True)
    renamed = ["unknown.element_dict.Ba", "unknown.id", "unknown.unknown.id", "z", "a"]
    assert names(table)[-5:] == renamed
    assert [listed(table, name) for name in renamed] == [[name] for name in odd]
    assert listed(table, "id") == [7]
    assert len(names(table)) == len(FIELDS) + 5


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (int, int),
        (None | float | Unset, float),
        (bool | Unset, bool),
        (int | str, object),
        (list[str], object),
        (datetime.date | None, object),
        (SampleMetadata | Unset, object),
        (ElementDict | None, dict),
        (LayerCreate | None, object),
    ],
    ids=str,
)
def test_the_kind_of_a_field_that_the_spec_may_get(hint: Any, kind: Any) -> None:
    assert frames._kind(hint) is kind


KIND_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    str: st.text(st.characters(codec="utf-8"), max_size=5),
    datetime.datetime: st.datetimes(timezones=st.sampled_from([UTC, at(-7).tzinfo, at(14).tzinfo])),
    dict: st.dictionaries(
        st.sampled_from(["Ba", "No", "Y", "O"]), st.integers(0, 10**25) | st.floats(0, 1e300)
    ).map(lambda numbers: amounts(**numbers)),
    object: st.dictionaries(st.text(max_size=3), st.none() | st.integers()).map(
        SampleMetadata.from_dict
    ),
}  # fmt: skip


def values_of(name: str, required: bool) -> st.SearchStrategy[Any]:
    values = KIND_VALUES[frames._fields(TargetMaterial)[name][1]]
    return values if required else values | st.sampled_from([None, UNSET])


rows = st.builds(
    TargetMaterial,
    **{name: values_of(name, name in {"id", "sample_id", "layer_id"}) for name in FIELDS},
)
SENT = ["layer_id", "sample_id", "composition_string", "element_dict", "orientation"]
SENT += ["space_group", "mp_id"]


def sent(layer: Any, elements: str) -> dict[str, Any]:
    """What of it is a layer to add: no nulls, amounts as floats."""
    fields = {name: value for name, value in layer.to_dict().items() if value is not None}
    if "element_dict" in fields:
        numbers = {symbol: float(n) for symbol, n in fields.pop("element_dict").items()}
        fields |= {"element_dict": numbers} if numbers or elements == "map" else {}
    return {name: fields[name] for name in SENT if name in fields}


@each_library
@each_setting
@settings(deadline=None)  # the first call starts the library's threads
@given(rows=st.lists(rows, max_size=4))
def test_there_and_back(make: Make, elements: str, rows: list[TargetMaterial]) -> None:
    layers = layers_from_frame(make(of(*rows), elements=elements))
    assert all(type(layer) is LayerCreate for layer in layers)
    assert [sent(layer, elements) for layer in layers] == [sent(each, elements) for each in rows]


@each_library
def test_unknown_fields_may_have_any_name(make: Make) -> None:
    odd = row(unknown={"": 1, "column_17": 2})
    assert names(make(of(odd), unknown=True))[-2:] == ["", "column_17"]


def test_the_id_of_an_entry_is_not_that_of_a_layer() -> None:
    table = ROWS.to_pandas()
    assert all(layer.id is UNSET for layer in layers_from_frame(table))
    assert [layer.id for layer in layers_from_frame(table[["layer_id", "id"]])] == [*table["id"]]


def test_what_one_library_makes_of_the_tables_of_another() -> None:
    expected = [sent(each, "map") for each in ROWS]
    for table in [
        ROWS.to_arrow().to_pandas(),
        ROWS.to_arrow().to_pandas(types_mapper=pandas.ArrowDtype),
        ROWS.to_polars().to_pandas(),
        polars.DataFrame(ROWS.to_arrow()),
        ROWS.to_polars().to_arrow(),
    ]:
        assert [sent(each, "map") for each in layers_from_frame(table)] == expected


@pytest.mark.parametrize(
    "frame",
    [
        pandas.DataFrame({"layer_id": [1.0, 2.0, 3], "sample_id": [5, None, float("nan")],
                          "mp_id": ["a", None, pandas.NA], "orientation": [pandas.NaT, "b", "c"]}),
        polars.DataFrame({"layer_id": [1.0, 2.0, 3.0], "sample_id": [5.0, None, float("nan")],
                          "mp_id": ["a", None, None], "orientation": [None, "b", "c"]}),
        pyarrow.table({"layer_id": [1, 2, 3], "sample_id": [5, None, None],
                       "mp_id": ["a", None, None], "orientation": [None, "b", "c"]}),
    ],
    ids=MAKES,
)  # fmt: skip
def test_what_is_missing_is_left_out_and_whole_floats_are_integers(frame: Any) -> None:
    assert layers_from_frame(frame) == [
        LayerCreate(1, sample_id=5, mp_id="a"),
        LayerCreate(2, orientation="b"),
        LayerCreate(3, orientation="c"),
    ]
    assert [type(layer.layer_id) for layer in layers_from_frame(frame)] == [int, int, int]


def one(**cells: Any) -> pandas.DataFrame:
    """A table of one row, which holds the cells as they are."""
    table = {"layer_id": 1, **cells}
    return pandas.DataFrame(
        {name: pandas.Series([cell], dtype=object) for name, cell in table.items()}
    )


@pytest.mark.parametrize(
    "cell",
    [
        {"Ba": 1, "O": 3.5, "Ti": None},
        {"Ba": numpy.int8(1), "O": numpy.float32(3.5), "Ti": pandas.NA},
        [("Ba", 1), ("O", 3.5), ("Ti", float("nan"))],
        [{"key": "Ba", "value": 1}, {"key": "O", "value": 3.5}],
        numpy.array([{"key": "Ba", "value": 1}, {"key": "O", "value": 3.5}]),
        amounts(Ba=1, O=3.5),
    ],
    ids=lambda cell: type(cell).__name__,
)
def test_cells_of_amounts(cell: Any) -> None:
    (layer,) = layers_from_frame(one(element_dict=cell))
    assert layer.to_dict() == {"layer_id": 1, "element_dict": {"Ba": 1, "O": 3.5}}


@pytest.mark.parametrize("cell", [None, {"Ba": None}, pandas.NA])
def test_without_one_amount_they_are_left_out(cell: Any) -> None:
    assert layers_from_frame(one(element_dict=cell)) == [LayerCreate(1)]


def test_a_struct_of_polars_is_a_mapping() -> None:
    frame = polars.DataFrame({"layer_id": [1, 2], "element_dict": [{"Ba": 1, "O": None}, {"O": 3}]})
    found = [layer.to_dict()["element_dict"] for layer in layers_from_frame(frame)]
    assert found == [{"Ba": 1}, {"O": 3}]


def test_scalars_of_numpy() -> None:
    cells = {"sample_id": numpy.int64(5), "mp_id": numpy.str_("a"), "id": numpy.float64(6)}
    (layer,) = layers_from_frame(one(**cells, **{"element_dict.Ba": numpy.float64(0.5)}))
    expected = {"layer_id": 1, "sample_id": 5, "mp_id": "a", "id": 6, "element_dict": {"Ba": 0.5}}
    assert layer.to_dict() == expected


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"layer_id": None}, "the field 'layer_id' is missing; a sample without layers has none"),
        ({"layer_id": 1.5}, "layer_id: 1.5 is no integer, or one that was rounded to a float"),
        ({"id": 2.0**53}, "id: 9007199254740992.0 is no integer, or one that was rounded"),
        ({"id": float("inf")}, "id: inf is no integer"),
        ({"id": 2**63}, "id: Expected `int` <= 9223372036854775807"),
        ({"id": True}, "id: Expected `int`, got `bool`"),
        ({"id": "1"}, "id: Expected `int`, got `str`"),
        ({"id": Decimal(1)}, "id: `Decimal` has no JSON form"),
        ({"id": Decimal("sNaN")}, ""),
        ({"id": Fraction(10**400, 3)}, ""),
        ({"orientation": 1}, "orientation: Expected `str`, got `int`"),
        ({"element_dict.Ba": "1"}, "element_dict.Ba: Expected `int | float`, got `str`"),
        ({"element_dict.Ba": -1}, "element_dict.Ba: Expected `int` >= 0"),
        ({"element_dict.Xx": 1}, 'element_dict: "Xx" is not one of the 118 names'),
        ({"element_dict": "{}"}, "element_dict: Expected `object`, got `str`"),
        ({"element_dict": [1]}, "element_dict: Expected `object`, got `array`"),
        ({"element_dict": [("Ba", 1), ("Ba", 2)]}, "element_dict: an element is there twice"),
    ],
    ids=str,
)  # fmt: skip
def test_errors_name_row_and_column(cells: dict[str, Any], said: str) -> None:
    frame = one(**cells).set_index(pandas.Index(["top"]))
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(f"row 'top', {said}")):
        layers_from_frame(frame)


@pytest.mark.parametrize("library", [polars.DataFrame, pyarrow.table])
def test_other_libraries_have_the_number_of_the_row(library: Any) -> None:
    with pytest.raises(TypeError, match=r"^row 1, the field 'layer_id' is missing; "):
        layers_from_frame(library({"layer_id": [1, None]}))
    with pytest.raises(TypeError, match=r"^row 0, the field 'layer_id' is missing; "):
        layers_from_frame(library({"substrate": ["Si"]}))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["layer_id", "nm"], "column 'nm': a layer has layer_id, sample_id, composition_string, "),
        (["element_dict."], "column 'element_dict.': a layer has"),
        (["layer_id.x"], "column 'layer_id.x': a layer has"),
        ([0], "column 0: a layer has"),
        ([("layer_id", "x")], "column ('layer_id', 'x'): a layer has"),
        (["id", "id"], "column 'id': there are two of that name; drop one of them"),
        (["element_dict.Ba", "element_dict"],
         "columns 'element_dict' and 'element_dict.Ba': both have amounts; drop one of them"),
    ],
    ids=str,
)  # fmt: skip
def test_columns_that_cannot_be(columns: list[Any], said: str) -> None:
    frame = pandas.DataFrame([[1] * len(columns)])
    frame.columns = pandas.Index(columns, tupleize_cols=False)
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        layers_from_frame(frame)


def test_unknown_fields_are_to_be_dropped_first() -> None:
    table = of(row(unknown={"growth_rate": 1})).to_polars(unknown=True)
    with pytest.raises(ValueError, match=r"^column 'growth_rate': .*drop the column"):
        layers_from_frame(table)
    assert len(layers_from_frame(table.drop("growth_rate"))) == 1


@pytest.mark.parametrize(
    "frame", [[], "x", pandas.Series([1]), polars.LazyFrame(), polars.Series([1])], ids=type
)
def test_what_is_no_table(frame: Any) -> None:
    needed = "a pandas DataFrame, a polars DataFrame or a pyarrow Table is needed"
    with pytest.raises(TypeError, match=f"^frame: {needed}, not `{type(frame).__name__}`$"):
        layers_from_frame(frame)


@pytest.mark.parametrize(
    ("extra", "module"), [("pandas", "pandas"), ("polars", "polars"), ("arrow", "pyarrow")]
)
def test_without_the_extra(extra: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    needed = f"to_{extra} needs an extra: pip install 'atomscale-target-materials[{extra}]'"
    with pytest.raises(ImportError, match="^" + re.escape(f"{needed}, or {module} itself") + "$"):
        MAKES[extra](of())


LIBRARIES = {"pandas", "polars", "pyarrow", "numpy"}
ALONE = """
import sys
sys.modules |= dict.fromkeys({missing})
from atomscale_target_materials import TargetMaterial, TargetMaterials, layers_from_frame
assert {libraries}.isdisjoint({{name for name, each in sys.modules.items() if each}})
row = TargetMaterial(id=7, sample_id=42, layer_id=1, orientation="001")
table = getattr(TargetMaterials([row]), "to_{extra}")()
print(layers_from_frame(table)[0].to_dict())
"""


@pytest.mark.parametrize(
    ("extra", "needs"),
    [("pandas", {"pandas", "numpy"}), ("polars", {"polars"}), ("arrow", {"pyarrow"})],
)
def test_each_library_does_alone_and_none_is_imported_before(extra: str, needs: set[str]) -> None:
    script = ALONE.format(missing=LIBRARIES - needs, libraries=LIBRARIES, extra=extra)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "{'layer_id': 1, 'sample_id': 42, 'orientation': '001'}\n"
