"""What a notebook shows of a stack and of a list: tables in HTML and CSS, without scripts.

Text and background are the page's own, but for the slabs: so both can be read in light and in dark
pages. Without the styles, as in a notebook that is not trusted, the tables still tell everything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, TypeVar
from unicodedata import category
from zlib import crc32

import attrs

from .stacks import Positions

if TYPE_CHECKING:
    from .stacks import LayerStack, StackLayer, TargetMaterials

T = TypeVar("T")

# Shown of each end: of the list, of a drawn stack, of a written stack; and of a text.
SAMPLES, SLABS, WRITTEN, CHARACTERS = 12, 200, 6, 80

# The class thrice, to outweigh a notebook's own rules for tables.
_CSS = """
&{margin:.5em 0;font-size:13px;line-height:1.4}
& .atsm-box{max-width:100%;max-height:720px;overflow:auto}
& table{border-collapse:separate;border-spacing:0;border:0;margin:0;table-layout:auto;width:auto}
& caption{caption-side:top;color:inherit;text-align:left;padding:0 .6em .5em;font-size:1em}
& tr{background:none;border:0;padding:0}
& th,& td{border:0;padding:.2em .6em;text-align:left;vertical-align:top;white-space:normal;
line-height:1.4}
& thead th{font-weight:normal;font-style:italic}
& tbody th{font-weight:normal}
& sub{font-size:.75em;line-height:0;vertical-align:-.25em}
& bdi{white-space:pre-wrap}
& .atsm-list th,& .atsm-list td{border-bottom:1px solid rgba(128,128,128,.4)}
& .atsm-list th:first-child,& .atsm-list td:nth-child(3){text-align:right}
& .atsm-list td{max-width:36em;overflow-wrap:break-word}
& .atsm-list td:nth-child(2){min-width:12em;max-width:22em}
& .atsm-list td:nth-child(4){min-width:16em}
& .atsm-list td:nth-child(5){min-width:8em}
& .atsm-list .atsm-rest{font-style:italic;text-align:center}
& .atsm-stack{width:100%}
& .atsm-stack th{text-align:right}
& .atsm-stack tbody th{white-space:nowrap}
& .atsm-stack th:nth-child(n+2){text-align:left}
& .atsm-stack th:last-child,& .atsm-stack td:last-child{width:100%}
& .atsm-stack tbody th,& .atsm-stack td{padding:.05em .6em;vertical-align:middle}
& .atsm-stack td{overflow-wrap:anywhere;min-width:5em}
& .atsm-stack td:nth-child(2){min-width:16em;border:1px solid #777;border-top:0;text-align:center}
& .atsm-stack tr:first-child td:nth-child(2){border-top:1px solid #777}
& .atsm-stack td.atsm-layer{print-color-adjust:exact}
& .atsm-stack td.atsm-gap{border-style:dashed;padding:0;font-size:.85em;font-style:italic;
line-height:1.2}
& .atsm-stack td.atsm-substrate{padding:.5em;background:repeating-linear-gradient(
135deg,rgba(128,128,128,.4) 0 1px,transparent 1px 7px)}
""".strip().replace("&", ".atsm.atsm.atsm")

# Paul Tol's scheme "light", made to lie under text, but its olive; the dark ones of his "muted"; an
# ochre. In simulated colour blindness too, any two are at a distance (CIE 76) of 13 or more.
DARK = "#332288", "#117733", "#882255", "#AA4499", "#8F7000"
LIGHT = "#EEDD88", "#FFAABB", "#99DDFF", "#44BB99", "#BBCC33", "#EE8866", "#77AADD"
UNKNOWN = "#E6E6E6"

AMOUNT = re.compile(r"(?<=[A-Za-z)\]}])(?:[0-9]+(?:[./][0-9]+)?|\.[0-9]+)(?:[-\u2212\xb1][xyδ])?")
FORMULA = re.compile(
    r"(?:[0-9]+[A-Z]-)?"  # A polytype.
    rf"(?:(?:[A-Z][a-z]?|[)\]}}])(?:{AMOUNT.pattern})?|[(\[{{/:·])+(?: ?\([-0-9]+\))?"
)


def colours(materials: Collection[str]) -> dict[str, str]:
    """A colour for each material, chosen by its text: so it is the same in every drawing.

    Only if two of these want the same one, the later in the alphabet gets another; when there are
    no more, those that are least used.
    """
    palette = DARK + LIGHT
    hashes = {each: crc32(each.encode("utf-8", "surrogatepass")) for each in materials}
    wishes = {each: hashes[each] % len(palette) for each in sorted(materials, reverse=True)}
    owners = {wish: each for each, wish in wishes.items()}
    used = Counter(owners.keys())
    for each, wish in reversed(wishes.items()):
        if owners[wish] != each:
            wishes[each] = min(range(len(palette)), key=lambda n: (used[n], n < wish, n))
            used[wishes[each]] += 1
    return {each: palette[wish] for each, wish in wishes.items()}


def ink(colour: str) -> str:
    """The colour of a text on a slab."""
    return "#FFFFFF" if colour in DARK else "#000000"


def material_of(layer: StackLayer) -> str:
    """What `str` writes of the layer, without the orientation."""
    return str(attrs.evolve(layer, row=attrs.evolve(layer.row, orientation=None)))


def missing_between(below: StackLayer | None, layer: StackLayer) -> Positions:
    """The positions that have no layer between these two; from 1 where there is none below."""
    return Positions([range(max(below.layer_id if below else 0, 0) + 1, layer.layer_id)])


def listed(positions: Positions) -> str:
    """As its repr, without the brackets: 2, 4-6."""
    return repr(positions).strip("[]")


def stack_html(stack: LayerStack) -> str:
    """A drawing of the stack: the substrate hatched, above it a slab for each layer.

    All slabs have the same height: the API knows no thickness. Of a very high stack both ends.
    """
    which = "Declared stack" if stack.sample_id is None else escape(f"Sample {stack.sample_id}")
    title = f"<strong>{_text(stack.sample_name) if stack.sample_name else which}</strong>"
    if stack.sample_name:
        title += f", {which.lower()}"
    facts = [_count(len(stack.layers), "layer"), *_oddities(stack), "not to scale"]
    pairs = [*zip([None, *stack.layers], stack.layers, strict=False)]
    top, between, bottom = _ends(pairs[::-1], SLABS)
    fills = {"?": UNKNOWN} | colours({*map(material_of, stack.layers)} - {"?"})
    duplicates = {*stack.duplicates}
    rows = [row for pair in top for row in _slabs(*pair, duplicates, fills)]
    if between:
        rows.append(_row("…", "gap", f"{_count(between, 'layer')} not shown"))
    rows += [row for pair in bottom for row in _slabs(*pair, duplicates, fills)]
    rows.append(_row("substrate", "substrate", _formula(stack.substrate or "?")))
    caption = f"{title}<br>{'; '.join(facts)}"
    return _table("stack", f"Layer stack, {which}", caption, "Position|Layer|Space group", rows)


def materials_html(materials: TargetMaterials) -> str:
    """A table with a row for each stack; of a long list its first and its last rows."""
    samples = [*dict.fromkeys(row.sample_id for row in materials)]
    first, between, last = _ends(samples, SAMPLES)
    rows = [_sample(materials.stack(sample_id)) for sample_id in first]
    if between:
        more = f"{_count(between, 'more sample')} not shown"
        rows.append(f'<tr><td colspan="5" class="atsm-rest">{more}</td></tr>')
    rows += [_sample(materials.stack(sample_id)) for sample_id in last]
    entries = _count(len(materials), "entry", "entries")
    caption = f"<strong>Target materials</strong><br>{entries}, {_count(len(samples), 'sample')}"
    columns = "Sample|Name|Layers|Stack, film first|Remarks"
    return _table("list", "Target materials", caption, columns, rows)


def _table(kind: str, label: str, caption: str, columns: str, rows: Sequence[str]) -> str:
    header = "".join(f'<th scope="col">{name}</th>' for name in columns.split("|"))
    return (
        f'<div class="atsm"><style>{_CSS}</style>'
        f'<div class="atsm-box" tabindex="0" role="region" aria-label="{label}">'
        f'<table class="atsm-{kind}"><caption>{caption}</caption>'
        f"<thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></div>"
    )


def _sample(stack: LayerStack) -> str:
    cells = (
        _text(stack.sample_name or ""),
        f"{len(stack.layers):,}",
        _written(stack),
        "; ".join(_oddities(stack)),
    )
    sample = f'<th scope="row">{_text(str(stack.sample_id))}</th>'
    return f"<tr>{sample}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _slabs(
    below: StackLayer | None, layer: StackLayer, duplicates: set[int], fills: Mapping[str, str]
) -> Iterator[str]:
    """The layer's slab, and one for all positions that are missing beneath it."""
    position = f"{layer.layer_id}"
    if layer.layer_id in duplicates:
        position += " (duplicate)"
    fill = fills[material_of(layer)]
    style = f' style="background-color:{fill};color:{ink(fill)}"'
    yield _row(position, "layer", _layer(layer), _text(layer.space_group or ""), style)
    if missing := missing_between(below, layer):
        yield _row(listed(missing), "gap", f"{_count(len(missing), 'position')} missing")


def _row(position: str, kind: str, slab: str, space_group: str = "", style: str = "") -> str:
    slab = f'<td class="atsm-{kind}"{style}>{slab}</td>'
    return f'<tr><th scope="row">{position}</th>{slab}<td>{space_group}</td></tr>'


def _oddities(stack: LayerStack) -> Iterator[str]:
    if stack.gaps:
        yield f"missing: {_clipped(listed(stack.gaps))}"
    if stack.duplicates:
        yield f"duplicate: {_clipped(', '.join(map(str, stack.duplicates)))}"


def _written(stack: LayerStack) -> str:
    """As `str`, in short; a line may end after each layer."""
    top, between, bottom = _ends(stack.layers[::-1], WRITTEN)
    parts = [*map(_layer, top), *([f"… {_count(between, 'layer')} …"] if between else [])]
    return "/<wbr>".join([*parts, *map(_layer, bottom), _formula(stack.substrate or "?")])


def _layer(layer: StackLayer) -> str:
    """As `str`, with subscripts."""
    material = material_of(layer)
    orientation = str(layer).removeprefix(material)
    return _formula(material) + (_text(orientation) if orientation else "")


def _formula(text: str) -> str:
    if FORMULA.fullmatch(text):
        return AMOUNT.sub(r"<sub>\g<0></sub>", _clipped(text))
    return _text(text)


def _text(text: str) -> str:
    """Any text, in a direction of its own. What would not be seen is written as in Python."""
    seen = (
        each
        if each.isprintable() or category(each) == "Zs" or each in "\u200c\u200d"
        else each.encode("unicode_escape").decode("ascii")
        for each in _clipped(text)
    )
    return f"<bdi>{escape(''.join(seen))}</bdi>"


def _clipped(text: str) -> str:
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"


def _ends(items: Sequence[T], each: int) -> tuple[Sequence[T], int, Sequence[T]]:
    """The first and the last items, and how many between them are left out."""
    between = max(len(items) - 2 * each, 0)
    first = each if between else len(items)
    return items[:first], between, items[first + between :]


def _count(number: int, noun: str, nouns: str = "") -> str:
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
