"""Layer stacks, listed and declared: order, gaps, duplicates, differences.

Pure, in linear time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from operator import attrgetter, eq, index
from typing import Generic, Never, SupportsIndex, TypeVar, overload

import attrs

from atomscale_target_materials_api.models import (
    ElementDict,
    ElementDictCreate,
    LayerCreate,
    TargetMaterial,
)  # fmt: skip
from atomscale_target_materials_api.types import Unset

__all__ = ["LayerStack", "StackLayer", "TargetMaterials"]

T = TypeVar("T")


def _known(value: T | Unset | None) -> T | None:
    return None if isinstance(value, Unset) else value


class _Field(Generic[T]):
    """A field of the row as a read-only attribute."""

    __set__: Callable[[StackLayer, Never], None]

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, _: type, name: str) -> None:
        self._of = attrgetter(f"row.{name}")

    def __get__(self, layer: StackLayer | None, _: type) -> T:
        return self if layer is None else _known(self._of(layer))  # type: ignore[return-value]


@attrs.frozen(repr=False)
class StackLayer:
    """One layer of a stack: a read-only view of its row. A field that is absent reads as None.

    The fields are those of the API reference, A1.

    Attributes:
        row: The list entry behind it, with every field; in a declared stack the `LayerCreate`.
    """

    row: TargetMaterial | LayerCreate

    layer_id = _Field[int]("Position within the stack; the lowest lies on the substrate.")
    sample_id = _Field[int | None]("ID of the target material sample it belongs to.")
    id = _Field[int | None]("Record ID; not known to be unique.")
    composition_string = _Field[str | None]("Chemical composition, for example `BaTiO3`.")
    element_dict = _Field[ElementDict | ElementDictCreate | None](
        "Element counts or fractions as a generated model; `elements` is the plain dict."
    )
    orientation = _Field[str | None]("Miller indices normal to the film surface, like `001`.")
    space_group = _Field[str | None]("Space group of the lattice, for example `P4mm`.")
    mp_id = _Field[str | None]("Materials Project ID, for example `mp-5020`.")

    @property
    def elements(self) -> dict[str, float]:
        """Element counts or fractions: symbol -> number; empty where they are not known."""
        return dict(self.element_dict.additional_properties) if self.element_dict else {}

    def __repr__(self) -> str:
        return f"<StackLayer {self.layer_id} of sample {self.sample_id}: {self}>"

    def __str__(self) -> str:
        material = self.composition_string or _formula(self.elements) or "?"
        if not self.orientation:
            return material
        bare = self.orientation[0] not in "([{<"
        return f"{material}({self.orientation})" if bare else f"{material}{self.orientation}"


_position = attrgetter("layer_id")


def _formula(elements: Mapping[str, float]) -> str:
    return "".join(
        f"{symbol}{'' if amount == 1 else f'{amount:g}'}" for symbol, amount in elements.items()
    )


class Positions(Collection[int]):
    """Ascending positions, kept as ranges: a lone layer at 10**12 leaves a gap of that size."""

    def __init__(self, ranges: Iterable[range]) -> None:
        self._ranges = tuple(ranges)

    def __len__(self) -> int:
        return sum(map(len, self._ranges))

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._ranges)

    def __contains__(self, position: object) -> bool:
        # As a plain int: anything else would make a range walk through all its numbers.
        return isinstance(position, SupportsIndex) and any(
            index(position) in each for each in self._ranges
        )

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Positions):
            return self._ranges == other._ranges
        if not isinstance(other, Collection):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        runs = (f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in self._ranges)
        return f"[{', '.join(runs)}]"


@attrs.frozen(repr=False)
class LayerStack:
    """The layers of one target material on its substrate.

    `str` writes it as the literature does, film first: `BaTiO3(001)/SrTiO3(001)/Si`.

    Attributes:
        sample_id: ID of the target material sample (API reference, A1); None where a declared stack
            leaves it open.
        sample_name: Its name, or None.
        substrate: What the layers are grown on, for example `Si`, or None.
        layers: From the substrate up: by `layer_id`, rows at one position in the order of the list.
            Entries without a `layer_id` are no layers: they stand in `rows` alone.
        rows: All list entries of the sample, as they came; none in a declared stack.
    """

    sample_id: int | None
    sample_name: str | None
    substrate: str | None
    layers: tuple[StackLayer, ...]
    rows: tuple[TargetMaterial, ...]

    @classmethod
    def from_rows(cls, rows: Iterable[TargetMaterial]) -> LayerStack:
        """The stack of list entries (at least one) that share one `sample_id`."""
        rows = tuple(rows)
        layers = [StackLayer(row) for row in rows if _known(row.layer_id) is not None]
        return cls(
            sample_id=rows[0].sample_id,
            sample_name=next(filter(None, (_known(row.sample_name) for row in rows)), None),
            substrate=next(filter(None, (_known(row.substrate) for row in rows)), None),
            layers=tuple(sorted(layers, key=_position)),
            rows=rows,
        )

    def at(self, layer_id: int) -> StackLayer:
        """The layer at a position.

        Raises:
            KeyError: No layer is there, or more than one: `layers` holds them all.
        """
        found = [layer for layer in self.layers if layer.layer_id == layer_id]
        if len(found) == 1:
            return found[0]
        count = f"{len(found)} layers" if found else "no layer"
        raise KeyError(f"{count} at position {layer_id!r} of sample {self.sample_id}")

    @property
    def gaps(self) -> Positions:
        """Positions from 1 up to the topmost layer that have no layer (0 is never missing)."""
        taken = [layer.layer_id for layer in self.layers if layer.layer_id > 0]
        bounds = [1, *(position + 1 for position in taken)]
        return Positions(
            range(low, high) for low, high in zip(bounds, taken, strict=False) if low < high
        )

    @property
    def duplicates(self) -> tuple[int, ...]:
        """Positions with more than one layer, ascending."""
        counts = Counter(layer.layer_id for layer in self.layers)
        return tuple(position for position, count in counts.items() if count > 1)

    def __str__(self) -> str:
        return "/".join([*map(str, reversed(self.layers)), self.substrate or "?"])

    def __repr__(self) -> str:
        name = "" if self.sample_name is None else f", {self.sample_name!r}"
        gaps = f", gaps={self.gaps}" if self.gaps else ""
        duplicates = f", duplicates={list(self.duplicates)}" if self.duplicates else ""
        which = "declared" if self.sample_id is None else self.sample_id
        return f"<LayerStack {which}{name}: {self}{gaps}{duplicates}>"


class TargetMaterials(tuple[TargetMaterial, ...]):
    """The entries of the list, one for each layer, in the server's order: an immutable sequence.

    A slice of it is another one. `stacks()` groups the entries by sample.
    """

    def stacks(self) -> tuple[LayerStack, ...]:
        """One stack for each sample, in the order in which the samples first appear."""
        return tuple(map(LayerStack.from_rows, self._by_sample.values()))

    def stack(self, sample_id: int) -> LayerStack:
        """The stack of one sample.

        Raises:
            KeyError: No entry has that `sample_id`.
        """
        if sample_id not in self._by_sample:
            raise KeyError(f"no target material with sample_id {sample_id!r}")
        return LayerStack.from_rows(self._by_sample[sample_id])

    @cached_property
    def _by_sample(self) -> dict[int, list[TargetMaterial]]:
        samples: dict[int, list[TargetMaterial]] = {}
        for row in self:
            samples.setdefault(row.sample_id, []).append(row)
        return samples

    @overload
    def __getitem__(self, index: SupportsIndex) -> TargetMaterial: ...
    @overload
    def __getitem__(self, index: slice) -> TargetMaterials: ...
    def __getitem__(self, index: SupportsIndex | slice) -> TargetMaterial | TargetMaterials:
        if isinstance(index, slice):
            return TargetMaterials(super().__getitem__(index))
        return super().__getitem__(index)

    def __repr__(self) -> str:
        return f"<TargetMaterials: entries={len(self)} samples={len(self._by_sample)}>"
