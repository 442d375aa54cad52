import json
import re
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from atomscale_target_materials import Client, LayerStack, TargetMaterials
from atomscale_target_materials.sandbox import Sandbox
from atomscale_target_materials_api.models import TargetMaterial

FAR = 10**12
MATERIALS = "GaAs", "Al0.3Ga0.7As", "InAs", "AlSb", "SrTiO3", "La0.7Sr0.3MnO3"


def rows(*layer_ids: int | None, sample_id: int = 42, **fields: Any) -> list[TargetMaterial]:
    common = {"sample_name": "Superlattice", "substrate": "GaAs", "space_group": "F-43m"}
    return [
        TargetMaterial(
            id=7,
            sample_id=sample_id,
            layer_id=layer_id,
            **{
                "composition_string": MATERIALS[(layer_id or 0) % len(MATERIALS)],
                "orientation": "001",
                **common,
                **fields,
            },
        )
        for layer_id in layer_ids
    ]


def stack(*layer_ids: int | None, **fields: Any) -> LayerStack:
    return LayerStack.from_rows(rows(*layer_ids, **fields))


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></table></div><h1>title",
    "<style>*{display:none}</style>",
    "a\u202eb nul\0 \ud800",
    "x" * 500,
]


def hostile(text: str, number: int) -> list[TargetMaterial]:
    names = "sample_name", "substrate", "composition_string", "orientation", "space_group"
    fields: dict[str, Any] = dict.fromkeys(names, text)
    return rows(number, **fields)


OUTPUTS: dict[str, Any] = {
    "one": stack(1),
    "five": stack(*range(1, 6)),
    "thirty": stack(*range(1, 31)),
    "high": stack(*range(1, 1001)),
    "odd": stack(2, 3, 3, FAR),
    "unknown": stack(1, composition_string=None),
    "no layers": stack(None),
    "declared": LayerStack.declare(layers=[{}, {"composition_string": "AlSb"}]),
    "hostile": LayerStack.from_rows(
        row for number, text in enumerate(HOSTILE) for row in hostile(text, number)
    ),
    "list": TargetMaterials(
        [
            *rows(2, 2, FAR),
            *(row for each, text in enumerate(HOSTILE) for row in hostile(text, each)),
            *(row for sample in range(100, 10_000) for row in rows(1, 2, sample_id=sample)),
            *rows(*range(1, 101), sample_id=9),
        ]
    ),
    "empty": TargetMaterials([]),
}
SHOWN = {name: output._repr_html_() for name, output in OUTPUTS.items()}

# The rules of notebooks that bear on a table within an output.
NOTEBOOK = """
.output{color:var(--text)}
.output table{table-layout:fixed;border-collapse:collapse;font-size:12px;margin:0 auto 1em}
.output thead{border-bottom:1px solid #888}
:not(.markdown).output td,:not(.markdown).output th,:not(.markdown).output tr{text-align:right}
.output td,.output th{padding:.5em;line-height:normal;white-space:normal;max-width:none}
.output tbody tr:nth-child(odd){background:var(--paper)}
.output tbody tr:nth-child(even){background:var(--stripe)}
.output tbody tr:hover{background:#42a5f533}
caption{color:#777}
"""
HOSTS = {
    "light": "body{background:#fff;color:#000}",
    "dark": "body{background:#1e1e1e;color:#ccc}",
    "as the system": ":root{color-scheme:light dark}",
    "light notebook": ":root{--text:#000000de;--paper:#fff;--stripe:#f5f5f5}" + NOTEBOOK,
    "dark notebook": ":root{--text:#fff;--paper:#111;--stripe:#212121} body{background:#111}"
    + NOTEBOOK,
}


def show(page: Page, *fragments: str, host: str = "light") -> None:
    outputs = "".join(f'<div class="output">{fragment}</div>' for fragment in fragments)
    page.set_content(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Notebook</title>'
        f"<style>{HOSTS[host]}</style><body>{outputs}"
    )


# Texts with a contrast below 4.5:1 against any colour behind them, those of gradients included.
POOR = r"""() => {
  const numbers = text => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
                            return [r, g, b, a]; };
  const over = ([r, g, b, a], below) => [r, g, b].map((x, at) => x * a + below[at] * (1 - a));
  const light = parts => parts.map(x => x / 255)
    .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, at) => sum + x * [0.2126, 0.7152, 0.0722][at], 0) + 0.05;
  const probe = document.body.appendChild(document.createElement('p'));
  probe.style.backgroundColor = 'Canvas';
  const known = new Map([[null, [numbers(getComputedStyle(probe).backgroundColor)]]]);
  const behind = element => {
    if (!known.has(element)) {
      const { backgroundColor, backgroundImage } = getComputedStyle(element);
      const plain = behind(element.parentElement).map(x => over(numbers(backgroundColor), x));
      const drawn = backgroundImage.match(/rgba?\([^)]*\)/g) || [];
      const striped = drawn.flatMap(colour => plain.map(x => over(numbers(colour), x)));
      known.set(element, [...plain, ...striped]);
    }
    return known.get(element);
  };
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    seen += 1;
    const ink = numbers(getComputedStyle(element).color);
    const ratios = behind(element).map(ground => {
      const pair = [light(over(ink, ground)), light(ground)];
      return Math.max(...pair) / Math.min(...pair);
    });
    if (Math.min(...ratios) < 4.5) poor.push(texts.currentNode.data);
  }
  return seen ? poor : ['nothing is seen'];
}"""


def test_the_contrast_is_measured(page: Page) -> None:
    stripes = "repeating-linear-gradient(#000 0 1px,transparent 1px 9px)"
    show(
        page,
        '<p style="color:#777">grey',
        '<p style="color:#757575">dark grey',
        f'<p style="background:{stripes}">on stripes',
        '<p style="display:none;color:#fff">hidden',
    )
    assert page.evaluate(POOR) == ["grey", "on stripes"]


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize("host", HOSTS)
def test_each_text_can_be_read(page: Page, system: Literal["light", "dark"], host: str) -> None:
    page.emulate_media(color_scheme=system)
    show(page, *SHOWN.values(), host=host)
    assert page.evaluate(POOR) == []


def test_it_can_be_read_where_styles_are_taken_away(page: Page) -> None:
    bare = (re.sub(r"<style>.*?</style>", "", x, flags=re.DOTALL) for x in SHOWN.values())
    show(page, *bare, host="dark")
    assert page.evaluate(POOR) == []


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("host", ["light", "dark notebook"])
def test_the_page_does_not_scroll_sideways(page: Page, width: int, host: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    show(page, *SHOWN.values(), host=host)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_usual_stack_fits_a_narrow_page(page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    show(page, SHOWN["thirty"])
    box = page.locator(".atsm-box")
    assert box.evaluate("box => box.scrollWidth - box.clientWidth") == 0


def test_hostile_texts_are_texts(page: Page) -> None:
    show(page, SHOWN["hostile"], SHOWN["list"])
    for text in HOSTILE[:4]:
        expect(page.get_by_role("cell", name=text, exact=True).first).to_be_visible()
    expect(page.locator("script, img, h1, .output style ~ style")).to_have_count(0)
    expect(page.locator(".output")).to_have_count(2)


@pytest.mark.parametrize("host", HOSTS)
def test_the_drawing(page: Page, host: str) -> None:
    show(page, SHOWN["five"], host=host)
    slabs = [slab.bounding_box() for slab in page.locator(".atsm-layer").all()]
    substrate = page.locator(".atsm-substrate").bounding_box()
    assert substrate
    boxes = [slab for slab in slabs if slab]
    assert len(boxes) == 5
    assert max(box["height"] for box in boxes) - min(box["height"] for box in boxes) <= 1
    assert {(box["x"], box["width"]) for box in boxes} == {(substrate["x"], substrate["width"])}
    bottoms = [box["y"] + box["height"] for box in boxes]
    tops = [box["y"] for box in [*boxes[1:], substrate]]
    assert tops == pytest.approx(bottoms, abs=0.1)
    hatched = page.locator(".atsm-substrate").evaluate("x => getComputedStyle(x).backgroundImage")
    assert hatched.startswith("repeating-linear-gradient")


TREE = """
- region "Layer stack, Sample 42":
  - 'table "Superlattice, sample 42 1 layer; missing: 1; not to scale"':
    - caption:
      - strong: Superlattice
      - text: ", sample 42 1 layer; missing: 1; not to scale"
    - rowgroup:
      - row "Position Layer Space group":
        - columnheader "Position"
        - columnheader "Layer"
        - columnheader "Space group"
    - rowgroup:
      - row "2 InAs(110) F-43m":
        - rowheader "2"
        - cell "InAs(110)"
        - cell "F-43m"
      - row "1 1 position missing":
        - rowheader "1"
        - cell "1 position missing"
        - cell
      - row "substrate GaAs":
        - rowheader "substrate"
        - cell "GaAs"
        - cell
""".strip()


def test_a_stack_to_assistive_technology(page: Page) -> None:
    show(page, stack(2, orientation="110")._repr_html_())
    assert page.locator("body").aria_snapshot() == TREE


def test_the_list_of_the_sandbox(page: Page, sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        materials = client.list_target_materials()
    show(page, materials._repr_html_())
    region = page.get_by_role("region", name="Target materials")
    table = region.get_by_role("table", name="Target materials 44 entries, 15 samples")
    expect(table.get_by_role("columnheader")).to_have_text(
        ["Sample", "Name", "Layers", "Stack, film first", "Remarks"]
    )
    expect(table.get_by_role("rowheader")).to_have_text([*map(str, range(42, 57))])
    row = table.get_by_role("row", name="43")
    expect(row.get_by_role("cell").nth(2)).to_have_text("BaTiO3(001)/SrTiO3(001)/Si")


def test_a_high_stack_scrolls_by_keyboard(page: Page) -> None:
    show(page, SHOWN["high"])
    box = page.get_by_role("region", name="Layer stack, Sample 42")
    assert box.evaluate("box => box.clientHeight") <= 720
    page.keyboard.press("Tab")
    expect(box).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator(".atsm-substrate")).to_be_in_viewport()


def test_outputs_leave_the_page_and_each_other_alone(page: Page) -> None:
    table = "<table id=other><caption>c<thead><tr><th>a<tbody><tr><th>b<td>c<sub>1</sub></table>"
    styles = """[...document.querySelectorAll('#other, #other *')].map(
        x => [...getComputedStyle(x)].map(name => getComputedStyle(x)[name]))"""

    def styled(*fragments: str) -> Any:
        show(page, table, *fragments, host="light notebook")
        return json.dumps(page.evaluate(styles))

    assert styled(*SHOWN.values()) == styled()


def test_a_notebook_does_not_dress_the_tables(page: Page) -> None:
    looks = """[...document.querySelectorAll('.atsm :is(th, td)')].map(cell => {
        const [own, row, table] = [cell, cell.closest('tr'), cell.closest('table')]
            .map(element => getComputedStyle(element));
        return [own.textAlign, own.borderTopWidth, row.backgroundColor, table.tableLayout]; })"""
    found = []
    for host in ("light", "light notebook"):
        show(page, SHOWN["odd"], SHOWN["list"], host=host)
        found.append(page.evaluate(looks))
    assert found[0] == found[1]
