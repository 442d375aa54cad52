import copy
import pickle
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials.stacks import LayerStack, Positions, StackLayer, TargetMaterials
from atomscale_target_materials_api.models import ElementDict, TargetMaterial
from atomscale_target_materials_api.types import UNSET

FAR = 10**12


def row(layer_id: Any = 1, sample_id: int = 42, **fields: Any) -> TargetMaterial:
    return TargetMaterial(id=7, sample_id=sample_id, layer_id=layer_id, **fields)


def elements(**amounts: float) -> ElementDict:
    model = ElementDict()
    model.additional_properties = dict(amounts)
    return model


def stack_of(*layer_ids: Any) -> LayerStack:
    return LayerStack.from_rows(row(layer_id) for layer_id in layer_ids)


positions = st.integers(-3, 8)
maybe_positions = st.one_of(positions, st.none(), st.just(UNSET))
rows_of_samples = st.lists(st.builds(row, maybe_positions, st.integers(0, 4)))


def test_layers_are_ordered_from_the_substrate_up() -> None:
    rows = [row(3), row(1), row(2, orientation="a"), row(2, orientation="b")]
    stack = LayerStack.from_rows(rows)
    assert [layer.layer_id for layer in stack.layers] == [1, 2, 2, 3]
    assert [layer.orientation for layer in stack.layers] == [None, "a", "b", None]
    assert [layer.row for layer in stack.layers] == [rows[1], rows[2], rows[3], rows[0]]
    assert stack.rows == tuple(rows)


@pytest.mark.parametrize("absent", [None, UNSET], ids=["null", "absent"])
def test_a_row_without_a_position_is_no_layer(absent: Any) -> None:
    stack = LayerStack.from_rows([row(absent, substrate="Si")])
    assert (stack.layers, len(stack.rows), stack.substrate) == ((), 1, "Si")
    assert (list(stack.gaps), stack.duplicates) == ([], ())
    assert str(stack) == "Si"


@pytest.mark.parametrize("field", ["sample_name", "substrate"])
def test_name_and_substrate_come_from_the_first_row_that_has_them(field: str) -> None:
    values: list[Any] = [UNSET, None, "", "Si", "Ge"]
    rows = [row(**{field: value}) for value in values]
    assert getattr(LayerStack.from_rows(rows), field) == "Si"
    assert getattr(LayerStack.from_rows(rows[:3]), field) is None


@given(rows_of_samples)
def test_every_row_is_in_exactly_one_stack(rows: list[TargetMaterial]) -> None:
    stacks = TargetMaterials(rows).stacks()
    held = [id(each) for stack in stacks for each in stack.rows]
    assert sorted(held) == sorted(map(id, rows))
    assert [stack.sample_id for stack in stacks] == list(dict.fromkeys(r.sample_id for r in rows))
    for stack in stacks:
        assert list(stack.rows) == [r for r in rows if r.sample_id == stack.sample_id]
        layer_ids = [layer.layer_id for layer in stack.layers]
        assert layer_ids == sorted(r.layer_id for r in stack.rows if isinstance(r.layer_id, int))


@pytest.mark.parametrize(
    ("layer_ids", "gaps", "duplicates", "shown"),
    [
        ([], [], (), "[]"),
        ([1, 2, 3], [], (), "[]"),
        ([2], [1], (), "[1]"),
        ([0, 2], [1], (), "[1]"),
        ([0], [], (), "[]"),
        ([5, 1, 9], [2, 3, 4, 6, 7, 8], (), "[2-4, 6-8]"),
        ([-2, 2], [1], (), "[1]"),
        ([-5, -3], [], (), "[]"),
        ([3, 1, 3, 1, 1], [2], (1, 3), "[2]"),
        ([-1, -1, 0, 0], [], (-1, 0), "[]"),
    ],
    ids=str,
)
def test_gaps_and_duplicates(
    layer_ids: list[int], gaps: list[int], duplicates: tuple[int, ...], shown: str
) -> None:
    stack = stack_of(*layer_ids, None)
    assert stack.gaps == gaps
    assert list(stack.gaps) == gaps
    assert repr(stack.gaps) == shown
    assert stack.duplicates == duplicates


@given(st.lists(positions))
def test_gaps_and_positions_fill_the_whole_range(layer_ids: list[int]) -> None:
    gaps = stack_of(*layer_ids, None).gaps
    taken = {layer_id for layer_id in layer_ids if layer_id >= 0}
    start = 0 if 0 in taken else 1
    assert not taken & set(gaps)
    assert taken | set(gaps) == set(range(start, max(taken, default=0) + 1)) | (taken & {0})
    assert list(gaps) == sorted(set(gaps))
    assert len(gaps) == len(list(gaps))
    assert all((position in gaps) == (position in list(gaps)) for position in range(-4, 10))


def test_a_layer_far_away_costs_nothing() -> None:
    stack = stack_of(1, 3, FAR)
    assert len(stack.gaps) == FAR - 3
    assert FAR - 1 in stack.gaps
    assert FAR not in stack.gaps
    assert stack.gaps != stack_of(1, FAR).gaps
    assert repr(stack).endswith(f"gaps=[2, 4-{FAR - 1}]>")
    assert len(stack_of(2**63 - 1).gaps) == 2**63 - 2


def test_far_positions_are_compared_without_a_walk() -> None:
    class NeverWalked(Positions):
        def __iter__(self) -> Any:
            raise AssertionError("walked")

    assert NeverWalked([range(1, FAR)]) == NeverWalked([range(1, FAR)])


def test_a_position_that_is_a_subclass_of_int_is_found_without_a_walk() -> None:
    class Number(int):
        __hash__ = int.__hash__

        def __eq__(self, other: object) -> bool:
            raise AssertionError("walked")

    assert Number(FAR) in Positions([range(1, 2 * FAR)])


def test_gaps_equal_other_collections_only_and_have_no_hash() -> None:
    gaps = stack_of(3).gaps
    assert gaps == (1, 2)
    assert gaps != [1]
    assert gaps != [1, 3]
    assert gaps != 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(gaps)


def test_at_goes_by_position() -> None:
    stack = stack_of(2, 5, 5, -1, None)
    assert stack.at(2) is stack.layers[1]
    assert stack.at(-1) is stack.layers[0]
    with pytest.raises(KeyError, match="no layer at position 3 of sample 42"):
        stack.at(3)
    with pytest.raises(KeyError, match="2 layers at position 5 of sample 42"):
        stack.at(5)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"composition_string": "BaTiO3", "orientation": "001"}, "BaTiO3(001)"),
        ({"composition_string": "BaTiO3", "orientation": "(001)"}, "BaTiO3(001)"),
        ({"composition_string": "GaN", "orientation": "[0001]"}, "GaN[0001]"),
        ({"composition_string": "GaN", "orientation": "{111}"}, "GaN{111}"),
        ({"composition_string": "GaN", "orientation": "<111>"}, "GaN<111>"),
        ({"composition_string": "GaN", "orientation": None}, "GaN"),
        ({"composition_string": "GaN", "orientation": ""}, "GaN"),
        ({"element_dict": elements(Ba=1, Ti=1.0, O=3)}, "BaTiO3"),
        ({"element_dict": elements(Ga=0.5, In=0.25)}, "Ga0.5In0.25"),
        ({"composition_string": "", "element_dict": elements(Si=1)}, "Si"),
        ({"composition_string": "AlN", "element_dict": elements(Si=1)}, "AlN"),
        ({"element_dict": elements(), "orientation": "001"}, "?(001)"),
        ({}, "?"),
    ],
    ids=str,
)
def test_a_layer_is_written_as_in_the_literature(fields: dict[str, Any], shown: str) -> None:
    layer = StackLayer(row(**fields))
    assert str(layer) == shown
    assert repr(layer) == f"<StackLayer {layer.layer_id} of sample {layer.sample_id}: {shown}>"


def test_a_stack_is_written_film_first() -> None:
    film = row(2, composition_string="BaTiO3", orientation="001", substrate="Si")
    buffer = row(1, composition_string="SrTiO3")
    assert str(LayerStack.from_rows([buffer, film])) == "BaTiO3(001)/SrTiO3/Si"
    assert str(LayerStack.from_rows([buffer])) == "SrTiO3/?"


def test_the_repr_of_a_stack_tells_what_is_odd() -> None:
    tidy = LayerStack.from_rows([row(1, composition_string="GaN", substrate="Si")])
    odd = LayerStack.from_rows([row(3, sample_name="it's"), row(3)])
    assert repr(tidy) == "<LayerStack 42: GaN/Si>"
    assert repr(odd) == """<LayerStack 42, "it's": ?/?/?, gaps=[1-2], duplicates=[3]>"""


def test_a_layer_reads_the_fields_of_its_row() -> None:
    fields: dict[str, Any] = {
        "composition_string": "BaTiO3",
        "element_dict": elements(Ba=1),
        "orientation": "001",
        "space_group": "P4mm",
        "mp_id": "mp-5020",
    }
    full, bare = StackLayer(row(3, **fields)), StackLayer(row(3))
    assert {name: getattr(full, name) for name in fields} == fields
    assert {getattr(bare, name) for name in fields} == {None}
    assert (full.id, full.layer_id, full.sample_id) == (7, 3, 42)
    assert bare.elements == {}
    full.elements["Ti"] = 1
    assert full.elements == {"Ba": 1}
    with pytest.raises(AttributeError):
        full.row = row()  # type: ignore[misc]


def test_target_materials_are_an_immutable_sequence() -> None:
    rows = [row(1), row(2), row(1, sample_id=9)]
    materials = TargetMaterials(iter(rows))
    assert isinstance(materials, Sequence)
    assert (len(materials), list(materials), materials[-1]) == (3, rows, rows[2])
    assert isinstance(materials[1:], TargetMaterials)
    assert list(materials[::-1]) == list(reversed(materials)) == rows[::-1]
    assert (materials.index(rows[1]), materials.count(rows[0]), rows[2] in materials) == (
        1,
        1,
        True,
    )
    assert repr(materials) == "<TargetMaterials: entries=3 samples=2>"
    assert materials == TargetMaterials(rows)
    assert materials != materials[:2]
    assert materials == tuple(rows)
    with pytest.raises(IndexError):
        materials[3]
    with pytest.raises(TypeError, match="unhashable"):
        hash(materials)
    with pytest.raises(TypeError, match="item assignment"):
        materials[0] = rows[1]  # type: ignore[index]


def test_a_stack_is_found_by_its_sample() -> None:
    materials = TargetMaterials([row(1), row(2, sample_id=9), row(3)])
    assert materials.stack(42) == materials.stacks()[0] == LayerStack.from_rows(materials[::2])
    with pytest.raises(KeyError, match="no target material with sample_id 5"):
        materials.stack(5)
    with pytest.raises(KeyError, match="sample_id 42"):
        TargetMaterials([]).stack(42)


@given(rows_of_samples)
def test_pickles_and_copies_are_equal(rows: list[TargetMaterial]) -> None:
    materials = TargetMaterials(rows)
    for each in (materials, *materials.stacks()):
        assert pickle.loads(pickle.dumps(each)) == each
        assert copy.deepcopy(each) == each
