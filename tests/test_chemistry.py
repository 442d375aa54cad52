import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition, Element
from pymatgen.symmetry.groups import SpaceGroup, sg_symbol_from_int_number
from pymatgen.util.string import unicodeify_spacegroup

from atomscale_target_materials import Client, LayerStack, StackLayer, chemistry
from atomscale_target_materials.chemistry import Misfit, formula
from atomscale_target_materials.sandbox import Sandbox
from atomscale_target_materials_api.models import ElementDict, LayerCreate, TargetMaterial
from atomscale_target_materials_api.types import UNSET

from .conftest import Caller

SAMPLE_WITHOUT_LAYERS = 56


def layer(**fields: Any) -> StackLayer:
    if isinstance(amounts := fields.get("element_dict"), dict):
        fields["element_dict"] = ElementDict.from_dict(amounts)
    return StackLayer(TargetMaterial(id=7, sample_id=42, layer_id=2, **fields))


def misfits(**fields: Any) -> list[tuple[str, str]]:
    found = LayerStack(layers=[layer(**fields)]).check()
    return [(each.field, each.fault) for each in found]


def refusal(name: str, **fields: Any) -> str:
    with pytest.raises(ValueError, match=r"^2: ") as refused:
        getattr(layer(**fields), name)
    return str(refused.value)


# Compositions

symbols = st.sampled_from([element.symbol for element in Element])
amounts = st.one_of(st.integers(1, 999), st.floats(1e-6, 1e6))
compositions = st.dictionaries(symbols, amounts, min_size=1).map(Composition)


def test_a_composition_is_the_text_s_or_else_the_elements() -> None:
    elements = {"Ba": 1, "Ti": 1, "O": 3}
    told = layer(composition_string="(Ba0.5Sr0.5)TiO3", element_dict=elements).composition
    assert told == Composition({"Ba": 0.5, "Sr": 0.5, "Ti": 1, "O": 3})
    assert layer(element_dict=elements).composition == Composition("BaTiO3")
    blank = layer(composition_string="", element_dict=elements)
    assert blank.composition == Composition(elements)


@pytest.mark.parametrize("absent", [None, UNSET, ""])
def test_what_is_absent_is_none(absent: Any) -> None:
    names = "composition_string", "orientation", "space_group", "mp_id"
    bare = layer(**dict.fromkeys(names, absent), element_dict=absent or None)
    for name in ("composition", "miller", "space_group_number", "materials_project_url"):
        assert getattr(bare, name) is None
    assert layer(element_dict={}).composition is None


NO_FORMULA = "no formula with positive amounts, like Ba0.5Sr0.5TiO3"
SUM = "the amounts must add up to a positive number"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Qq2", "'Qq' is no chemical element"),
        ("X", "'X' is no chemical element"),
        ("D2O", "'D' is no chemical element"),
        ("InxGa1-xAs", "'Inx' is no chemical element"),
        ("Fe2+", NO_FORMULA),
        ("Fe(", NO_FORMULA),
        ("Nb:SrTiO3", NO_FORMULA),
        ("SrTiO₃", NO_FORMULA),
        ("YBa2Cu3O7-x", NO_FORMULA),
        (" ", NO_FORMULA),
        ("H-1", NO_FORMULA),
        ("O0", NO_FORMULA),
        ("H1e999", NO_FORMULA),
        ("H" * 1001, "longer than 1000 characters"),
    ],
)
def test_a_formula_that_is_none(text: str, fault: str) -> None:
    message = refusal("composition", composition_string=text)
    assert message.startswith(f"2: {text}"[:40].rstrip())
    assert message.endswith(f": {fault}")
    assert misfits(composition_string=text) == [("composition_string", fault)]


@pytest.mark.parametrize(
    ("elements", "fault"),
    [
        ({"Ba": 1, "Qq": 1}, "'Qq' is no chemical element"),
        ({"Fe2+": 1}, "'Fe2+' is no chemical element"),
        ({"": 1}, "'' is no chemical element"),
        ({"Ba": 2, "Ti": -1}, "an amount is negative"),
        ({"Ba": 0, "Ti": 0}, SUM),
        ({"Ba": 1e308, "Ti": 1e308}, SUM),
    ],
)
def test_elements_that_make_no_composition(elements: dict[str, float], fault: str) -> None:
    assert refusal("composition", element_dict=elements).endswith(
        f" element_dict {elements}: {fault}"
    )
    assert misfits(element_dict=elements, composition_string="BaTi") == [("element_dict", fault)]


HOSTILE = [
    "(" * 500 + "H" + ")" * 499,
    "(" * 300 + "H" + ")" * 300,
    "(" * 330 + "H" + ")9" * 330,
    "(H1.1)" * 166,
    "((((" + "H" * 996,
    "(" + "H" * 998 + "(",
    "He9" * 333,
    "(" + "".join(element.symbol for element in Element) + ")1.1" + "(H)" * 200,
    "9" * 10_000,
    "(" * 10_000,
    "H1e" + "9" * 900,
    "\x00\n\u202e<script>",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_costs_little_and_makes_one_line(text: str) -> None:
    start = time.process_time()
    fields = dict.fromkeys(("composition_string", "orientation", "space_group", "mp_id"), text)
    found = LayerStack(layers=[layer(**fields)]).check()
    assert time.process_time() - start < 1
    assert len(found) >= 3
    assert all(len(str(each).splitlines()) == 1 and len(str(each)) < 400 for each in found)


@given(*[st.text()] * 4, st.dictionaries(st.text(), st.floats() | st.integers()))
def test_a_check_never_fails(
    composition: str, orientation: str, space_group: str, mp_id: str, elements: dict[str, float]
) -> None:
    fields = {"composition_string": composition, "orientation": orientation, "mp_id": mp_id}
    odd = layer(**fields, space_group=space_group, element_dict=elements)
    for misfit in LayerStack(layers=[odd]).check():
        assert str(misfit).startswith("2: ")


@pytest.mark.parametrize("field", ["composition_string", "space_group", "orientation", "mp_id"])
def test_what_is_too_long_is_not_read(field: str) -> None:
    [misfit] = LayerStack.declare(layers=[{field: "\u0316\u0301" * 100_000}]).check()
    assert (misfit.field, misfit.fault) == (field, "longer than 1000 characters")


formula_like = st.text("ABFHOaeixd0123456789.-()[]{}e+*@/ ", max_size=40)


@given(formula_like, formula_like)
def test_no_formula_makes_pymatgen_s_own_errors(composition: str, space_group: str) -> None:
    stack = LayerStack(layers=[layer(composition_string=composition, space_group=space_group)])
    assert {each.field for each in stack.check()} <= {"composition_string", "space_group"}


# Composition and elements


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("SrTiO3", {"Sr": 0.2, "Ti": 0.2, "O": 0.6}),
        ("SrTiO3", {"Sr": 2, "Ti": 2, "O": 6, "H": 0}),
        ("Al0.3Ga0.7As", {"Al": 0.15, "Ga": 0.35, "As": 0.5}),
        ("MgAl2O4", {"Mg": 0.143, "Al": 0.286, "O": 0.571}),
        ("YBa2Cu3O7", {"Y": 0.077, "Ba": 0.154, "Cu": 0.231, "O": 0.538}),
    ],
)
def test_amounts_that_fit(text: str, elements: dict[str, float]) -> None:
    assert misfits(composition_string=text, element_dict=elements) == []


@pytest.mark.parametrize(
    ("text", "elements", "fault"),
    [
        ("SrTiO3", {"Sr": 1, "Ti": 1, "O": 2}, "O is 0.5 of all atoms, but 0.6"),
        ("SrTiO3", {"Sr": 1, "O": 3}, "Ti is 0 of all atoms, but 0.2"),
        ("SrTi", {"Sr": 1, "Ti": 1, "Nb": 1}, "Nb is 0.3333 of all atoms, but 0"),
        (
            "La0.7Sr0.3MnO3",
            {"La": 0.71, "Sr": 0.29, "Mn": 1, "O": 3},
            "La is 0.142 of all atoms, but 0.14",
        ),
    ],
)
def test_amounts_that_differ(text: str, elements: dict[str, float], fault: str) -> None:
    told = [("element_dict", f"{fault} in composition_string")]
    assert misfits(composition_string=text, element_dict=elements) == told


@given(compositions, st.dictionaries(symbols, amounts, min_size=1), st.integers(0, 9))
def test_the_scale_of_amounts_does_not_matter(
    told: Composition, elements: dict[str, float], power: int
) -> None:
    text, scaled = formula(told), {each: 2**power * n for each, n in elements.items()}
    found = misfits(composition_string=text, element_dict=elements)
    assert misfits(composition_string=text, element_dict=scaled) == found
    own = {symbol: 3.7 * amount for symbol, amount in told.as_dict().items()}
    assert misfits(composition_string=text, element_dict=own) == []


# Space groups


@pytest.mark.parametrize("number", range(1, 231))
def test_each_space_group_has_its_number(number: int) -> None:
    symbol = sg_symbol_from_int_number(number)
    forms = [symbol, symbol.replace("_", ""), " ".join(symbol), str(number)]
    forms += [unicodeify_spacegroup(symbol), SpaceGroup.sg_encoding[symbol]["full_symbol"]]
    assert {layer(space_group=form).space_group_number for form in forms} == {number}


@pytest.mark.parametrize(
    ("symbol", "number"),
    [
        ("Pm3m", 221), ("Fd3m", 227), ("Ia3d", 230), ("Pa3", 205), ("F43m", None),
        ("P63/mmc", 194), ("P21/c", 14), ("P21/n", 14), ("C2/m", 12), ("Pbnm", 62),
        ("R-3m:H", 166), ("R -3 m H", 166), ("Fd-3m:2", 227), ("Cmca", 64), ("Bmab", 64),
        ("Cmma", 67), ("Abm2", 39), ("Cmcc", None), ("P-3m", None), ("p4mm", None),
        ("0", None), ("231", None), ("-1", None), ("P4mm ", 99), ("cubic", None),
    ],
)  # fmt: skip
def test_other_names_of_space_groups(symbol: str, number: int | None) -> None:
    if number:
        assert layer(space_group=symbol).space_group_number == number
    else:
        fault = "no space group, like P4mm, Fm-3m, P6_3mc or a number from 1 to 230"
        assert (
            refusal("space_group_number", space_group=symbol)
            == f"2: ?: space_group {symbol!r}: {fault}"
        )
        assert misfits(space_group=symbol) == [("space_group", fault)]


# Orientations

NO_INDICES = "no Miller indices, like 001, (1 -1 0), [11-20] or {10, 1, 2}"


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("001", (0, 0, 1)),
        ("(0 0 1)", (0, 0, 1)),
        ("[11-20]", (1, 1, -2, 0)),
        ("1-10", (1, -1, 0)),
        ("{111}", (1, 1, 1)),
        ("<100>", (1, 0, 0)),
        ("\u27e8 100 \u27e9", (1, 0, 0)),
        ("(1,-1,0)", (1, -1, 0)),
        ("-110", (-1, 1, 0)),
        ("(10 -1 2)", (10, -1, 2)),
        (" 1 , -1,0 ", (1, -1, 0)),
        ("11\u03050", (1, -1, 0)),
        ("1 1 2\u0304 0", (1, 1, -2, 0)),
        ("1\u221210", (1, -1, 0)),
        ("11\u201320", (1, 1, -2, 0)),
        ("0001", (0, 0, 0, 1)),
    ],
)
def test_miller_indices(text: str, indices: tuple[int, ...]) -> None:
    assert layer(orientation=text).miller == indices
    assert misfits(orientation=text) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("foo", NO_INDICES),
        ("(001]", NO_INDICES),
        ("((001))", NO_INDICES),
        ("001-", NO_INDICES),
        ("1,,0", NO_INDICES),
        ("1 - 1 0", NO_INDICES),
        ("111B", NO_INDICES),
        ("1 2 3000", NO_INDICES),
        ("0.5 0 1", NO_INDICES),
        ("\u0661\u0661\u0661", NO_INDICES),
        ("()", "three or four Miller indices are needed, not 0"),
        ("10 10", "three or four Miller indices are needed, not 2"),
        ("00001", "three or four Miller indices are needed, not 5"),
        ("0-00", "all Miller indices are 0"),
        ("1010", "of four Miller indices, the first three must add up to 0"),
    ],
)
def test_what_has_no_miller_indices(text: str, fault: str) -> None:
    written = text if text[0] == "(" else f"({text})"
    assert refusal("miller", orientation=text) == f"2: ?{written}: orientation {text!r}: {fault}"
    assert misfits(orientation=text) == [("orientation", fault)]


def indices_up_to(most: int) -> st.SearchStrategy[tuple[int, ...]]:
    three = st.tuples(*[st.integers(-most, most)] * 3)
    four = three.map(lambda each: (each[0], each[1], -each[0] - each[1], each[2]))
    four = four.filter(lambda each: abs(each[2]) <= most)
    return st.one_of(three, four).filter(any)


def signed(minus: str) -> Callable[[int], str]:
    return lambda n: str(n).replace("-", minus)


def overbarred(n: int) -> str:
    return f"{-n}\u0305" if n < 0 else str(n)


brackets = st.sampled_from(["{}", "({})", "[{}]", "{{{}}}", "<{}>"])
signs = st.sampled_from([signed("-"), signed("\u2212")])
apart = st.sampled_from([",", " ", ", "])


digits = st.tuples(indices_up_to(9), brackets, apart | st.just(""), signs | st.just(overbarred))
numbers = st.tuples(indices_up_to(999), brackets, apart, signs)


@given(st.one_of(digits, numbers))
def test_miller_indices_are_read_as_they_were_written(
    written: tuple[tuple[int, ...], str, str, Callable[[int], str]],
) -> None:
    indices, bracket, separator, sign = written
    text = bracket.format(separator.join(map(sign, indices)))
    assert layer(orientation=text).miller == indices


@pytest.mark.parametrize(
    ("space_group", "fits"),
    [("P6_3mc", True), ("R-3m", True), ("Pm-3m", False), ("foo", True), (None, True)],
)
def test_four_indices_need_a_lattice_with_that_axis(space_group: str | None, *, fits: bool) -> None:
    fault = "four indices are for trigonal and hexagonal lattices, not for Pm-3m"
    found = misfits(orientation="11-20", space_group=space_group)
    assert (("orientation", fault) in found) is not fits
    assert misfits(orientation="110", space_group="Pm-3m") == []


# Materials Project


@pytest.mark.parametrize("mp_id", ["mp-5020", "mvc-12", "mp-aaaaft"])
def test_the_page_of_a_material(mp_id: str) -> None:
    found = layer(mp_id=mp_id).materials_project_url
    assert found == f"https://materialsproject.org/materials/{mp_id}"


@pytest.mark.parametrize(
    "mp_id",
    ["5020", "mp-", "mp-5020/../..", "mp-5020\n", " mp-5020", "MP-5020", "mp-5020?x", "mp-\u0661",
     "mp-5020#", "//evil.example", "javascript:alert(1)", "mp-1a", "mp-" + "1" * 13],
)  # fmt: skip
def test_only_an_id_makes_an_address(mp_id: str) -> None:
    fault = "no Materials Project ID, like mp-5020 or mp-aaaaft"
    assert refusal("materials_project_url", mp_id=mp_id) == f"2: ?: mp_id {mp_id!r}: {fault}"
    assert misfits(mp_id=mp_id) == [("mp_id", fault)]


# Stacks


def test_a_check_tells_layer_field_and_fault() -> None:
    sto = {"composition_string": "SrTiO3", "orientation": "foo", "mp_id": "5"}
    stack = LayerStack.declare(layers=[{"composition_string": "InAs", "orientation": "001"}, sto])
    first, second = stack.check()
    assert (first.layer, first.field, second.field) == (stack.at(2), "orientation", "mp_id")
    assert str(first) == f"2: SrTiO3(foo): orientation 'foo': {NO_INDICES}"
    assert first == Misfit(stack.at(2), "orientation", NO_INDICES)


def test_a_declared_stack_is_read_too() -> None:
    declared = LayerCreate(layer_id=1, composition_string="InAs", orientation="111")
    only = LayerStack.declare(layers=[declared]).at(1)
    assert (only.composition, only.miller) == (Composition("InAs"), (1, 1, 1))


def test_the_sandbox_has_no_misfits(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        stacks = client.list_target_materials().stacks()
    assert [str(misfit) for stack in stacks for misfit in stack.check()] == []
    for each in (each for stack in stacks for each in stack.layers):
        assert each.composition == Composition(each.elements)
        assert each.miller in {(0, 0, 1), (0, 0, 0, 1)}


# Formulas


@given(compositions)
def test_a_formula_is_read_as_the_composition_that_it_was(composition: Composition) -> None:
    assert layer(composition_string=formula(composition)).composition == composition


@pytest.mark.parametrize(
    ("amounts", "text"),
    [
        (Composition("PbTiO3"), "PbTiO3"),
        (Composition("Ba2Ti2O6"), "Ba2Ti2O6"),
        (Composition("(Ba0.5Sr0.5)TiO3"), "Ba0.5Sr0.5TiO3"),
        ({"Ga": 0.1 + 0.2, "As": 1 / 3, "O": 1.0000000001}, "Ga0.3As0.33333333O"),
        ({"Sr": 1, "H": 0, "O": 1e22}, "SrO10000000000000000000000"),
        ({Element("O"): 2}, "O2"),
    ],
    ids=str,
)
def test_a_formula_keeps_order_and_amounts(amounts: Any, text: str) -> None:
    assert formula(amounts) == text


@pytest.mark.parametrize(
    ("amounts", "kind", "fault"),
    [
        ({"Qq": 1}, ValueError, ": 'Qq' is no chemical element"),
        ({}, ValueError, f": {SUM}"),
        ({"Ba": 1, Element("Ba"): 2}, ValueError, ": an element is there twice"),
        ({"O": -1}, ValueError, ": an amount is negative"),
        ({"O": math.nan}, ValueError, ".O: Expected a finite number in the range of a double"),
        ({"O": "2"}, TypeError, ".O: Expected `int | float`, got `str`"),
        (
            Composition({"Fe2+": 1, "O2-": 1}),
            ValueError,
            ": 'Fe2+' is no chemical element; `element_composition` has no oxidation states",
        ),
    ],
    ids=str,
)
def test_what_has_no_formula(amounts: Any, kind: type[Exception], fault: str) -> None:
    with pytest.raises(kind, match=re.escape(f"layers[3].composition_string{fault}") + "$"):
        formula(amounts, "layers[3]")


@pytest.mark.parametrize("name", ["add_layer", "ensure_layer"])
def test_compositions_are_sent(caller: Caller, sandbox: Sandbox, name: str) -> None:
    fields = {"composition_string": Composition("PbTiO3"), "element_dict": Composition("PbTiO3")}
    place = {"layer_id": 9, "sample_id": SAMPLE_WITHOUT_LAYERS}
    for _ in ("added", "present") if name == "ensure_layer" else ("added",):
        caller(
            lambda client: getattr(client, name)(**place, **fields),
            sandbox.api_key,
            base_url=sandbox.base_url,
        )
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        sent = client.list_target_materials().stack(SAMPLE_WITHOUT_LAYERS).at(9)
    assert sent.composition_string == "PbTiO3"
    assert sent.elements == {"Pb": 1, "Ti": 1, "O": 3}


def test_a_composition_is_declared() -> None:
    stack = LayerStack.declare(layers=[{"composition_string": Composition("InAs")}])
    assert stack.at(1).composition_string == "InAs"


# Without pymatgen


def test_without_pymatgen_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pymatgen.core", "pymatgen.symmetry.groups"):
        monkeypatch.setitem(sys.modules, name, None)
    chemistry._numbers.cache_clear()
    full = layer(composition_string="InAs", space_group="P4mm", orientation="001", mp_id="mp-1")
    named = r"pip install 'atomscale-target-materials\[materials\]'"
    for call in (
        lambda: full.composition,
        lambda: layer(element_dict={"In": 1}).composition,
        lambda: full.space_group_number,
        lambda: formula({"In": 1}),
        lambda: LayerStack().check(),
    ):
        with pytest.raises(ImportError, match=named):
            call()
    assert (full.miller, full.materials_project_url) == (
        (0, 0, 1),
        "https://materialsproject.org/materials/mp-1",
    )


def test_pymatgen_is_imported_where_it_is_used() -> None:
    code = (
        "import sys, atomscale_target_materials.chemistry as room;"
        "from atomscale_target_materials import LayerStack;"
        "stack = LayerStack.declare(layers=[{'orientation': '001', 'mp_id': 'mp-1'}]);"
        "stack.at(1).miller, stack.at(1).materials_project_url;"
        "assert 'pymatgen' not in sys.modules;"
        "stack.check();"
        "assert 'pymatgen.core' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
