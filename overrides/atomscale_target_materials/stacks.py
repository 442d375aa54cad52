"""Layer stacks, listed and declared: order, gaps, duplicates, differences.

Pure, in linear time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from itertools import groupby, pairwise
from operator import attrgetter, index
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, Literal, Never, SupportsIndex, TypeVar, overload

import attrs

from atomscale_target_materials_api import models
from atomscale_target_materials_api.models import LayerCreate, TargetMaterial
from atomscale_target_materials_api.types import UNSET, Unset

from ._codec import fitting

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    from matplotlib.axes import Axes
    from pymatgen.core import Composition  # noqa: F401 - in the text of a type

    from .chemistry import Misfit

T = TypeVar("T")
Elements = Literal["map", "columns"]


def _room(name: str) -> Any:
    """A part that is imported where it is used; it names the extra that it needs."""
    return import_module(f".{name}", __package__)


class _Field(Generic[T]):
    """A field of the row, or what a room makes of the layer, as a read-only attribute."""

    __set__: Callable[[StackLayer, Never], None]

    def __init__(self, of: Callable[[StackLayer], Any] | None = None) -> None:
        self._of: Any = of

    def __set_name__(self, _: type, name: str) -> None:
        self._of = self._of or attrgetter(f"row.{name}")

    def __get__(self, layer: StackLayer | None, _: type) -> T:
        value = self if layer is None else self._of(layer)
        return None if isinstance(value, Unset) else value  # type: ignore[return-value]


@attrs.frozen(repr=False)
class StackLayer:
    """One layer of a stack: a read-only view of its row. A field that is absent reads as None.

    The fields are those of the API reference, A1.

    Attributes:
        row: The list entry behind it, with every field; in a declared stack the `LayerCreate`.
        layer_id: Position within the stack; the lowest lies on the substrate.
        sample_id: ID of the target material sample it belongs to.
        id: Record ID; not known to be unique.
        composition_string: Chemical composition, for example `BaTiO3`.
        element_dict: `elements` as generated model.
        orientation: Miller indices normal to the film surface, like `001`.
        space_group: Space group of the lattice, for example `P4mm`.
        mp_id: Materials Project ID, for example `mp-5020`.
        composition: `composition_string`, else `elements`, as pymatgen's Composition (extra
            `materials`); None where neither is known, ValueError where it cannot be read.
        space_group_number: Number of `space_group` in the International Tables, 1 to 230 (extra
            `materials`); None where it is not known, ValueError where it is no space group.
        miller: `orientation` as three or four integers, for example `(0, 0, 1)`; None where it is
            not known, ValueError where it cannot be read.
        materials_project_url: The page of `mp_id`; None where it is not known, ValueError where it
            is no such ID.
    """

    row: TargetMaterial | LayerCreate

    layer_id = _Field[int]()
    sample_id = _Field[int | None]()
    id = _Field[int | None]()
    composition_string = _Field[str | None]()
    element_dict = _Field[models.ElementDict | models.ElementDictCreate | None]()
    orientation = _Field[str | None]()
    space_group = _Field[str | None]()
    mp_id = _Field[str | None]()
    composition = _Field["Composition | None"](lambda layer: _room("chemistry").composition(layer))
    space_group_number = _Field[int | None](lambda layer: _room("chemistry").space_group(layer))
    miller = _Field[tuple[int, ...] | None](lambda layer: _room("chemistry").miller(layer))
    materials_project_url = _Field[str | None](lambda layer: _room("chemistry").url(layer))

    @property
    def elements(self) -> dict[str, float]:
        """Element counts or fractions: symbol -> number; empty where they are not known."""
        return dict(self.element_dict.additional_properties) if self.element_dict else {}

    def __repr__(self) -> str:
        return f"<StackLayer {self.layer_id} of sample {self.sample_id}: {self}>"

    def __str__(self) -> str:
        amounts = (f"{x}{'' if n == 1 else f'{n:g}'}" for x, n in self.elements.items())
        material = self.composition_string or "".join(amounts) or "?"
        orientation = self.orientation or ""
        closed = orientation[:1] in ("", "(", "[", "{", "<")
        return material + (orientation if closed else f"({orientation})")


def layer_create(fields: LayerCreate | Mapping[str, Any], place: str = "") -> LayerCreate:
    """A layer to add, of these fields, where UNSET stands for one that was left out.

    Raises TypeError or ValueError, which names the field, after the `place` of the layer.
    """
    if isinstance(fields, Mapping):
        fields = {name: value for name, value in fields.items() if value is not UNSET}
        if isinstance(composition := fields.get("composition_string"), Mapping):
            fields["composition_string"] = _room("chemistry").formula(composition, place)
    return fitting(LayerCreate, fields, place)[1]  # type: ignore[no-any-return]


class Positions(Collection[int]):  # noqa: PLW1641 - without a hash, like a list
    """Ascending positions, kept as ranges: a lone layer at 10**12 leaves a gap of that size."""

    def __init__(self, ranges: Iterable[range]) -> None:
        self._ranges = tuple(filter(None, ranges))

    def __len__(self) -> int:
        return sum(map(len, self._ranges))

    def __iter__(self) -> Iterator[int]:
        return (position for each in self._ranges for position in each)

    def __contains__(self, item: object) -> bool:
        # As a plain int: anything else would make a range walk through all its numbers.
        return isinstance(item, SupportsIndex) and any(index(item) in run for run in self._ranges)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Positions):
            return self._ranges == other._ranges
        return isinstance(other, Collection) and len(other) == len(self) and [*other] == [*self]

    def __repr__(self) -> str:
        runs = (f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in self._ranges)
        return f"[{', '.join(runs)}]"


_position = attrgetter("layer_id")


def _sorted(layers: Iterable[StackLayer]) -> tuple[StackLayer, ...]:
    return tuple(sorted(layers, key=_position))


@attrs.frozen(repr=False)
class LayerStack:
    """The layers of one target material on its substrate.

    `str` writes it as the literature does, film first: `BaTiO3(001)/SrTiO3(001)/Si`.

    Attributes:
        sample_id: ID of the target material sample (API reference, A1); None of a declared stack.
        sample_name: Its name, or None.
        substrate: What the layers are grown on, for example `Si`, or None.
        layers: From the substrate up: by `layer_id`, rows at one position in the order of the list.
            Entries without a `layer_id` are no layers: they stand in `rows` alone.
        rows: All list entries of the sample, as they came; none in a declared stack.
    """

    sample_id: int | None = None
    sample_name: str | None = None
    substrate: str | None = None
    layers: tuple[StackLayer, ...] = attrs.field(default=(), converter=_sorted)
    rows: tuple[TargetMaterial, ...] = ()

    @classmethod
    def from_rows(cls, rows: Iterable[TargetMaterial]) -> LayerStack:
        """The stack of list entries that share one `sample_id`; of none an empty one."""
        rows = tuple(rows)
        layers = (layer for layer in map(StackLayer, rows) if layer.layer_id is not None)
        name = next(filter(None, map(attrgetter("sample_name"), rows)), None)
        substrate = next(filter(None, map(attrgetter("substrate"), rows)), None)
        return cls(rows[0].sample_id if rows else None, name, substrate, layers, rows)

    @classmethod
    def declare(
        cls, *, layers: Iterable[LayerCreate | Mapping[str, Any]], substrate: str | None = None
    ) -> LayerStack:
        """A stack as it shall be, for `diff` and for `Client.ensure_stack`.

        Args:
            layers: From the substrate up; each a `LayerCreate`, or a mapping with the arguments of
                `Client.add_layer`. One without a `layer_id` lies on the one before it; the first
                has 1. A `LayerCreate` alone is a stack of one.
            substrate: What the layers are grown on, for example "Si". Left out, it is compared with
                nothing.

        Raises:
            TypeError: A field is of the wrong type, or unknown; the message tells which layer.
            ValueError: A field is out of range, or two layers have one position.
        """
        rows: list[LayerCreate] = []
        for number, layer in enumerate(layers if isinstance(layers, Iterable) else [layers]):
            above = {"layer_id": rows[-1].layer_id + 1 if rows else 1}
            given = {**above, **layer} if isinstance(layer, Mapping) else layer
            rows.append(layer_create(given, f"layers[{number}]"))
        substrate = fitting(str | None, substrate, "substrate")[1]
        stack = cls(substrate=substrate, layers=map(StackLayer, rows))
        if stack.duplicates:
            raise ValueError(f"layers: more than one at position {stack.duplicates[0]}")
        return stack

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> LayerStack:
        """A stack as `declare` makes it, from a YAML file (extra `yaml`) or a CSV file.

        YAML has a mapping of `substrate` and `layers`. CSV has a header and a line for each layer,
        with a column for each element's amount, for example `element_dict.Ba`. The names are those
        of `declare`; what is empty is left out.

        Args:
            path: It ends in .yaml, .yml or .csv. The text is UTF-8.

        Raises:
            ValueError: The file says something else; the message names file, line and column.
            OSError: The file cannot be read.
            ImportError: YAML was not installed: the message names the extra.
        """
        return _room("files").read(path)  # type: ignore[no-any-return]

    def diff(self, actual: LayerStack) -> StackDiff:
        """What this declared stack needs of `actual`, which the server has. Nothing is sent.

        Layers at one position are compared in each field that is declared, but for their IDs: texts
        exactly, amounts as numbers, null as absent.
        """
        found = {position: [*same] for position, same in groupby(actual.layers, _position)}
        lines = [_compared(each, *found.pop(each.layer_id, ())) for each in self.layers]
        lines += [LayerStatus(each, "extra") for rest in found.values() for each in rest]
        statuses = "to add", "present", "differing", "extra"
        groups = [tuple(line for line in lines if line.status == status) for status in statuses]
        substrates = {self.substrate, actual.substrate} - {None}
        bottom = f"substrate: {actual.substrate or 'not known'}"
        if self.substrate not in (None, actual.substrate):
            bottom += f", but {self.substrate} is declared"
        return StackDiff(bottom, bool(groups[2]) or len(substrates) > 1, *groups)

    def at(self, layer_id: int) -> StackLayer:
        """The layer at a position.

        Raises:
            KeyError: No layer is there, or more than one: `layers` holds them all.
        """
        found = [layer for layer in self.layers if layer.layer_id == layer_id]
        if len(found) == 1:
            return found[0]
        raise KeyError(f"{len(found) or 'no'} layers at position {layer_id!r} of {self!r}")

    @property
    def gaps(self) -> Positions:
        """Positions from 1 up to the topmost layer that have no layer (0 is never missing)."""
        taken = [layer.layer_id for layer in self.layers if layer.layer_id > 0]
        return Positions(range(low + 1, high) for low, high in pairwise([0, *taken]))

    @property
    def duplicates(self) -> tuple[int, ...]:
        """Positions with more than one layer, ascending."""
        pairs = pairwise(layer.layer_id for layer in self.layers)
        return tuple(dict.fromkeys(low for low, high in pairs if low == high))

    def check(self) -> tuple[Misfit, ...]:
        """What does not fit in the chemistry of the layers; nothing is refused (extra `materials`).

        Compositions that cannot be read or have no real elements, amounts that differ from the
        composition, unknown space groups, unreadable orientations, odd Materials Project IDs.

        Returns:
            From the substrate up; each tells the layer, the field and the fault. Empty: all fits.
        """
        return _room("chemistry").check(self)  # type: ignore[no-any-return]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draws the stack (extra `plot`): the substrate hatched, above it a slab for each layer.

        All slabs have the same height: the API knows no thickness. A material has the same colour
        in every picture, unless two in one picture would have the same.

        Args:
            ax: Where to draw; None: a new figure.

        Returns:
            The axes. Nothing is shown: `pyplot.savefig(...)`, `pyplot.show()`, or a notebook, does.
        """
        return _room("plotting").plot([self], ax)  # type: ignore[no-any-return]

    def _repr_html_(self) -> str:
        return _room("notebook").stack_html(self)  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return "/".join([*map(str, reversed(self.layers)), self.substrate or "?"])

    def __repr__(self) -> str:
        name = "" if self.sample_name is None else f", {self.sample_name!r}"
        gaps = f", gaps={self.gaps}" if self.gaps else ""
        duplicates = f", duplicates={list(self.duplicates)}" if self.duplicates else ""
        which = "declared" if self.sample_id is None else self.sample_id
        return f"<LayerStack {which}{name}: {self}{gaps}{duplicates}>"


@attrs.frozen
class LayerStatus:
    """One layer of a declared stack, and where it stands. `str` is a line that tells it.

    Attributes:
        layer: As declared; as the server has it where the status is "extra".
        status: In a diff "to add", "present", "differing" or "extra" (on the server, not declared).
            After `Client.ensure_stack` "added", "present", "failed" or "not tried".
        actual: In a diff what the server has at that position: nothing, a layer, or several.
        differences: What differs, field by field, each as a sentence.
    """

    layer: StackLayer
    status: Literal["to add", "present", "differing", "extra", "added", "failed", "not tried"]
    actual: tuple[StackLayer, ...] = ()
    differences: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.layer.layer_id}: {self.layer}: {'; '.join((self.status, *self.differences))}"


def _compared(declared: StackLayer, *actual: StackLayer) -> LayerStatus:
    if not actual:
        return LayerStatus(declared, "to add")
    there = actual[0].row.to_dict()
    differences = tuple(
        f"{name} {value!r} is declared, the server has {there.get(name)!r}"
        for name, value in declared.row.to_dict().items()
        if name not in ("id", "sample_id") and value != there.get(name)
    )
    if len(actual) > 1:
        differences = (f"the server has {len(actual)} there: {', '.join(map(str, actual))}",)
    return LayerStatus(declared, "differing" if differences else "present", actual, differences)


@attrs.frozen
class StackDiff:
    """A declared stack beside the one that the server has. True when there is something to do.

    `str` has a line for each layer, as they are grown: the substrate at the bottom.

    Attributes:
        substrate: A line that tells what the server has, and what is declared instead.
        conflicting: True if the substrate is another one, or a layer differs.
        to_add: Declared, and not on the server. Each of these from the substrate up.
        present: On the server as declared.
        differing: On the server, but not as declared; or more than one layer at the position.
        extra: On the server, but not declared: left as they are.
    """

    substrate: str
    conflicting: bool
    to_add: tuple[LayerStatus, ...]
    present: tuple[LayerStatus, ...]
    differing: tuple[LayerStatus, ...]
    extra: tuple[LayerStatus, ...]

    def __bool__(self) -> bool:
        return self.conflicting or bool(self.to_add)

    def __str__(self) -> str:
        lines = (*self.to_add, *self.present, *self.differing, *self.extra)
        drawn = sorted(lines, key=attrgetter("layer.layer_id"), reverse=True)
        return "\n".join(" ".join(line.split()) for line in [*map(str, drawn), self.substrate])


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

    def to_pandas(self, *, elements: Elements = "map", unknown: bool = False) -> pandas.DataFrame:
        """A table of the entries (extra `pandas`): a row for each, a column for each field.

        Args:
            elements: "map": the amounts of `element_dict` as one column of mappings; "columns": a
                column for each element that occurs, for example `element_dict.Ba`.
            unknown: Unknown fields too, each as a column.

        Returns:
            Nullable integers, strings, timestamps in UTC; an empty list has the same columns.
            Free-form values such as `sample_metadata` are Python's own in pandas, and JSON text in
            polars and Arrow. Unknown fields whose name is taken are called `unknown.<name>`.

        Raises:
            ValueError: `elements` is something else.
            ImportError: The library was not installed: the message names the extra.
        """
        return _room("frames").to_pandas(self, elements, unknown)  # type: ignore[no-any-return]

    def to_polars(self, *, elements: Elements = "map", unknown: bool = False) -> polars.DataFrame:
        """As `to_pandas`, for polars (extra `polars`)."""
        return _room("frames").to_polars(self, elements, unknown)  # type: ignore[no-any-return]

    def to_arrow(self, *, elements: Elements = "map", unknown: bool = False) -> pyarrow.Table:
        """As `to_pandas`, for Apache Arrow (extra `arrow`)."""
        return _room("frames").to_arrow(self, elements, unknown)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draws the stacks in rows of up to six, each as `LayerStack.plot` does (extra `plot`)."""
        return _room("plotting").plot(self.stacks(), ax)  # type: ignore[no-any-return]

    def _repr_html_(self) -> str:
        return _room("notebook").materials_html(self)  # type: ignore[no-any-return]

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
        found = super().__getitem__(index)
        return TargetMaterials(found) if isinstance(found, tuple) else found

    def __repr__(self) -> str:
        return f"<TargetMaterials: entries={len(self)} samples={len(self._by_sample)}>"
