"""Layer stacks as a picture for the lab book: a schematic cross-section.

All lengths are points (1/72 inch) of the figure that `plot` makes. In smaller axes all is smaller,
texts too. Nothing that the server sent is read as mathtext: only our own subscripts and bars are.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from math import ceil, isqrt
from typing import TYPE_CHECKING, Any

import attrs

try:
    from matplotlib import rcParams
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text
    from matplotlib.textpath import text_to_path
except ImportError:
    raise ImportError(
        "plot() needs an extra: pip install 'atomscale-target-materials[plot]', or matplotlib"
    ) from None

from .notebook import (
    AMOUNT,
    FORMULA,
    UNKNOWN,
    colours,
    ink,
    listed,
    material_of,
    missing_between,
)  # fmt: skip
from .stacks import LayerStack, StackLayer

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.backend_bases import RendererBase


LAYER, GAP, SUBSTRATE = 28.0, 18.0, 32.0
NARROWEST, WIDEST, WIDEST_MARGIN = 96.0, 170.0, 70.0
PAD, SPACE, LEADING = 5.0, 20.0, 1.3
LARGE, MEDIUM, SMALL, SMALLEST = 10.0, 9.0, 7.0, 5.5
CHARACTERS, STACKS_IN_A_ROW, INCHES = 80, 6, 60  # at most


def plot(stacks: Sequence[LayerStack], ax: Axes | None = None) -> Axes:
    """Draws stacks side by side, in rows of up to six (more, if they are very many).

    The colour of a material is chosen from its formula, and so the same in every picture. Only if
    two materials of one picture want the same, one of them gets another, while there are any.
    """
    picture = _Picture(stacks)
    if not isinstance(ax, Axes | None):
        raise TypeError(f"ax: one matplotlib Axes is needed, got {type(ax)}")
    if ax is None:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - who gives axes may do without

        inches = [min(length / 72, INCHES) + 0.1 for length in (picture.right, -picture.bottom)]
        _, ax = plt.subplots(figsize=(inches[0], inches[1]), layout="constrained")
    for artist in picture.artists:
        ax.add_artist(artist)
    ax.set(xlim=(0, picture.right), ylim=(picture.bottom, 0))
    ax.set_axis_off()
    return ax


class _Picture:
    """The artists, and how far they reach: from 0 to the right, and from 0 down."""

    def __init__(self, stacks: Sequence[LayerStack]) -> None:
        columns = [[*_slabs(stack)] for stack in stacks]
        slabs = [slab for column in columns for slab in column]
        self._colours = colours({slab.material for slab in slabs} - {"", "?"})
        texts = [words for slab in slabs for words in (slab.name, slab.details)]
        width = 2 * PAD + max((words.width for words in texts), default=0)
        margin = 2 * PAD + max((slab.position.width for slab in slabs), default=0)
        self._width, self._margin = min(max(width, NARROWEST), WIDEST), min(margin, WIDEST_MARGIN)
        rows = ceil(len(stacks) / max(STACKS_IN_A_ROW, isqrt(len(stacks)))) or 1
        length = ceil(len(stacks) / rows) or 1
        self.artists: list[Artist] = []
        self.right = length * (self._margin + self._width + PAD)
        self.bottom = 0.0
        for first in range(0, len(stacks), length):
            self.bottom -= SPACE if first else PAD
            self._add_row(stacks[first : first + length], columns[first : first + length])
        remark = _Words("not to scale" if stacks else "no target materials")
        middle = (self._margin + self.right - PAD) / 2
        self._add_text(middle, self.bottom - MEDIUM, remark, self.right)
        self.bottom -= 2 * MEDIUM

    def _add_row(self, stacks: Sequence[LayerStack], columns: list[list[_Slab]]) -> None:
        baseline = self.bottom - max(sum(slab.height for slab in each) for each in columns)
        for number, (stack, column) in enumerate(zip(stacks, columns, strict=True), 1):
            left = number * (self._margin + self._width + PAD) - PAD - self._width
            y = baseline
            for slab in column:
                self._add_slab(left, y, slab)
                y += slab.height
            y = baseline - PAD
            for line in _caption(stack, self._width + PAD):
                self._add_text(left + self._width / 2, y - line.size / 2, line, self._width + PAD)
                y -= line.size * LEADING
            self.bottom = min(self.bottom, y)

    def _add_slab(self, left: float, y: float, slab: _Slab) -> None:
        look = {"facecolor": self._colours.get(slab.material, UNKNOWN)} | slab.look
        face = look["facecolor"]
        inset = GAP / 6 if "linestyle" in look else 0
        shape = (left, y + inset), self._width, slab.height - 2 * inset
        self.artists.append(Rectangle(*shape, **look))
        options: dict[str, Any] = {"color": None if face == "none" else ink(face)}
        if "hatch" in look:
            options["bbox"] = {"boxstyle": "square,pad=0.2", "fc": face, "ec": "none"}
        x, middle, room = left + self._width / 2, y + slab.height / 2, self._width - 2 * PAD
        raised = slab.height * 0.16 if slab.details.text else 0
        self._add_text(x, middle + raised, slab.name, room, **options)
        self._add_text(x, middle - slab.height * 0.25, slab.details, room, **options)
        self._add_text(left - PAD, middle, slab.position, self._margin - 2 * PAD, ha="right")

    def _add_text(self, x: float, y: float, words: _Words, room: float, **options: Any) -> None:
        if words.text:
            self.artists.append(_Label(x, y, words.within(room), **options))


@attrs.frozen
class _Words:
    """A text in one line, its numbers as `typeset` sets them; the size is in points."""

    text: str
    size: float = SMALL
    typeset: Callable[[str], str] = str
    weight: str = "normal"

    @property
    def string(self) -> str:
        """What matplotlib gets. A text that could be taken for mathtext is left as it is."""
        return self.text if {*self.text} & {*"$\\"} else self.typeset(self.text)

    @property
    def is_math(self) -> bool:
        return self.string != self.text

    @property
    def width(self) -> float:
        """A little more than it takes: subscripts are narrower, but slow to measure."""
        font = FontProperties(size=self.size, weight=self.weight)
        extent = text_to_path.get_text_width_height_descent(self.text, font, ismath=False)
        return float(extent[0]) * 1.08  # on a screen each letter has whole pixels

    def within(self, room: float) -> _Words:
        """The same, smaller if it has no room, and shortened if even so it has none."""
        size = self.size * min(1, room / max(self.width, 1))
        words = attrs.evolve(self, size=max(size, SMALLEST))
        if size >= SMALLEST:
            return words
        cuts = [attrs.evolve(words, text=f"{self.text[:n]}…") for n in range(len(self.text))]
        return cuts[max(bisect(cuts, room, key=lambda cut: cut.width) - 1, 0)]


@attrs.frozen
class _Slab:
    """What is drawn at one height of a stack: the substrate, a layer, a gap."""

    name: _Words
    look: dict[str, Any]
    height: float = LAYER
    material: str = ""
    details: _Words = _Words("")
    position: _Words = _Words("")


def _slabs(stack: LayerStack) -> Iterator[_Slab]:
    """From the substrate up."""
    substrate = _clean(stack.substrate)
    name = _Words(substrate, LARGE, _subscripts) if substrate else _Words("substrate not known")
    hatched = {"facecolor": "0.93", "edgecolor": "0.65", "hatch": "////"}
    yield _Slab(name, hatched, SUBSTRATE)
    doubled = {*stack.duplicates}
    for below, layer in zip([None, *stack.layers], stack.layers, strict=False):
        if missing := missing_between(below, layer):
            dashed = {"facecolor": "none", "edgecolor": "0.5", "linestyle": "--"}
            yield _Slab(_Words(f"missing: {listed(missing)}"), dashed, GAP)
        yield _layer(layer, "bold" if layer.layer_id in doubled else "normal")
    if not stack.layers:
        yield _Slab(_Words("no layers"), {"facecolor": "none", "edgecolor": "none"}, GAP)


def _layer(layer: StackLayer, weight: str) -> _Slab:
    bare = material_of(layer)
    material, orientation = _clean(bare) or "?", _clean(str(layer).removeprefix(bare))
    details = " · ".join(filter(None, (orientation, _clean(layer.space_group))))
    name, small = _Words(material, LARGE, _subscripts), _Words(details, SMALL, _crystallographic)
    position = _Words(str(layer.layer_id), weight=weight)
    return _Slab(name, {"edgecolor": "0.2"}, LAYER, material, small, position)


def _caption(stack: LayerStack, room: float) -> list[_Words]:
    name = _clean(stack.sample_name)
    width = _Words(name, MEDIUM, weight="bold").width
    characters = ceil(len(name) * room / max(width, room))
    lines = textwrap.wrap(name, max(characters, 8), max_lines=3, placeholder="…")
    which = "declared" if stack.sample_id is None else f"sample {stack.sample_id}"
    positions = ", ".join(map(str, stack.duplicates))
    remarks = [which, _clean(f"more than one at {positions}")][: 2 if positions else 1]
    return [*(_Words(line, MEDIUM, weight="bold") for line in lines), *map(_Words, remarks)]


def _clean(text: str | None) -> str:
    """The text on one line, with a box for each character that the font does not have."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text or "").split())
    text = text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}…"
    family = tuple(rcParams["font.family"])
    return "".join(c if c.isascii() or _has_glyph(c, family) else "□" for c in text)


@lru_cache(maxsize=10_000)
def _has_glyph(character: str, _family: tuple[str, ...]) -> bool:
    with warnings.catch_warnings(record=True) as missing:
        warnings.simplefilter("always")
        _ = _Words(character).width
    return not missing


def _subscripts(text: str) -> str:
    """The amounts of a formula below the line: Al0.3Ga0.7As, Ca3(PO4)2."""
    if FORMULA.fullmatch(text.removesuffix("…")):
        return AMOUNT.sub(r"$_{\\mathregular{\g<0>}}$", text)
    return text


def _crystallographic(details: str) -> str:
    """Bars and subscripts: (11-20), F-43m, P6_3/mmc; other words are left as they are."""

    def typeset(symbol: re.Match[str]) -> str:
        barred = re.sub(r"-([0-9])", r"$\\overline{\\mathregular{\1}}$", symbol[0])
        return re.sub(r"_([1-5])", r"$_{\\mathregular{\1}}$", barred)

    return re.sub(r"^[(\[{<][-0-9]+[)\]}>]|\b[A-IPR][-_/0-9a-n]+$", typeset, details)


class _Label(Text):
    """Words whose size is in points of the picture: in small axes they are small."""

    def __init__(self, x: float, y: float, words: _Words, **options: Any) -> None:
        own = {"size": words.size, "weight": words.weight, "parse_math": words.is_math}
        options = {"ha": "center", "va": "center", "usetex": False, **own, **options}
        super().__init__(x, y, words.string, **options)
        self._points = words.size

    def draw(self, renderer: RendererBase) -> None:
        # Only now the axes have the size that layouts and windows give them.
        origin, point = self.get_transform().transform([(0, 0), (1, 1)])
        scale = abs(point - origin).min() * 72 / self.figure.dpi
        size = max(self._points * min(1, scale), 0.5)
        if size != self.get_fontsize():
            self.set_fontsize(size)
        super().draw(renderer)
