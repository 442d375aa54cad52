"""The reading of list answers as a whole: fast, and without loss."""

import copy
import json
import pickle
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials._codec import read
from atomscale_target_materials._wire import Mismatch, reader
from atomscale_target_materials_api.models import LayerCreate, TargetMaterial
from atomscale_target_materials_api.types import UNSET

from .strategies import json_values

ROW = {"id": 1, "sample_id": 2, "element_dict": {"Ba": 1, "O": 0.5}, "sample_metadata": {"a": [1]}}


@pytest.fixture(autouse=True)
def nothing_is_learned() -> Iterator[None]:
    reader.cache_clear()
    yield
    reader.cache_clear()


def listed(*more: dict[str, Any]) -> list[TargetMaterial]:
    """Rows with these fields more, read; they are what the generated code makes of them."""
    rows = [{**ROW, **each} for each in more]
    models: list[TargetMaterial] = read(list[TargetMaterial], json.dumps(rows).encode())
    assert models == [TargetMaterial.from_dict(row) for row in rows]
    assert [model.to_dict() for model in models] == rows
    return models


def learned() -> list[str]:
    read: Any = reader(TargetMaterial)
    learned: list[str] = read.__self__._learned
    return learned


def test_unknown_fields_that_come_again_are_learned_and_kept() -> None:
    assert listed({"a": 1})[0]["a"] == 1
    models = listed(*[{"a": number, "b": [number]} for number in range(9)], {}, {"b": None})
    assert set(learned()) == {"a", "b"}
    assert models[8].additional_properties == {"a": 8, "b": [8]}
    assert models[9].additional_properties == {}
    assert models[10].additional_properties == {"b": None}


def test_those_that_come_late_are_learned_too() -> None:
    listed(*[{"a": 1}] * 50, *[{"a": 1, "late": 2}] * 200)
    assert set(learned()) == {"a", "late"}


def test_what_does_not_come_again_is_forgotten() -> None:
    listed(*[{f"k{number}": number} for number in range(600)])
    assert len(learned()) == 1


def test_more_than_are_learned_are_kept() -> None:
    listed(*[{f"k{number}": number for number in range(32 + 1)}] * 9)
    assert learned() == []
    listed(*[{f"k{number}": number for number in range(32)}] * 9)
    assert len(learned()) == 32
    listed({f"k{number}": number for number in range(2000)})


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\x7f", "", "é", "self", "x" * 101, "f0"])
def test_a_name_may_be_anything(name: str) -> None:
    listed(*[{name: number} for number in range(9)])
    assert learned() == ([name] if name in ("\x7f", "é", "self", "f0") else [])


names = st.sampled_from("abcde") | st.text(max_size=2).filter(lambda name: name != "id")
fields = st.dictionaries(names, json_values, max_size=4)


@given(st.lists(fields, max_size=12))
def test_whatever_comes_nothing_is_lost(more: list[dict[str, Any]]) -> None:
    listed(*more)


def test_a_row_that_does_not_fit_is_told_when_its_neighbours_taught_something() -> None:
    listed(*[{"a": 1}] * 9)
    rows = [{**ROW, "a": 1}, {**ROW, "a": 1, "element_dict": {"Ba": "1"}}]
    with pytest.raises(Mismatch, match=r"Expected `int . float`, got `str`") as caught:
        read(list[TargetMaterial], json.dumps(rows).encode())
    assert caught.value.path == "$[1].element_dict.Ba"


def test_of_a_field_that_comes_twice_the_last_counts() -> None:
    assert read(TargetMaterial, b'{"id": "1", "id": 1, "sample_id": 2}').id == 1
    assert read(LayerCreate, b'{"layer_id": "1", "layer_id": 1}') == LayerCreate(layer_id=1)
    assert read(TargetMaterial, b'{"x": 1, "id": 1, "sample_id": 2, "x": 2}')["x"] == 2


def test_the_models_are_those_of_attrs() -> None:
    (model,) = listed({"last_updated": "2024-01-15T11:00:00+00:00", "more": {"a": 1}})
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert other == model
        assert other.additional_properties == {"more": {"a": 1}}
    changed = attrs.evolve(model, substrate="Si")
    assert (changed.substrate, model.substrate) == ("Si", UNSET)
    assert repr(model).startswith("TargetMaterial(id=1, sample_id=2, sample_name=UNSET, ")
    assert attrs.asdict(model)["additional_properties"] == {"more": {"a": 1}}
    model.element_dict["Ti"] = 1  # type: ignore[index]
    assert "Ti" not in listed({})[0].element_dict  # type: ignore[operator]


def test_where_a_timestamp_talks_of_places() -> None:
    body = b'[{"id": 1, "sample_id": 2, "last_updated": "x - at `sk-KEY."}]'
    with pytest.raises(Mismatch, match=r"^Invalid ISO 8601 timestamp$") as caught:
        read(list[TargetMaterial], body)
    assert caught.value.path == "$[0].last_updated"


def test_what_is_no_json_is_told_by_its_byte_in_a_long_answer_too() -> None:
    with pytest.raises(ValueError, match=r"malformed.*byte 441"):
        read(
            list[TargetMaterial], b'[{"id": 1, "sample_id": 2, "x": "%s", "y": NaN}]' % (b"a" * 400)
        )


def test_what_was_refused_before_does_not_change_what_a_refusal_tells() -> None:
    for wrong, path in (
        ({"element_dict": {"Ba": 1}, "orientation": 5}, "$.orientation"),
        ({"element_dict": {"Ba": "Ba"}}, "$.element_dict.Ba"),
    ):
        with pytest.raises(Mismatch, match=r"^Expected `[^`]*`, got `[^`]*`$") as caught:
            read(TargetMaterial, json.dumps({**ROW, **wrong}).encode())
        assert caught.value.path == path


def test_a_number_out_of_range_in_an_unknown_field_is_told_by_its_row() -> None:
    with pytest.raises(Mismatch, match=r"^Number out of range$") as caught:
        read(list[TargetMaterial], b'[{"id": 1, "sample_id": 2, "x": {"y": 1e400}}]')
    assert caught.value.path == "$[0]"


def test_a_number_out_of_range_far_down_costs_no_more_than_its_bytes() -> None:
    deep = b"[" * 400 + b"1" * 400 + b"]" * 400
    with pytest.raises(Mismatch, match="range of a double") as caught:
        read(list[TargetMaterial], b'[{"id": 1, "sample_id": 2, "x": %s}]' % deep)
    assert caught.value.path == "$[0].x" + "[0]" * 7
