import re
import time
from html.parser import HTMLParser
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import HTMLFormatter

from atomscale_target_materials import LayerStack, TargetMaterials, notebook
from atomscale_target_materials_api.models import ElementDict, TargetMaterial
from atomscale_target_materials_api.types import UNSET

FAR = 10**12
TEXTS = "sample_name", "substrate", "composition_string", "orientation", "space_group"
WRITTEN = {
    "div", "style", "table", "caption", "thead", "tbody", "tr", "th", "td", "br", "wbr", "strong",
    "sub", "bdi",
}  # fmt: skip
ATTRIBUTES = {
    "class": r"atsm(-[a-z]+)?",
    "tabindex": "0",
    "role": "region",
    "aria-label": r"Target materials|Layer stack, (Declared stack|Sample \d+)",
    "scope": "row|col",
    "colspan": "5",
    "style": r"background-color:#[0-9A-F]{6};color:#(000000|FFFFFF)",
}


class Fragment(HTMLParser):
    """A fragment as a browser reads it; what is not well-formed, or was not written, fails."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.caption = ""
        self.kinds: list[str | None] = []
        self.rows: list[list[str]] = []
        self.styles: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in WRITTEN
        assert all(re.fullmatch(ATTRIBUTES[name], value or "") for name, value in attrs)
        if tag not in ("br", "wbr"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        self.styles += [value for name, value in attrs if name == "style" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"th", "td"} & {*self.open}:
            self.rows[-1][-1] += data
        elif "caption" in self.open:
            self.caption += data
        else:
            assert self.open[-1] == "style"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment  # type: ignore[assignment]


def row(layer_id: Any = 1, sample_id: int = 42, **fields: Any) -> TargetMaterial:
    return TargetMaterial(id=7, sample_id=sample_id, layer_id=layer_id, **fields)


def stack_of(*layer_ids: Any, **fields: Any) -> LayerStack:
    return LayerStack.from_rows(row(layer_id, **fields) for layer_id in layer_ids)


def drawn(stack: LayerStack) -> list[list[str]]:
    head, *rows = Fragment(notebook.stack_html(stack)).rows
    assert head == ["Position", "Layer", "Space group"]
    return rows


def listed(*rows: TargetMaterial) -> list[list[str]]:
    head, *found = Fragment(notebook.materials_html(TargetMaterials(rows))).rows
    assert head == ["Sample", "Name", "Layers", "Stack, film first", "Remarks"]
    return found


def test_a_notebook_shows_both() -> None:
    materials = TargetMaterials([row(composition_string="GaN")])
    shown = HTMLFormatter()
    assert shown(materials) == notebook.materials_html(materials)
    assert shown(materials.stack(42)) == notebook.stack_html(materials.stack(42))


def test_a_stack_is_drawn_on_its_substrate() -> None:
    rows = [
        row(1, composition_string="SrTiO3", orientation="001", space_group="Pm-3m"),
        row(2, element_dict=amounts(Ba=1, Ti=1, O=3), orientation="(110)", substrate="Si"),
        row(3, orientation="001"),
    ]
    assert drawn(LayerStack.from_rows(rows)) == [
        ["3", "?(001)", ""],
        ["2", "BaTiO3(110)", ""],
        ["1", "SrTiO3(001)", "Pm-3m"],
        ["substrate", "Si", ""],
    ]


def amounts(**elements: float) -> ElementDict:
    model = ElementDict()
    model.additional_properties = dict(elements)
    return model


@pytest.mark.parametrize("absent", [None, UNSET], ids=["null", "absent"])
def test_no_layers_are_told(absent: Any) -> None:
    stack = stack_of(absent, substrate=absent)
    assert drawn(stack) == [["substrate", "?", ""]]
    assert "0 layers; not to scale" in notebook.stack_html(stack)
    assert listed(row(absent)) == [["42", "", "0", "?", ""]]


@pytest.mark.parametrize(
    ("stack", "caption"),
    [
        (
            stack_of(1, 2, sample_name="BaTiO3 on Si"),
            "BaTiO3 on Si, sample 422 layers; not to scale",
        ),
        (stack_of(1), "Sample 421 layer; not to scale"),
        (LayerStack.declare(layers=[{}]), "Declared stack1 layer; not to scale"),
        (
            stack_of(2, 2, 6),
            "Sample 423 layers; missing: 1, 3-5; duplicate: 2; not to scale",
        ),
    ],
    ids=["named", "nameless", "declared", "odd"],
)
def test_the_caption_tells_what_it_is(stack: LayerStack, caption: str) -> None:
    assert Fragment(notebook.stack_html(stack)).caption == caption


def test_gaps_and_duplicates_are_drawn() -> None:
    assert drawn(stack_of(2, 2, FAR)) == [
        [f"{FAR}", "?", ""],
        [f"3-{FAR - 1}", "999,999,999,997 positions missing", ""],
        ["2 (duplicate)", "?", ""],
        ["2 (duplicate)", "?", ""],
        ["1", "1 position missing", ""],
        ["substrate", "?", ""],
    ]
    assert listed(row(2), row(2), row(6)) == [
        ["42", "", "3", "?/?/?/?", "missing: 1, 3-5; duplicate: 2"]
    ]


@given(st.lists(st.integers(-3, 12)))
def test_each_gap_is_drawn_once(layer_ids: list[int]) -> None:
    stack = stack_of(*layer_ids, None)
    gaps = [position for position, slab, _ in reversed(drawn(stack)) if "missing" in slab]
    assert repr(stack.gaps) == f"[{', '.join(gaps)}]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("BaTiO3", "BaTiO<sub>3</sub>"),
        ("Al0.3Ga0.7As", "Al<sub>0.3</sub>Ga<sub>0.7</sub>As"),
        ("(La.7Sr.3)2CuO4", "(La<sub>.7</sub>Sr<sub>.3</sub>)<sub>2</sub>CuO<sub>4</sub>"),
        ("Al1/3Ga2/3N", "Al<sub>1/3</sub>Ga<sub>2/3</sub>N"),
        ("YBa2Cu3O7-δ", "YBa<sub>2</sub>Cu<sub>3</sub>O<sub>7-δ</sub>"),
        ("Nb:SrTiO3", "Nb:SrTiO<sub>3</sub>"),
        ("Pt/SiO2/Si(001)", "Pt/SiO<sub>2</sub>/Si(001)"),
        ("Al2O3 (11-20)", "Al<sub>2</sub>O<sub>3</sub> (11-20)"),
        ("6H-SiC", "6H-SiC"),
        ("Wafer 3", "<bdi>Wafer 3</bdi>"),
        ("wafer3", "<bdi>wafer3</bdi>"),
        ("BaTiO3 <b>", "<bdi>BaTiO3 &lt;b&gt;</bdi>"),
    ],
)
def test_formulas_have_subscripts(text: str, shown: str) -> None:
    stack = stack_of(1, composition_string=text, substrate=text, orientation="10-10")
    html = notebook.stack_html(stack)
    assert f">{shown}<bdi>(10-10)</bdi></td>" in html
    assert f'<td class="atsm-substrate">{shown}</td>' in html
    assert f"{shown}<bdi>(10-10)</bdi>/<wbr>{shown}" in notebook.materials_html(
        TargetMaterials(stack.rows)
    )


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@given(st.lists(st.text(st.characters()), max_size=30))
def test_materials_have_colours_of_their_own_while_there_are_any(materials: list[str]) -> None:
    colours = notebook.colours(materials)
    assert colours.keys() == {*materials}
    assert len({*colours.values()}) == min(len(colours), len(notebook.DARK + notebook.LIGHT))
    assert colours == notebook.colours([*materials, *reversed(materials)])


@pytest.mark.parametrize("colour", [*notebook.DARK, *notebook.LIGHT, notebook.UNKNOWN])
def test_text_contrasts_with_its_slab(colour: str) -> None:
    low, high = sorted(map(luminance, (colour, notebook.ink(colour))))
    assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, level AA


def test_colours_stay_the_same_in_all_notebooks() -> None:
    known = {"BaTiO3": "#77AADD", "SrTiO3": "#AA4499", "GaAs": "#BBCC33"}
    assert notebook.colours(known) == known
    pair = notebook.colours(["LaNiO3", "GaSb"])
    assert pair["GaSb"] == notebook.colours(["GaSb"])["GaSb"] != pair["LaNiO3"]
    assert notebook.colours(["LaNiO3"])["LaNiO3"] == pair["GaSb"]


def test_only_what_a_layer_is_made_of_decides_its_colour() -> None:
    fields: dict[str, Any] = {"composition_string": "GaN"}
    turned = row(2, orientation="110", sample_name="other", **fields)
    stack = LayerStack.from_rows([row(1, **fields), turned, row(3), row(4)])
    *unknown, second, first = Fragment(notebook.stack_html(stack)).styles
    assert first == second == f"background-color:{notebook.colours(['GaN'])['GaN']};color:#000000"
    assert unknown == ["background-color:#E6E6E6;color:#000000"] * 2


def test_of_a_very_high_stack_both_ends_are_drawn() -> None:
    low, high = drawn(stack_of(*range(1, 401))), drawn(stack_of(*range(2, 1204, 2)))
    assert [position for position, *_ in low] == [*map(str, range(400, 0, -1)), "substrate"]
    assert high[399:402] == [
        ["803", "1 position missing", ""],
        ["…", "201 layers not shown", ""],
        ["400", "?", ""],
    ]
    assert len(high) == 4 * 200 + 2


def test_of_a_long_list_both_ends_are_shown() -> None:
    whole = listed(*(row(1, sample) for sample in range(24)))
    assert [sample for sample, *_ in whole] == [*map(str, range(24))]
    first, between, last = listed(*(row(1, sample) for sample in range(25)))[11:14]
    assert (first[0], between, last[0]) == ("11", ["1 more sample not shown"], "13")


def test_a_long_list_costs_little() -> None:
    rows = [row(layer, sample, composition_string="BaTiO3", orientation="001")
            for sample in range(1000) for layer in range(0, 40, 2)]  # fmt: skip
    began = time.process_time()
    html = notebook.materials_html(TargetMaterials(rows))
    assert time.process_time() - began < 1
    assert len(html) < 100_000
    assert Fragment(html).caption == "Target materials20,000 entries, 1,000 samples"
    assert len(notebook.stack_html(stack_of(*range(0, 20_000, 2)))) < 200_000


def test_an_empty_list() -> None:
    fragment = Fragment(notebook.materials_html(TargetMaterials([])))
    assert (fragment.caption, len(fragment.rows)) == ("Target materials0 entries, 0 samples", 1)


def test_a_high_stack_is_written_in_short() -> None:
    fields: dict[str, Any] = {"composition_string": "GaN", "substrate": "Si"}
    written = [listed(*(row(n, **fields) for n in range(1, count)))[0][3] for count in (13, 15)]
    assert written == ["GaN/" * 12 + "Si", "GaN/" * 6 + "… 2 layers …/" + "GaN/" * 6 + "Si"]


def test_long_texts_are_cut() -> None:
    (cells,) = listed(row(1, sample_name="x" * 81, composition_string="Al" * 50), row(999))
    assert cells[1] == "x" * 79 + "…"
    assert cells[3] == "?/" + "Al" * 39 + "A…/?"
    (cells,) = listed(*(row(n) for n in range(2, 100, 2)))
    assert len(cells[4]) == len("missing: ") + 80


def seen(text: str) -> str:
    """What is to be seen of a text: as in Python's repr, but for spaces and joiners."""
    kept = "\u200c\u200d"
    return "".join(
        x if x.isprintable() or category(x) == "Zs" or x in kept else ascii(x)[1:-1] for x in text
    )


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></table><!-- <b",
    "&lt;&amp;&#0;",
    "a\u202eb\u2066c",
    "nul\0 cr\r lf\n tab\t esc\x1b",
    "\ud800 \udfff",
    "5\xa0nm \u2003 \u200d\u200c \u05d0",
]
any_text = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=80))


@given(st.fixed_dictionaries(dict.fromkeys(TEXTS, any_text)))
def test_whatever_the_texts_are_they_stay_texts(fields: dict[str, Any]) -> None:
    stack = stack_of(1, **fields)
    layer, substrate = drawn(stack)
    assert layer == ["1", seen(str(stack.layers[0])), seen(fields["space_group"])]
    assert substrate == ["substrate", seen(stack.substrate or "?"), ""]
    name = fields["sample_name"]
    assert listed(*stack.rows) == [["42", seen(name), "1", seen(str(stack)), ""]]
    title = f"{seen(name)}, sample 42" if name else "Sample 42"
    html = notebook.stack_html(stack)
    assert Fragment(html).caption == f"{title}1 layer; not to scale"
    html.encode()


def test_what_is_not_seen_is_written_out() -> None:
    (cells,) = listed(row(1, sample_name="\0\ud800\u202e\n"))
    assert cells[1] == r"\x00\ud800\u202e\n"


def test_an_id_is_escaped_too() -> None:
    hostile: Any = '"><script>'
    stack = stack_of(1, sample_id=hostile)
    assert 'aria-label="Layer stack, Sample &quot;&gt;&lt;script&gt;"' in notebook.stack_html(stack)
    assert listed(*stack.rows)[0][0] == hostile
