"""The chemistry of layers: what is behind `StackLayer.composition` and `LayerStack.check`.

Compositions and space groups are pymatgen's (extra `materials`), which is imported where it is
used; Miller indices and addresses need nothing. What cannot be read is a ValueError that tells the
layer, the text and the fault: the line of a `Misfit`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs

from ._codec import fitting

if TYPE_CHECKING:
    from pymatgen.core import Composition

    from .stacks import LayerStack, StackLayer

__all__ = ["Misfit"]

LONGEST = 1000
LONGEST_SHOWN = 80
DECIMALS = 8
"""Of an amount: as many as pymatgen tells apart."""
TOLERANCE = 0.0015
"""Of a share of all atoms. Shares that were rounded to three decimals fit, of up to five elements.
A hundredth of one site of a perovskite, which is 0.002 of all atoms, is seen."""
WITH_FOUR_INDICES = range(143, 195)
"""The trigonal and hexagonal space groups."""
CUBIC = range(195, 231)
BETWEEN = r"[\s_:]"
"""What is left out of a space group's symbol."""
BRACKETS = "()", "[]", "{}", "<>", "\u27e8\u27e9"


@attrs.frozen
class Misfit:
    """What does not fit in the chemistry of a layer. `str` is a line that tells it.

    Attributes:
        layer: The layer.
        field: The field, by its name in the API.
        fault: What is wrong with it.
    """

    layer: StackLayer
    field: str
    fault: str

    def __str__(self) -> str:
        layer, value = str(self.layer)[:LONGEST_SHOWN], repr(_given(self.layer, self.field))
        line = f"{self.layer.layer_id}: {layer}: {self.field} {value[:LONGEST_SHOWN]}: {self.fault}"
        return " ".join(line.split())


def check(stack: LayerStack) -> tuple[Misfit, ...]:
    """What does not fit, from the substrate up; see `LayerStack.check`."""
    _pymatgen("core")
    return tuple(misfit for layer in stack.layers for misfit in _misfits(layer))


def composition(layer: StackLayer) -> Composition | None:
    """The composition of a layer; see `StackLayer.composition`."""
    told: Composition | None = _value(layer, "composition_string")
    return told or _value(layer, "element_dict")


def space_group(layer: StackLayer) -> int | None:
    """The number of a layer's space group; see `StackLayer.space_group_number`."""
    return _value(layer, "space_group")  # type: ignore[no-any-return]


def miller(layer: StackLayer) -> tuple[int, ...] | None:
    """The Miller indices of a layer; see `StackLayer.miller`."""
    return _value(layer, "orientation")  # type: ignore[no-any-return]


def url(layer: StackLayer) -> str | None:
    """The page of a layer's material; see `StackLayer.materials_project_url`."""
    return _value(layer, "mp_id")  # type: ignore[no-any-return]


def formula(amounts: Mapping[Any, float], place: str = "") -> str:
    """The formula of a pymatgen Composition, or of another mapping of symbols to amounts.

    Nothing is reduced, and the elements keep their order: `Composition("PbTiO3")` is PbTiO3 again,
    which pymatgen itself would write TiPbO3.

    Raises:
        TypeError: An amount is no number; the message names the field, after `place`.
        ValueError: A symbol is no chemical element, or no formula can have that amount.
    """
    place = f"{place}.composition_string".lstrip(".")
    symbols = {str(key): each for key, each in amounts.items()}
    if len(symbols) < len(amounts):
        raise ValueError(f"{place}: an element is there twice")
    given = fitting(dict[str, float], symbols, place)[1]
    try:
        found = _of_amounts(given)
    except ValueError as error:
        charged = any(hasattr(key, "oxi_state") for key in amounts)
        hint = "; `element_composition` has no oxidation states" if charged else ""
        raise ValueError(f"{place}: {error}{hint}") from None
    return "".join(f"{symbol}{_written(amount)}" for symbol, amount in found.items())


def _written(amount: float) -> str:
    digits = f"{amount:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "" if digits == "1" else digits


# Reading


def _given(layer: StackLayer, field: str) -> Any:
    return layer.elements if field == "element_dict" else getattr(layer, field)


def _read(layer: StackLayer, field: str) -> tuple[Any, Misfit | None]:
    """What a field means, None where it is absent or a misfit."""
    given = _given(layer, field)
    try:
        if len(given or "") > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")  # noqa: TRY301 - it is told as others
        return (READERS[field](given) if given else None), None
    except ValueError as error:
        return None, Misfit(layer, field, str(error))


def _value(layer: StackLayer, field: str) -> Any:
    value, misfit = _read(layer, field)
    if misfit:
        raise ValueError(str(misfit))
    return value


def _misfits(layer: StackLayer) -> Iterator[Misfit]:
    read = {field: _read(layer, field) for field in READERS}
    yield from (misfit for _, misfit in read.values() if misfit)
    told, counted, group, indices, _ = (value for value, _ in read.values())
    if told and counted and (difference := _difference(told, counted)):
        yield Misfit(layer, "element_dict", difference)
    if group and group not in WITH_FOUR_INDICES and indices and len(indices) == 4:
        fault = f"four indices are for trigonal and hexagonal lattices, not for {layer.space_group}"
        yield Misfit(layer, "orientation", fault)


def _difference(told: Composition, counted: Composition) -> str:
    """The element whose share of all atoms differs most, as a sentence; empty if all fit."""
    shares = {
        element: (counted.get_atomic_fraction(element), told.get_atomic_fraction(element))
        for element in {**told, **counted}
    }
    element, (here, there) = max(shares.items(), key=lambda each: abs(each[1][0] - each[1][1]))
    if abs(here - there) <= TOLERANCE:
        return ""
    return f"{element} is {here:.4g} of all atoms, but {there:.4g} in composition_string"


def _pymatgen(module: str) -> Any:
    try:
        return import_module(f"pymatgen.{module}")
    except ImportError:
        raise ImportError(
            "Compositions and space groups need an extra: "
            "pip install 'atomscale-target-materials[materials]', or pymatgen-core itself"
        ) from None


def _of_formula(text: str) -> Composition:
    _refuse_unreal(re.findall("[A-Z][a-z]*", text))
    try:
        return _possible(_pymatgen("core").Composition(text))
    except ValueError:
        raise ValueError("no formula with positive amounts, like Ba0.5Sr0.5TiO3") from None


def _of_amounts(amounts: Mapping[str, float]) -> Composition:
    _refuse_unreal(amounts)
    if min(amounts.values(), default=0) < 0:
        raise ValueError("an amount is negative")
    return _possible(_pymatgen("core").Composition(amounts))


def _refuse_unreal(symbols: Iterable[str]) -> None:
    """Refuses what is no element: pymatgen makes Qq a dummy species, and D hydrogen."""
    real = {element.symbol for element in _pymatgen("core").Element}
    for symbol in symbols:
        if symbol not in real:
            raise ValueError(f"{symbol[:LONGEST_SHOWN]!r} is no chemical element")


def _possible(found: Composition) -> Composition:
    if not 0 < found.num_atoms < math.inf:
        raise ValueError("the amounts must add up to a positive number")
    return found


def _plain(text: str) -> str:
    """Signs and overbars as -, digits and letters as such, no space around it."""
    text = re.sub("([0-9])[\u0304\u0305]", r"-\1", unicodedata.normalize("NFKC", text))
    return text.replace("\u2212", "-").replace("\u2013", "-").strip()


@cache
def _numbers() -> dict[str, int]:
    """Space groups by number and by symbol, without spaces, underscores and colons.

    Symbols are those of all settings that pymatgen knows, and what they were before 1992: a double
    glide e was named for one of its two directions, and a cubic -3 had no bar.
    """
    groups = _pymatgen("symmetry.groups").SpaceGroup
    kinds = "hermann_mauguin", "universal_h_m", "short_h_m"
    named = [(each[kind], each["number"]) for each in groups.SYMM_OPS for kind in kinds]
    for name, each in groups.sg_encoding.items():
        named += [(name, each["int_number"]), (each["full_symbol"], each["int_number"])]
    found: dict[str, set[int]] = {str(number): {number} for number in range(1, 231)}
    for name, number in named:
        symbol = re.sub(BETWEEN, "", name)
        old = {symbol.replace("e", glide) for glide in "abc" if glide.upper() != symbol[0]}
        old |= {symbol.replace("-3", "3")} if number in CUBIC else set()
        for each in {symbol, *old}:
            found.setdefault(each, set()).add(number)
    # Not P-3m and P-3c, which are short for two groups each.
    return {symbol: number for symbol, (number, *more) in found.items() if not more}


def _of_symbol(text: str) -> int:
    number = _numbers().get(re.sub(BETWEEN, "", _plain(text)))
    if number is None:
        raise ValueError("no space group, like P4mm, Fm-3m, P6_3mc or a number from 1 to 230")
    return number


def _of_indices(text: str) -> tuple[int, ...]:
    text = _plain(text)
    inner = text[1:-1] if text[:1] + text[-1:] in BRACKETS else text
    parts = re.split(r"\s*,\s*|\s+", inner.strip())
    parts = re.findall("-?.", parts[0]) if len(parts) == 1 else parts
    if not all(re.fullmatch("-?[0-9]{1,3}", part) for part in parts):
        raise ValueError("no Miller indices, like 001, (1 -1 0), [11-20] or {10, 1, 2}")
    if len(parts) not in (3, 4):
        raise ValueError(f"three or four Miller indices are needed, not {len(parts)}")
    indices = [*map(int, parts)]
    if not any(indices):
        raise ValueError("all Miller indices are 0")
    if len(indices) == 4 and sum(indices[:3]) != 0:
        raise ValueError("of four Miller indices, the first three must add up to 0")
    return tuple(indices)


def _of_id(text: str) -> str:
    # Letters stand for numbers since the digits became many: mp-aaaaft is mp-149.
    if not re.fullmatch("(mp|mvc)-([0-9]{1,12}|[a-z]{1,12})", text):
        raise ValueError("no Materials Project ID, like mp-5020 or mp-aaaaft")
    return f"https://materialsproject.org/materials/{text}"


READERS: dict[str, Callable[[Any], Any]] = {
    "composition_string": _of_formula,
    "element_dict": _of_amounts,
    "space_group": _of_symbol,
    "orientation": _of_indices,
    "mp_id": _of_id,
}
