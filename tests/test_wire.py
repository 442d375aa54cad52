import datetime
import enum
import json
import math
import subprocess
import sys
import uuid
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Composition

from atomscale_target_materials import _wire
from atomscale_target_materials._codec import _encoded, fitting, read
from atomscale_target_materials._wire import Mismatch, reader
from atomscale_target_materials.stacks import layer_create
from atomscale_target_materials_api.models import LayerCreate, TargetMaterial
from atomscale_target_materials_api.types import UNSET

SPEC = """
openapi: 3.1.0
info: {title: Schemas of every kind, version: "1"}
paths: {}
components:
  schemas:
    Colour: {type: string, enum: [dark-blue, red]}
    Grade: {type: integer, enum: [1, 2]}
    Cat: {type: object, properties: {name: {type: string}, lives: {type: integer}}}
    Dog: {type: object, properties: {name: {type: string}, tricks: {type: integer}}}
    Closed: {type: object, additionalProperties: false, properties: {size: {type: number}, of: {}}}
    Wide:
      type: object
      required: [camelCase, class]
      properties:
        camelCase: {type: integer}
        class: {type: string}
        the-flag: {type: boolean}
        colour: {$ref: "#/components/schemas/Colour"}
        grade: {$ref: "#/components/schemas/Grade"}
        kind: {const: wide}
        day: {type: string, format: date}
        moment: {type: string, format: date-time}
        moments: {type: array, items: {type: string, format: date-time}}
        key: {type: string, format: uuid}
        grid: {type: array, items: {type: array, items: {type: integer}}}
        spectrum: {type: array, items: {type: number}}
        amounts: {type: object, additionalProperties: {type: number}}
        dates: {type: object, additionalProperties: {type: string, format: date-time}}
        child: {$ref: "#/components/schemas/Wide"}
        children: {type: array, items: {$ref: "#/components/schemas/Wide"}}
        closed: {$ref: "#/components/schemas/Closed"}
        pet: {anyOf: [{$ref: "#/components/schemas/Cat"}, {$ref: "#/components/schemas/Dog"}]}
        note: {type: [string, "null"]}
        nothing: {type: "null"}
        texts: {oneOf: [{type: string}, {type: array, items: {type: string}}]}
        anything: {}
        partner: {anyOf: [{$ref: "#/components/schemas/Wide"}, {type: "null"}]}
        tree: {$ref: "#/components/schemas/Tree"}
        counts: {$ref: "#/components/schemas/Counts"}
    Tree: {type: object, additionalProperties: {$ref: "#/components/schemas/Tree"}}
    Counts:
      type: object
      properties: {total: {type: integer}}
      additionalProperties: {type: integer, minimum: 0}
"""


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A model with a field of every kind, made by the real generator."""
    folder = tmp_path_factory.mktemp("generated")
    package = folder / "every_kind"
    (folder / "openapi.yaml").write_text(SPEC)
    (folder / "config.yml").write_text("post_hooks: []")
    options = "--path openapi.yaml --config config.yml --meta none --output-path every_kind"
    generator = [sys.executable, "-m", "openapi_python_client", "generate", *options.split()]
    subprocess.run(generator, cwd=folder, check=True, capture_output=True)
    # One UNSET for all; and names that the shipped `models` package cannot resolve.
    (package / "types.py").write_text("from atomscale_target_materials_api.types import *")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        models = import_module("every_kind.models")
        for path in (package / "models").glob("[a-z]*.py"):
            vars(import_module(f"every_kind.models.{path.stem}")).update(
                {name: getattr(models, name) for name in models.__all__}
            )
        yield models.Wide


def converter(hint: Any) -> Any:
    """Reads a value that JSON can write; infinities and NaN are refused as arguments are."""

    def converted(value: Any) -> Any:
        return read(hint, _encoded(value))

    return converted


def plain(value: Any) -> Any:
    return json.loads(_encoded(value))


FINITE = "Expected a finite number in the range of a double"
UTF8 = "Expected text that UTF-8 can encode"
LEAST = {"camelCase": 1, "class": "a"}
FULL = {
    **LEAST,
    "the-flag": False,
    "colour": "dark-blue",
    "grade": 2,
    "kind": "wide",
    "day": "2024-01-15",
    "moment": "2024-01-15T11:00:00+00:00",
    "moments": ["2024-01-15T11:00:00+01:00"],
    "key": "12345678-1234-5678-1234-567812345678",
    "grid": [[1, 2], [], [2**63 - 1, -(2**63)]],
    "spectrum": [1, 0.5],
    "amounts": {"Ba": 1, "O": 0.5},
    "dates": {"grown": "2024-01-15T11:00:00+00:00"},
    "child": {**LEAST, "children": [{**LEAST, "deep": None}]},
    "closed": {"size": 1e308},
    "pet": {"name": "Tom", "lives": 9},
    "note": None,
    "nothing": None,
    "texts": ["x"],
    "anything": {"a": [None, True]},
    "partner": {**LEAST, "partner": None},
    "tree": {"a": {"b": {}, "c": {"d": {}}}},
    "counts": {"total": 3, "rows": 1, "gaps": 2},
    "unknown": {"kept": [1]},
    "additional_properties": 1,
    "camel_case": 2,
}


def test_every_kind_of_field_makes_the_round_trip(wide: Any) -> None:
    model = converter(wide)(FULL)
    assert json.dumps(model.to_dict(), sort_keys=True) == json.dumps(FULL, sort_keys=True)
    assert (model.camel_case, model.class_, model.the_flag) == (1, "a", False)
    assert (model.colour.name, model.grade.name) == ("DARK_BLUE", "VALUE_2")
    assert model.day == datetime.date(2024, 1, 15)
    assert model.moment == datetime.datetime(2024, 1, 15, 11, tzinfo=datetime.UTC)
    assert model.key == uuid.UUID(int=0x12345678123456781234567812345678)
    assert model.amounts.additional_properties == {"Ba": 1, "O": 0.5}
    assert model.child.children[0].additional_properties == {"deep": None}
    assert type(model.pet).__name__ == "Cat"
    assert set(model.additional_properties) == {"unknown", "additional_properties", "camel_case"}


def test_absent_fields_are_unset_and_the_answer_is_left_as_it_was(wide: Any) -> None:
    answer = dict(LEAST)
    model = converter(wide)(answer)
    assert model == wide(camel_case=1, class_="a")
    assert model.the_flag is UNSET
    assert model.to_dict() == answer == LEAST


@pytest.mark.parametrize(
    ("pet", "kind"),
    [
        ({"name": "x", "lives": 9}, "Cat"),
        ({"name": "x", "tricks": 1}, "Cat"),
        ({"lives": "many", "tricks": 1}, "Dog"),
    ],
    ids=str,
)
def test_of_two_models_the_first_that_fits_is_taken(wide: Any, pet: Any, kind: str) -> None:
    model = converter(wide)({**LEAST, "pet": pet}).pet
    assert (type(model).__name__, model.to_dict()) == (kind, pet)


WRONG_TYPES: list[tuple[str, Any, str, str]] = [
    ("camelCase", True, "$.camelCase", "Expected `int`, got `bool`"),
    ("camelCase", 1.0, "$.camelCase", "Expected `int`, got `float`"),
    ("camelCase", "1", "$.camelCase", "Expected `int`, got `str`"),
    ("camelCase", None, "$.camelCase", "Expected `int`, got `null`"),
    ("class", 1, "$.class", "Expected `str`, got `int`"),
    ("the-flag", 1, '$["the-flag"]', "Expected `bool`, got `int`"),
    ("grade", True, "$.grade", "Expected `int`, got `bool`"),
    ("grade", 1.0, "$.grade", "Expected `int`, got `float`"),
    ("day", 20240101, "$.day", "Expected `date`, got `int`"),
    ("grid", [[1], [1, "x"]], "$.grid[1][1]", "Expected `int`, got `str`"),
    ("grid", {}, "$.grid", "Expected `array`, got `object`"),
    ("spectrum", [1, None], "$.spectrum[1]", "Expected `int | float`, got `null`"),
    ("dates", {"grown": 5}, "$.dates.grown", "Expected `str`, got `int`"),
    ("amounts", [], "$.amounts", "Expected `object`, got `array`"),
    ("amounts", {"Ba_2": "1"}, "$.amounts.Ba_2", "Expected `int | float`, got `str`"),
    ("amounts", {"a b": True}, '$.amounts["a b"]', "Expected `int | float`, got `bool`"),
    ("amounts", {"": None}, '$.amounts[""]', "Expected `int | float`, got `null`"),
    ("child", {"camelCase": 1}, "$.child", "the field 'class' is missing"),
    ("child", {**LEAST, "child": []}, "$.child.child", "Expected `object`, got `array`"),
    ("children", [LEAST, None], "$.children[1]", "Expected `object`, got `null`"),
    (
        "closed",
        {"size": 1, "more": 2},
        "$.closed",
        'the field "more" is unknown; there are size, of',
    ),
    ("pet", {"name": 5}, "$.pet.name", "Expected `str`, got `int`"),
    ("pet", "Tom", "$.pet", "Expected `object`, got `str`"),
    ("note", 5, "$.note", "Expected `str`, got `int`"),
    ("nothing", 5, "$.nothing", "Expected `null`, got `int`"),
    ("texts", None, "$.texts", "Expected `array`, got `null`"),
    ("texts", ["a", 1], "$.texts[1]", "Expected `str`, got `int`"),
    ("partner", 1, "$.partner", "Expected `object`, got `int`"),
    ("tree", {"a": {"b": 1}}, "$.tree.a.b", "Expected `object`, got `int`"),
    ("counts", {"rows": "1"}, "$.counts.rows", "Expected `int`, got `str`"),
]
WRONG_VALUES: list[tuple[str, Any, str, str]] = [
    ("counts", {"rows": 2**63}, "$.counts.rows", "Expected `int` <= 9223372036854775807"),
    ("camelCase", 2**63, "$.camelCase", "Expected `int` <= 9223372036854775807"),
    ("camelCase", -(2**63) - 1, "$.camelCase", "Expected `int` >= -9223372036854775808"),
    ("colour", "green", "$.colour", "Invalid enum value 'green'"),
    ("kind", "narrow", "$.kind", "Invalid enum value 'narrow'"),
    ("day", "2024-13-01", "$.day", "Invalid RFC3339 encoded date"),
    ("dates", {"grown": "x"}, "$.dates.grown", "Invalid ISO 8601 timestamp"),
    ("moments", ["x"], "$.moments[0]", "Invalid ISO 8601 timestamp"),
    ("key", "no", "$.key", "Invalid UUID"),
    ("amounts", {"Ba": math.inf}, "$.amounts.Ba", FINITE),
    ("amounts", {"Ba": math.nan}, "$.amounts.Ba", FINITE),
    ("amounts", {"Ba": 10**400}, "$.amounts.Ba", FINITE),
    ("anything", [{"a": 10**400}], "$.anything[0].a", FINITE),
    ("anything", [math.nan], "$.anything[0]", FINITE),
]


@pytest.mark.parametrize(
    ("field", "value", "path", "fault"),
    WRONG_TYPES + WRONG_VALUES,
    ids=lambda value: repr(value)[:40],
)
def test_what_does_not_fit_is_refused_with_its_place(
    wide: Any, field: str, value: Any, path: str, fault: str
) -> None:
    with pytest.raises(Mismatch) as caught:
        converter(list[wide])([LEAST, {**LEAST, field: value}])
    mismatch = caught.value
    assert (mismatch.path, str(mismatch)) == (f"$[1]{path[1:]}", fault)
    assert mismatch.is_value == ((field, value, path, fault) in WRONG_VALUES)


def test_a_fault_far_down_takes_no_longer_from_level_to_level(wide: Any) -> None:
    value: Any = {**LEAST, "class": 1}
    for _ in range(60):
        value = {**LEAST, "unknown": 1, "child": value}
    with pytest.raises(Mismatch, match="Expected `str`") as caught:
        converter(wide)(value)
    assert caught.value.path == "$" + ".child" * 60 + ".class"


def test_a_map_that_is_no_model_is_checked_too() -> None:
    assert converter(dict[str, int])({"a": 1}) == {"a": 1}
    with pytest.raises(Mismatch, match="Expected `object`, got `array`"):
        converter(dict[str, int])([])


ELEVEN = datetime.datetime(2024, 1, 15, 11, tzinfo=datetime.UTC)
FORMS = """2024-01-15T11:00:00Z | 2024-01-15t11:00:00z | 2024-01-15t11:00:00Z | 2024-01-15T11:00:00z
    | 2024-01-15 11:00:00+00:00 | 2024-01-15T11Z
    | 2024-01-15T11:00:00 | 2024-01-15 11:00 | 2024-01-15T12:30:00+01:30 | 2024-01-15T06:00-0500
    | 20240115T110000Z | 2024-01-15T11:00:00.000000000Z | 2024-01-15T11:00:00,0Z | 2024-W03-1T11"""
NO_FORMS = """now | 1705316400 | 2024-13-01T11:00:00Z | 2024-01-15T25:00:00Z | 15.01.2024 | 11:00:00
    | 2024-01-15T11:00:00 UTC | Mon, 15 Jan 2024 11:00:00 GMT | 2024-01-15T11:00:00+25:00 |
    | 2024-01-15T11:00:00+01:00:30 | 2024-01-15T11:00:00+00:00:00.5 | 2024-01-15X11:00:00Z
    | 2024-01-15\u017f11:00:00 | 2024-01-15T11:00:00Z\0 | 2024-01-15T11:00:00TZ
    | 2024-01-15T11:00:00\0Z | 2024-01-15T11:00:00 Z | 2024-01-15T1100z-01:00 | 2024-01-15T11:00:
    | 2024-01-15T11:00:00+01.00 | 2024-01-15T11:00:00+0100\0 | 2024-01-15T11:00:00.Z"""


@pytest.mark.parametrize("text", [each.strip() for each in FORMS.split("|")])
def test_a_timestamp_of_any_form_has_an_offset(text: str) -> None:
    moment = converter(datetime.datetime)(text)
    assert moment == ELEVEN
    assert moment.tzinfo is not None


@pytest.mark.parametrize("text", [each.strip() for each in NO_FORMS.split("|")])
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(Mismatch, match="Invalid ISO 8601 timestamp"):
        converter(datetime.datetime)(text)


ALREADY_PLAIN: list[Any] = [None, True, False, 5, 10**300, 0.5, "a", "é", {}, []]


class Miller(str, enum.Enum):  # noqa: UP042 - what users have, too
    UP = "001"


class Place(enum.IntEnum):
    FIRST = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (ELEVEN, "2024-01-15T11:00:00+00:00"),
        (ELEVEN.date(), "2024-01-15"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=str,
)
def test_a_moment_or_an_identifier_is_written_when_it_is_sent(value: Any, text: str) -> None:
    assert fitting(type(value), value, "since") == (json.dumps(text).encode(), value)
    assert fitting(type(value) | None, value, "since")[1] == value
    with pytest.raises(TypeError, match=r"^mp_id: `.*` has no JSON form$"):  # it is no text
        fitting(str | None, value, "mp_id")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *zip(ALREADY_PLAIN, ALREADY_PLAIN, strict=True),
        (np.int64(5), 5),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float64(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.str_("a"), "a"),
        (Fraction(1, 4), 0.25),
        (Place.FIRST, 1),
        (Miller.UP, "001"),
        ((1, (np.int8(2),)), [1, [2]]),
        (MappingProxyType({"a": {"b": (True,)}}), {"a": {"b": [True]}}),
        (Composition("SrTiO3"), {"Sr": 1.0, "Ti": 1.0, "O": 3.0}),
        ([TargetMaterial(id=1, sample_id=2)], [{"id": 1, "sample_id": 2}]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_argument_becomes_plain_json(value: Any, expected: Any) -> None:
    result = plain(value)
    assert type(result) is type(expected)
    assert json.dumps(result) == json.dumps(expected)


@pytest.mark.parametrize(
    ("value", "path", "fault"),
    [
        (math.nan, "$", FINITE),
        (-math.inf, "$", FINITE),
        (np.float32("inf"), "$", FINITE),
        (Fraction(10**400), "$", FINITE),
        ("a\ud800", "$", UTF8),
        ({"\udfff": 1}, "$", UTF8),
        ({"a": [1, {"b": "\ud800"}]}, "$.a[1].b", UTF8),
        (np.True_, "$", f"`{type(np.True_).__name__}` has no JSON form"),
        (np.array([1]), "$", "`ndarray` has no JSON form"),
        (np.array([1.5, 2]), "$", "`ndarray` has no JSON form"),
        ((1, b"a"), "$[1]", "`bytes` has no JSON form"),
        ({1}, "$", "`set` has no JSON form"),
        (1j, "$", "`complex` has no JSON form"),
        (Decimal("0.5"), "$", "`Decimal` has no JSON form"),
        (datetime.time(11), "$", "`time` has no JSON form"),
        ([UNSET], "$[0]", "`Unset` has no JSON form"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_an_argument_without_a_json_form_is_refused(value: Any, path: str, fault: str) -> None:
    with pytest.raises(Mismatch) as caught:
        plain(value)
    assert (caught.value.path, str(caught.value)) == (path, fault)
    assert caught.value.is_value == fault.startswith((FINITE, UTF8))


def test_the_names_of_a_map_whose_values_are_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {
        "labels": {
            "propertyNames": {"enum": [*"acdefgh"]},
            "additionalProperties": {"type": "string"},
        }
    }
    monkeypatch.setattr(_wire, "_schemas", lambda: spec)
    labels = reader(_wire._limited(type("Labels", (), {}), str, str))
    assert labels(b'{"a": "x"}') == {"a": "x"}
    with pytest.raises(Mismatch, match=r'^"b" is not .* 7 names a, c, d, e, f, \.\.\.$'):
        labels(b'{"b": "x"}')


def test_a_large_whole_amount_is_taken_as_it_is() -> None:
    layer = layer_create({"layer_id": 1, "element_dict": {"Ba": 10**20, "O": np.uint64(2**64 - 1)}})
    assert layer.to_dict()["element_dict"] == {"Ba": 10**20, "O": 2**64 - 1}
    with pytest.raises(ValueError, match=r"^element_dict\.Ba: Expected `int` >= 0$"):
        layer_create({"layer_id": 1, "element_dict": {"Ba": -(10**20)}})


def test_where_a_key_is_no_text() -> None:
    with pytest.raises(ValueError, match=r"^x\[.*object object.*\]: Expected a finite"):
        fitting(Any, {object(): math.nan}, "x")


def test_limits_of_a_map(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"least": {"minimum": 1}, "most": {"maximum": 2.5}}
    spec = {name: {"additionalProperties": each} for name, each in limits.items()}
    monkeypatch.setattr(_wire, "_schemas", lambda: spec)
    least, most = (type(name, (), {}) for name in ("Least_", "Most"))
    assert reader(_wire._limited(least, str, int))(b'{"a": 1}') == {"a": 1}
    for hint, bad in (
        (_wire._limited(least, str, int), b'{"a": 0}'),
        (_wire._limited(least, str, int), b'{"a": 1.5}'),
        (_wire._limited(most, str, float), b'{"a": 3}'),
        (_wire._limited(most, str, float), b'{"a": 2.6}'),
    ):
        with pytest.raises(Mismatch) as caught:
            reader(hint)(bad)
        assert caught.value.path == "$.a"
    assert reader(_wire._limited(most, str, float | None))(b'{"a": null}') == {"a": None}


def test_the_limits_of_a_schema_whose_name_is_not_that_of_its_class(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limits = {"additionalProperties": {"minimum": 1}}
    spec = {"components": {"schemas": {"my-small_amounts": limits, "Warning": limits}}}
    (tmp_path / "openapi.json").write_text(json.dumps(spec))
    monkeypatch.setattr(_wire, "files", lambda _: tmp_path)
    monkeypatch.setattr(_wire, "_schemas", _wire._schemas.__wrapped__)
    for name in ("MySmallAmounts", "Warning_"):
        with pytest.raises(Mismatch, match="Expected `int` >= 1"):
            reader(_wire._limited(type(name, (), {}), str, int))(b'{"a": 0}')


@pytest.mark.parametrize(
    ("limits", "taken", "refused"),
    [
        ({"minimum": -(2**63)}, -(2**63), -(2**63) - 1),
        ({"minimum": -(2**63) - 1}, -(2**63) - 1, None),
        ({"maximum": 2**63 - 1}, 2**63 - 1, 2**63),
        ({"maximum": 2**63}, 2**63, None),
    ],
    ids=str,
)
def test_a_limit_beyond_64_bits_is_none(
    limits: dict[str, int], taken: int, refused: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"amounts": {"additionalProperties": limits}}
    monkeypatch.setattr(_wire, "_schemas", lambda: spec)
    read_amounts = reader(_wire._limited(type("Amounts", (), {}), str, int))
    assert read_amounts(b'{"a": %d}' % taken) == {"a": taken}
    if refused is not None:
        with pytest.raises(Mismatch):
            read_amounts(b'{"a": %d}' % refused)


def test_an_integer_that_no_double_holds_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"^note\.a: {FINITE}$"):
        fitting(Any, {"a": 2 * 10**308}, "note")
    assert fitting(Any, 10**307, "note")[1] == 10**307
    assert fitting(Any, "1" * 400, "note")[1] == "1" * 400


def test_a_layer_that_was_made_is_checked_again() -> None:
    assert layer_create(LayerCreate(layer_id=1)) == LayerCreate(layer_id=1)
    with pytest.raises(TypeError, match=r"row 2\.layer_id: Expected `int`, got `str`"):
        layer_create(LayerCreate(layer_id="1"), "row 2")  # type: ignore[arg-type]
