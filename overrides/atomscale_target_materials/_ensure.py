"""Writes that can be run again: what is there already is not added a second time. No I/O here.

The API has no idempotency keys. So a flow lists, posts once what is missing, and lists again when
the answer was lost, or when the server says that it has such a layer.
"""

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, Literal

import attrs

from atomscale_target_materials_api.models import Layer, TargetMaterial
from atomscale_target_materials_api.types import UNSET

from ._codec import UNKNOWN, clean
from ._operations import add_layer, list_target_materials
from ._settings import Settings
from ._steps import Flow
from ._wire import fitting
from .errors import AtomscaleError, ConflictError
from .stacks import LayerStack, LayerStatus, StackDiff, layer_create

AGAIN = "When that is settled, run it again: what is listed by then is not added twice."
Tell = Callable[[LayerStatus], object]


@attrs.frozen
class EnsureResult:
    """What `Client.ensure_layer` came to.

    Attributes:
        status: "added"; or "present": the first look showed it. After a 409 "added" may be
            somebody else's doing.
        layer: What the server answered; None if it was present, or if the answer was lost.
        row: The list entry that shows it; None if it was added and answered, so not looked for.
    """

    status: Literal["added", "present"]
    layer: Layer | None
    row: TargetMaterial | None


@attrs.frozen
class StackResult:
    """What `Client.ensure_stack` came to. `str` has a line for each layer, like that of the diff.

    Attributes:
        diff: What there was to do.
        fates: What became of each declared layer, from the substrate up; empty after a dry run.
    """

    diff: StackDiff
    fates: tuple[LayerStatus, ...]

    def __str__(self) -> str:
        return str(
            attrs.evolve(self.diff, to_add=(), present=self.fates) if self.fates else self.diff
        )


def ensure_layer(settings: Settings, fields: Mapping[str, Any]) -> Flow[EnsureResult]:
    """Adds a layer unless it is there; `fields` are the locals of the client's method."""
    sample_id = fitting(int, fields["sample_id"], "sample_id")[1]
    declared = LayerStack.declare(layers=[layer_create({**fields, "self": UNSET})])
    diff = yield from _compare(settings, declared, sample_id)
    _refuse(diff, settings, "Nothing was written.")
    return (yield from _add(settings, declared, sample_id)) if diff else _found("present", diff)


def _compare(settings: Settings, declared: LayerStack, sample_id: int) -> Flow[StackDiff]:
    """With what the list has, which may be nothing of a sample without layers."""
    rows = yield from list_target_materials(settings)
    mine = [row for row in rows if row.sample_id == sample_id]
    return declared.diff(LayerStack.from_rows(mine) if mine else LayerStack())


def _found(status: Literal["added", "present"], diff: StackDiff) -> EnsureResult:
    row: Any = diff.present[0].actual[0].row
    return EnsureResult(status, None, row)


def _refuse(diff: StackDiff, settings: Settings, told: str, *, unknown: bool = False) -> None:
    if diff.conflicting:
        lines = (clean(line, settings) for line in str(attrs.evolve(diff, extra=())).splitlines())
        what = "the server has something else than what is declared:"
        raise ConflictError("\n".join([what, *lines, told.strip()]), outcome_unknown=unknown)


def _add(settings: Settings, declared: LayerStack, sample_id: int) -> Flow[EnsureResult]:
    """Posts the one layer, once. After a lost answer, or a 409, the list tells what came of it."""
    fields = {**declared.layers[0].row.to_dict(), "sample_id": sample_id}
    try:
        return EnsureResult("added", (yield from add_layer(settings, fields)), None)
    except AtomscaleError as error:
        lost, unknown = error, error.outcome_unknown
        if not unknown and not isinstance(error, ConflictError):
            raise
    told = "The list does not show it."
    try:
        diff = yield from _compare(settings, declared, sample_id)
    except AtomscaleError as error:
        lost.outcome_unknown, told = True, f"Looking for it failed too: {error}"
    else:
        _refuse(diff, settings, UNKNOWN if unknown else "The server answered 409.", unknown=unknown)
        if diff.present:
            return _found("added", diff)
    lost.args = (f"{lost} {told}",)
    raise lost


def ensure_stack(
    settings: Settings, declared: LayerStack, sample_id: int, tell: Tell | None, dry_run: bool
) -> Flow[StackResult]:
    """Adds what is missing of a declared stack, from the substrate up."""
    sample_id = _checked(declared, sample_id, tell)
    fates = [LayerStatus(layer, "not tried") for layer in declared.layers]
    try:
        diff = yield from _compare(settings, declared, sample_id)
        if dry_run:
            return StackResult(diff, ())
        there: dict[int, Any] = {line.layer.layer_id: "present" for line in diff.present}
        fates = [attrs.evolve(x, status=there.get(x.layer.layer_id, x.status)) for x in fates]
        _refuse(diff, settings, "Nothing was written.")
        yield from _fill(settings, fates, sample_id, bool if tell is None else tell)
    except AtomscaleError as error:
        error.fates = tuple(fates)
        raise
    return StackResult(diff, tuple(fates))


def _checked(declared: LayerStack, sample_id: int, tell: Tell | None) -> int:
    """The arguments of `Client.ensure_stack`, before anything is sent."""
    if not isinstance(declared, LayerStack) or declared.rows:
        raise TypeError(f"declared: use LayerStack.declare or from_file, not {declared!r:.100}")
    LayerStack.declare(layers=[layer.row.to_dict() for layer in declared.layers])
    if not (tell is None or callable(tell)) or iscoroutinefunction(tell):
        raise TypeError(f"on_progress: a plain function is needed, got {tell!r:.100}")
    sample_id = fitting(int, sample_id, "sample_id")[1]
    others = {each.sample_id for each in declared.layers} - {None, sample_id}
    if others:
        raise ValueError(f"sample_id: {sample_id} was given, but {others.pop()} is declared")
    return sample_id


def _fill(settings: Settings, fates: list[LayerStatus], sample_id: int, tell: Tell) -> Flow[None]:
    """Adds the layers that were not there, and keeps the fate of each."""
    for number, fate in enumerate(fates):
        if fate.status == "not tried":
            fates[number] = attrs.evolve(fate, status="failed")
            try:
                yield from _add(settings, LayerStack(layers=(fate.layer,)), sample_id)
            except AtomscaleError as error:
                tell(fates[number])
                error.args = ("\n".join([str(error), *map(str, reversed(fates)), AGAIN]),)
                raise
            fates[number] = attrs.evolve(fate, status="added")
        tell(fates[number])
