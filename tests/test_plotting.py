import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from atomscale_target_materials import Client, LayerStack, TargetMaterials
from atomscale_target_materials.notebook import DARK, LIGHT, UNKNOWN
from atomscale_target_materials.sandbox import Sandbox
from atomscale_target_materials_api.models import ElementDict, TargetMaterial

FAR = 10**12


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without a screen; nothing is shown, and no figure is left open."""
    mpl.use("Agg")
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("shown"))
    yield
    plt.close("all")


def row(layer_id: Any = 1, sample_id: int = 42, **fields: Any) -> TargetMaterial:
    return TargetMaterial(id=7, sample_id=sample_id, layer_id=layer_id, **fields)


def grown(*formulas: str, **fields: Any) -> list[TargetMaterial]:
    return [row(n, composition_string=each, **fields) for n, each in enumerate(formulas, 1)]


def plot(*rows: TargetMaterial, ax: Axes | None = None) -> Axes:
    ax = TargetMaterials(rows).plot(ax)
    figure(ax).canvas.draw()
    return ax


def figure(ax: Axes) -> Figure:
    assert isinstance(ax.figure, Figure)
    return ax.figure


def slabs(ax: Axes) -> list[Rectangle]:
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def colours(ax: Axes) -> dict[str, str]:
    """What is written on a slab, and the slab's colour."""
    found = {}
    for text in ax.texts:
        for slab in slabs(ax):
            if slab.get_bbox().contains(*text.get_position()):
                found[text.get_text()] = to_hex(slab.get_facecolor()).upper()
    return found


def inside(inner: Bbox, outer: Bbox) -> bool:
    outer = outer.padded(1.5)  # pixels: letters are drawn on whole ones
    return outer.contains(inner.x0, inner.y0) and outer.contains(inner.x1, inner.y1)


def seeds() -> TargetMaterials:
    with Sandbox() as sandbox, Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        return client.list_target_materials()


def test_a_stack_is_drawn_from_the_substrate_up() -> None:
    fields: dict[str, Any] = {"sample_name": "Grown on Monday", "substrate": "Al2O3"}
    layer = row(2, composition_string="GaN", orientation="0001", space_group="P6_3mc")
    ax = plot(row(1, composition_string="AlN", **fields), layer)
    assert texts(ax) == [
        r"Al$_{\mathregular{2}}$O$_{\mathregular{3}}$", "AlN", "1", "GaN",
        r"(0001) · P6$_{\mathregular{3}}$mc", "2", "Grown on Monday", "sample 42", "not to scale",
    ]  # fmt: skip
    substrate, below, above = (slab.get_bbox() for slab in slabs(ax))
    assert [slab.get_hatch() for slab in slabs(ax)] == ["////", None, None]
    assert (substrate.y1, below.y1, below.height) == (below.y0, above.y0, above.height)
    assert {slab.get_bbox().x0 for slab in slabs(ax)} == {below.x0}
    assert {slab.get_bbox().x1 for slab in slabs(ax)} == {below.x1}
    assert not ax.axison


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("GaAs", "GaAs"),
        ("BaTiO3", "BaTiO_{3}"),
        ("Ba0.5Sr0.5TiO3", "Ba_{0.5}Sr_{0.5}TiO_{3}"),
        ("Ca3(PO4)2", "Ca_{3}(PO_{4})_{2}"),
        ("2H-MoS2 (0001)", "2H-MoS_{2} (0001)"),
        ("Ba1/2Sr.5TiO3", "Ba_{1/2}Sr_{.5}TiO_{3}"),
        ("lot B12", "lot B12"),
    ],
)
def test_amounts_are_subscripts(formula: str, shown: str) -> None:
    typeset = shown.replace("_{", r"$_{\mathregular{").replace("}", "}}$")
    assert texts(plot(row(composition_string=formula)))[1] == typeset


@pytest.mark.parametrize(
    ("orientation", "space_group", "shown"),
    [
        ("001", None, "(001)"),
        ("[11-20]", None, "[11~20]"),
        ("001 off 4-6 deg", None, "(001 off 4-6 deg)"),
        (None, "Pm-3m", "Pm~3m"),
        ("(-110)", "F-43m", "(~110) · F~43m"),
        (None, "cubic-3", "cubic-3"),
    ],
)
def test_negative_indices_have_bars(
    orientation: str | None, space_group: str | None, shown: str
) -> None:
    ax = plot(row(composition_string="X", orientation=orientation, space_group=space_group))
    found = texts(ax)[2].replace(r"$\overline{\mathregular{", "~").replace("}}$", "")
    assert found == shown


@pytest.mark.parametrize(
    "text", ["$x$", "$$", "$", r"\$O3$", r"\frac{1}{0}", "a_3^2{", "$O3", r"\O3"]
)
def test_nothing_of_the_server_is_mathtext(text: str) -> None:
    fields: dict[str, Any] = {"composition_string": text, "space_group": text, "substrate": text}
    ax = plot(row(sample_name=text, orientation=f"({text})", **fields))
    shown = ax.texts[:3] + ax.texts[4:5]
    assert [each.get_text() for each in shown] == [text, text, f"({text}) · {text}", text]
    assert not any(each.get_parse_math() for each in shown)


def test_fields_that_are_not_known_are_told() -> None:
    amounts = ElementDict.from_dict({"Ba": 1, "Ti": 1, "O": 3})
    ax = plot(row(1), row(2, composition_string=" \n"), row(3, element_dict=amounts))
    oxide = r"BaTiO$_{\mathregular{3}}$"
    assert texts(ax)[:-2] == ["substrate not known", "?", "1", "?", "2", oxide, "3"]
    assert colours(ax)["?"] == UNKNOWN
    assert colours(ax)[oxide] not in (UNKNOWN, colours(ax)["substrate not known"])


def test_a_material_without_layers_is_its_substrate() -> None:
    ax = plot(row(None, substrate="Si"))
    assert texts(ax) == ["Si", "no layers", "sample 42", "not to scale"]
    assert [slab.get_hatch() for slab in slabs(ax)] == ["////", None]
    assert to_rgba(slabs(ax)[1].get_edgecolor())[3] == 0


def test_no_target_materials_is_a_picture_too() -> None:
    ax = plot()
    assert (texts(ax), slabs(ax), ax.axison) == (["no target materials"], [], False)
    assert inside(ax.texts[0].get_window_extent(), ax.get_window_extent())


def test_a_declared_stack_is_drawn() -> None:
    ax = LayerStack.declare(layers=[{"composition_string": "InAs", "orientation": "001"}]).plot()
    assert texts(ax) == ["substrate not known", "InAs", "(001)", "1", "declared", "not to scale"]


@given(st.sets(st.sampled_from([-2, 0, 1, 2, 3, 5, 8, 9, FAR]), min_size=1))
@settings(max_examples=25, deadline=None)
def test_gaps_are_drawn_where_they_are(positions: set[int]) -> None:
    stack = LayerStack.from_rows(map(row, positions))
    ax = stack.plot()
    gaps = [slab for slab in slabs(ax) if slab.get_linestyle() == "--"]
    told = [text.removeprefix("missing: ") for text in texts(ax) if text.startswith("missing")]
    assert f"[{', '.join(told)}]" == repr(stack.gaps)
    assert len(gaps) == len(told)
    assert all(slab.get_height() < slabs(ax)[0].get_height() / 2 for slab in gaps)
    assert all(to_rgba(slab.get_facecolor())[3] == 0 for slab in gaps)
    plt.close("all")


def test_duplicates_are_drawn_and_told() -> None:
    ax = plot(row(3), row(1), row(1), row(3), row(2))
    assert len(slabs(ax)) == 6
    assert texts(ax)[-3:] == ["sample 42", "more than one at 1, 3", "not to scale"]
    bold = [text.get_text() for text in ax.texts if text.get_fontweight() == "bold"]
    assert bold == ["1", "1", "3", "3"]


def test_a_material_has_one_colour_everywhere() -> None:
    alone = colours(plot(*grown("GaAs")))["GaAs"]
    ax = plot(row(1, 1, composition_string="GaAs"), row(1, 2, composition_string="GaAs"))
    assert {slab.get_facecolor() for slab in slabs(ax)[1::2]} == {(*to_rgb(alone), 1)}
    assert colours(plot(*grown("AlAs", "GaAs")))["GaAs"] == alone


@given(st.sets(st.text("ABC", min_size=1), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_materials_share_a_colour_only_if_there_are_too_many(formulas: set[str]) -> None:
    ax = plot(*grown(*formulas))
    used = [to_hex(slab.get_facecolor()).upper() for slab in slabs(ax)[1:]]
    assert len({*used}) == min(len(formulas), len(DARK + LIGHT))
    assert max(map(used.count, used)) - min(map(used.count, DARK + LIGHT)) <= 1
    assert colours(plot(*reversed(grown(*formulas)))) == colours(ax)
    plt.close("all")


def test_what_is_no_axes_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^ax: one matplotlib Axes is needed, got .*ndarray"):
        LayerStack().plot(plt.subplots(2)[1])
    plt.close("all")


def test_inks_are_black_and_white() -> None:
    ax = seeds().plot()
    where = colours(ax)
    inks = {
        where[text.get_text()]: text.get_color() for text in ax.texts if text.get_text() in where
    }
    assert {inks[colour] for colour in DARK if colour in inks} == {"#FFFFFF"}
    assert {inks[colour] for colour in LIGHT if colour in inks} == {"#000000"}


LONG = "A name that goes on and on, about the day of its growth, the chamber, and the weather " * 9
PICTURES = {
    "one": grown("BaTiO3", substrate="Si", sample_name="BaTiO3 on Si", space_group="P4mm"),
    "many": grown(*["GaAs", "In0.53Ga0.47As"] * 20, orientation="001", sample_name="Mirror"),
    "long": grown("Bi2Sr2Ca2Cu3O10" * 20, sample_name=LONG, substrate=LONG, space_group=LONG),
    "word": grown("X" * 10**5, sample_name="X" * 10**5, orientation="X" * 10**5),
    "far": [row(FAR, composition_string="Au", sample_id=FAR), row(FAR, sample_id=FAR)],
    "twelve": [row(n, k, composition_string=f"{k}") for k in range(12) for n in range(1, k % 8)],
}


@pytest.mark.parametrize("rows", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("inches", [None, (2.5, 2.5), (12, 3)])
def test_texts_stay_on_their_slabs(
    rows: list[TargetMaterial], inches: tuple[float, float] | None
) -> None:
    given_ax = inches and plt.figure(figsize=inches, dpi=200).add_subplot()
    ax = plot(*rows, ax=given_ax or None)
    view = ax.get_window_extent()
    boxes = [slab.get_window_extent() for slab in slabs(ax)]
    assert all(inside(box, view) for box in boxes)
    extents = [text.get_window_extent() for text in ax.texts]
    assert all(inside(extent, view) for extent in extents)
    for extent, text in zip(extents, ax.texts, strict=True):
        x, y = ax.transData.transform(text.get_position())
        homes = [box for box in boxes if box.contains(x, y)]
        assert all(inside(extent, home) for home in homes)
        assert homes or not any(inside(extent, box) for box in boxes)


def test_texts_do_not_overlap() -> None:
    ax = plot(*seeds())
    extents = [text.get_window_extent().padded(-1) for text in ax.texts]
    assert not any(one.overlaps(other) for n, one in enumerate(extents) for other in extents[:n])


def test_stacks_of_a_row_share_the_baseline() -> None:
    ax = plot(*PICTURES["twelve"][:9], row(None, 99))
    substrates = [slab for slab in slabs(ax) if slab.get_hatch()]
    assert len(substrates) > 3
    assert len({slab.get_y() for slab in substrates}) == 1


@pytest.mark.parametrize(
    ("stacks", "rows", "in_a_row"), [(1, 1, 1), (6, 1, 6), (7, 2, 4), (15, 3, 5), (100, 10, 10)]
)
def test_many_stacks_stand_in_rows(stacks: int, rows: int, in_a_row: int) -> None:
    ax = TargetMaterials(row(None, n) for n in range(stacks)).plot()
    substrates = [slab for slab in slabs(ax) if slab.get_hatch()]
    assert len({slab.get_y() for slab in substrates}) == rows
    assert len({slab.get_x() for slab in substrates}) == in_a_row


def test_a_figure_is_never_too_large_to_draw() -> None:
    ax = TargetMaterials(row(n) for n in range(2000)).plot()
    assert figure(ax).get_size_inches().max() < 61


def test_texts_shrink_with_the_axes_and_grow_again() -> None:
    ax = plot(*PICTURES["one"])
    sizes = [text.get_fontsize() for text in ax.texts]
    width, height = map(float, figure(ax).get_size_inches())
    for factor in (0.5, 1):
        figure(ax).set_size_inches(width * factor, height * factor)
        figure(ax).canvas.draw()
        shrunk = [text.get_fontsize() for text in ax.texts]
        assert shrunk == pytest.approx([float(size) * factor for size in sizes], rel=0.1)


def test_characters_that_the_font_lacks_are_boxes() -> None:
    ax = plot(row(composition_string="東BaTiO3", sample_name="a\u200bb\x00c\ud800\td\ne"))
    assert "□BaTiO3" in texts(ax)
    assert "a b c d e" in texts(ax)


def test_a_new_figure_without_axes() -> None:
    before = plt.get_fignums()
    ax = plot(*PICTURES["one"])
    assert [*before, figure(ax).number] == plt.get_fignums()


def test_axes_that_are_given_are_used() -> None:
    _, (ax, other) = plt.subplots(1, 2, layout="constrained")
    before = plt.get_fignums()
    assert plot(*PICTURES["one"], ax=ax) is ax
    assert plt.get_fignums() == before
    assert (len(slabs(ax)), slabs(other), other.axison) == (2, [], True)


words = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.text(st.sampled_from("$\\_^{}()[]-0123.AlGaPm \n\u0301\u200bé東\ud800"), max_size=60),
)
hostile = st.builds(
    row,
    st.one_of(st.none(), st.integers(-3, 5), st.integers(-(2**63), 2**63 - 1)),
    st.integers(1, 2),
    composition_string=words,
    orientation=words,
    space_group=words,
    sample_name=words,
    substrate=words,
    element_dict=st.one_of(
        st.none(),
        st.builds(ElementDict.from_dict, st.dictionaries(st.text(), st.floats(), max_size=9)),
    ),
)


@given(st.lists(hostile, max_size=5))
@settings(max_examples=40, deadline=None)
def test_whatever_the_server_sends_is_drawn(rows: list[TargetMaterial]) -> None:
    ax = plot(*rows)
    assert len([slab for slab in slabs(ax) if slab.get_hatch()]) == len({r.sample_id for r in rows})
    plt.close("all")


def test_without_matplotlib_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from atomscale_target_materials import LayerStack\n"
        "LayerStack().plot()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1] == (
        "ImportError: plot() needs an extra: "
        "pip install 'atomscale-target-materials[plot]', or matplotlib"
    )
