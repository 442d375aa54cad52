import copy
import pickle
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials.stacks import (
    LayerStack,
    Positions,
    StackDiff,
    StackLayer,
    TargetMaterials,
)
from atomscale_target_materials_api.models import ElementDict, LayerCreate, TargetMaterial
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
    with pytest.raises(KeyError, match="no layers at position 3 of <LayerStack 42"):
        stack.at(3)
    with pytest.raises(KeyError, match="2 layers at position 5 of <LayerStack 42"):
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


def test_a_layer_tells_what_the_chemistry_makes_of_it() -> None:
    layer = StackLayer(row(orientation="(0-11)", mp_id="mp-1"))
    assert layer.miller == (0, -1, 1)
    assert layer.materials_project_url == "https://materialsproject.org/materials/mp-1"


def test_a_stack_of_nothing_has_no_layers() -> None:
    assert LayerStack() == LayerStack.from_rows([])
    assert LayerStack().layers == ()


def test_a_field_of_the_class_is_itself() -> None:
    """For what looks at the class: `help`, a debugger."""
    assert StackLayer.layer_id is vars(StackLayer)["layer_id"]


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


# Declared stacks

INAS: dict[str, Any] = {"composition_string": "InAs", "orientation": "001"}
ALSB = LayerCreate(layer_id=2, composition_string="AlSb")


def test_a_declared_stack() -> None:
    stack = LayerStack.declare(substrate="GaSb", layers=[INAS, ALSB, {**INAS, "layer_id": 7}, {}])
    assert [layer.layer_id for layer in stack.layers] == [1, 2, 7, 8]
    assert str(stack) == "?/InAs(001)/AlSb/InAs(001)/GaSb"
    assert repr(stack).startswith("<LayerStack declared: ")
    assert (stack.sample_id, stack.sample_name, stack.rows) == (None, None, ())
    assert stack.gaps == [3, 4, 5, 6]
    lone = stack.at(2)
    assert (lone.row, lone.sample_id, lone.id, lone.mp_id) == (ALSB, None, None, None)
    assert pickle.loads(pickle.dumps(stack)) == copy.deepcopy(stack) == stack


def test_a_declaration_keeps_its_own_copy() -> None:
    amounts = {"In": 1, "As": 1}
    layer = LayerCreate(layer_id=1)
    stack = LayerStack.declare(layers=[{"element_dict": amounts}, {}])
    twin = LayerStack.declare(layers=[layer])
    amounts["In"], layer.layer_id = 2, 3
    assert stack.layers[0].elements == {"In": 1, "As": 1}
    assert twin.layers[0].layer_id == 1


def test_layers_may_be_declared_in_any_order_of_their_positions() -> None:
    stack = LayerStack.declare(layers=({"layer_id": n} for n in (5, 0, -1)))
    assert [layer.layer_id for layer in stack.layers] == [-1, 0, 5]


@pytest.mark.parametrize(
    ("layers", "kind", "message"),
    [
        ([INAS, {"orientation": 1}], TypeError, "layers[1].orientation: Expected `str`, got `int`"),
        ([{"colour": "red"}], TypeError, 'layers[0]: the field "colour" is unknown'),
        ([{"self": 1}], TypeError, 'layers[0]: the field "self" is unknown'),
        ([{1: 2}], TypeError, 'layers[0]: the field "1" is unknown'),
        (["InAs"], TypeError, "layers[0]: Expected `object`, got `str`"),
        ([{"element_dict": {"Qq": 1}}], ValueError, 'layers[0].element_dict: "Qq" is not one of'),
        (
            [{"element_dict": {"Ba": -1}}],
            ValueError,
            "layers[0].element_dict.Ba: Expected `int` >= 0",
        ),
        ([{"composition_string": {"Qq": 1}}], ValueError, "layers[0].composition_string: "),
        ([{"layer_id": None}], TypeError, "layers[0].layer_id: Expected `int`, got `null`"),
        ([{"layer_id": 2**63 - 1}, {}], ValueError, "layers[1].layer_id: Expected `int` <="),
        ([{}, {"layer_id": 2}, {"layer_id": 2}], ValueError, "layers: more than one at position 2"),
        ([LayerCreate(layer_id=True)], TypeError, "layers[0].layer_id: Expected `int`, got `bool`"),
        (3, TypeError, "layers[0]: Expected `object`, got `int`"),
    ],
)
def test_what_cannot_be_declared(layers: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        LayerStack.declare(layers=layers)


def test_a_substrate_is_a_text() -> None:
    with pytest.raises(TypeError, match="substrate: Expected `str"):
        LayerStack.declare(substrate=1, layers=[])  # type: ignore[arg-type]


def statuses(diff: StackDiff) -> dict[str, list[int]]:
    groups = {"to add": diff.to_add, "present": diff.present, "differing": diff.differing}
    groups["extra"] = diff.extra
    assert all(line.status == name for name, lines in groups.items() for line in lines)
    return {
        name: [line.layer.layer_id for line in lines] for name, lines in groups.items() if lines
    }


def test_a_diff_tells_what_there_is_to_do() -> None:
    declared = LayerStack.declare(substrate="GaSb", layers=[INAS, ALSB, INAS, INAS])
    rows = [
        row(1, **INAS, substrate="GaSb", mp_id="mp-1"),
        row(2, composition_string="AlSb", orientation="110"),
        row(3, composition_string="GaSb"),
        row(3, **INAS),
        row(9, composition_string="Au"),
        row(9, composition_string="Ag"),
    ]
    diff = declared.diff(LayerStack.from_rows(rows))
    assert statuses(diff) == {"present": [1, 2], "differing": [3], "to add": [4], "extra": [9, 9]}
    assert diff
    assert diff.conflicting
    assert diff.differing[0].actual == tuple(map(StackLayer, rows[2:4]))
    assert str(diff).splitlines() == [
        "9: Au: extra",
        "9: Ag: extra",
        "4: InAs(001): to add",
        "3: InAs(001): differing; the server has 2 there: GaSb, InAs(001)",
        "2: AlSb: present",
        "1: InAs(001): present",
        "substrate: GaSb",
    ]


def test_ids_are_not_compared() -> None:
    declared = LayerStack.declare(layers=[{**INAS, "sample_id": 1, "id": 2}, {}])
    diff = declared.diff(LayerStack.from_rows([row(1, sample_id=42, **INAS)]))
    assert statuses(diff) == {"present": [1], "to add": [2]}
    assert (len(diff.present[0].actual), diff.to_add[0].actual) == (1, ())


def test_a_difference_names_each_field() -> None:
    declared = LayerStack.declare(layers=[{**INAS, "element_dict": {"In": 1}, "id": 5}])
    there = row(1, composition_string="GaAs", element_dict=elements(In=2), substrate="Si")
    diff = declared.diff(LayerStack.from_rows([there]))
    assert str(diff.differing[0]) == (
        "1: InAs(001): differing; composition_string 'InAs' is declared, the server has 'GaAs'; "
        "element_dict {'In': 1} is declared, the server has {'In': 2}; "
        "orientation '001' is declared, the server has None"
    )


@pytest.mark.parametrize(
    ("declared", "actual", "conflicting", "bottom"),
    [
        (None, "Si", False, "substrate: Si"),
        ("Si", "Si", False, "substrate: Si"),
        ("Si", None, False, "substrate: not known, but Si is declared"),
        (None, None, False, "substrate: not known"),
        ("Si", "GaAs", True, "substrate: GaAs, but Si is declared"),
    ],
)
def test_substrates_are_compared(
    declared: str | None, actual: str | None, *, conflicting: bool, bottom: str
) -> None:
    stack = LayerStack.declare(substrate=declared, layers=[])
    diff = stack.diff(LayerStack.from_rows([row(None, substrate=actual)]))
    assert (bool(diff), diff.conflicting, str(diff)) == (conflicting, conflicting, bottom)


@given(st.sets(positions), st.sets(positions), st.sets(positions))
def test_a_diff_puts_each_position_where_it_belongs(
    declared: set[int], listed: set[int], other: set[int]
) -> None:
    stack = LayerStack.declare(layers=[{"layer_id": n, "mp_id": "a"} for n in declared])
    rows = [row(n, mp_id="b" if n in other else "a") for n in listed]
    diff = stack.diff(LayerStack.from_rows([row(None), *rows]))
    expected = {
        "to add": declared - listed,
        "present": declared & listed - other,
        "differing": declared & listed & other,
        "extra": listed - declared,
    }
    assert statuses(diff) == {name: sorted(group) for name, group in expected.items() if group}
    assert bool(diff) is bool(declared - (listed - other))
    assert len(str(diff).splitlines()) == len(declared | listed) + 1


def test_a_diff_with_itself_has_nothing_to_do() -> None:
    stack = LayerStack.declare(substrate="Si", layers=[INAS, ALSB])
    assert not stack.diff(stack)
    assert statuses(stack.diff(stack)) == {"present": [1, 2]}
