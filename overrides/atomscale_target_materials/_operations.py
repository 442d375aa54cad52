"""What each operation does, as generators that do no I/O: all decisions live here.

A flow yields each request that it wants sent, gets the outcome back, and returns or raises. The API
has no idempotency keys. So what ensures lists, posts once what is missing, and lists again when the
answer was lost, or when the server says that it has such a layer.
"""

import inspect
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, Literal

import attrs

import atomscale_target_materials_api.api.target_materials.add_target_material_layer as _add
import atomscale_target_materials_api.api.target_materials.list_target_materials as _list
from atomscale_target_materials_api.models import Layer, TargetMaterial
from atomscale_target_materials_api.types import UNSET

from . import _steps
from ._codec import UNKNOWN, clean, decode, failure_of, fitting
from ._settings import Settings
from ._steps import Flow, Request, Send
from ._wire import hints_of
from .errors import AtomscaleError, ConflictError
from .stacks import LayerStack, LayerStatus, StackDiff, TargetMaterials, layer_create

AGAIN = "When that is settled, run it again: what is listed by then is not added twice."

_log = logging.getLogger(__package__)
_log.addHandler(logging.NullHandler())


def call(settings: Settings, operation: ModuleType, parameters: Mapping[str, Any]) -> Flow[Any]:
    """Sends one operation, again where that is safe, until it succeeds or the error is final."""
    request = request_of(operation, parameters)
    left, pause, end, tries = settings.timeout, 0.0, None, 0
    while True:
        tries += 1
        outcome = yield Send(settings, request, pause, end)
        error = failure_of(request, outcome, settings)
        said = str(request), outcome.status or "no answer", tries, left - pause - outcome.left
        _log.debug("%s: %s, try %d, %.3f s, %d bytes", *said, len(outcome.content))
        if error is None:
            return decode(request, outcome, operation, settings)
        again = _steps.pause(request, outcome, tries) if tries < settings.max_tries else None
        if again is None:
            error.args = (str(error) + f" It was tried {tries} times." * (tries > 1),)
            raise error
        reason = f"{request} answered {outcome.status}." if hasattr(error, "status_code") else error
        _log.warning("%s Try %d of %d in %.2f s.", reason, tries + 1, settings.max_tries, again)
        left, pause, end = outcome.left, again, outcome.end


def list_target_materials(settings: Settings) -> Flow[TargetMaterials]:
    """All entries of the list (API reference, A1)."""
    return TargetMaterials((yield from call(settings, _list, {})))


def add_layer(settings: Settings, fields: Mapping[str, Any]) -> Flow[Layer]:
    """Adds one layer (API reference, A2); `fields` are the locals of the client's method."""
    return call(settings, _add, {"body": layer_create({**fields, "self": UNSET})})


def request_of(operation: ModuleType, parameters: Mapping[str, Any]) -> Request:
    """The request of a generated operation; TypeError or ValueError names what does not fit."""
    build = getattr(operation, "_get_kwargs", None)
    if build is None:
        raise TypeError(f"operation: use a module of the generated `api`, not {operation!r:.50}")
    hints, arguments = hints_of(build), dict(parameters)
    for name, value in parameters.items():
        if name != "body" and value is not UNSET:
            _, arguments[name] = fitting(hints.get(name, Any), value, name)
            # These three would lead to another resource. The others are keywords alone.
            if arguments[name] in ("", ".", "..") and name in inspect.getfullargspec(build).args:
                raise ValueError(f"{name}: {value!r} cannot be a part of the path")
    options = _built(build, arguments, hints.get("body"))
    if "json" in options:
        options["content"], _ = fitting(hints["body"], options.pop("json"), "body")
    return Request(options.pop("method").upper(), options.pop("url"), options)


def _built(build: Callable[..., Any], arguments: dict[str, Any], body: Any) -> dict[str, Any]:
    with suppress(AttributeError):
        return build(**arguments)  # type: ignore[no-any-return]
    wanted = getattr(body, "__name__", body)
    raise TypeError(f"body: Expected `{wanted}`, got `{type(arguments['body']).__name__}`")


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
        done: Any = {"to_add": (), "present": self.fates} if self.fates else {}
        return str(attrs.evolve(self.diff, **done))


def ensure_layer(settings: Settings, fields: Mapping[str, Any]) -> Flow[EnsureResult]:
    """Adds a layer unless it is there; `fields` are the locals of the client's method."""
    sample_id = fitting(int, fields["sample_id"], "sample_id")[1]
    declared = LayerStack.declare(layers=[layer_create({**fields, "self": UNSET})])
    diff = yield from _compare(settings, declared, sample_id)
    _refuse(diff, settings, "Nothing was written.")
    return (yield from _post(settings, declared, sample_id)) if diff else _found("present", diff)


def _compare(settings: Settings, declared: LayerStack, sample_id: int) -> Flow[StackDiff]:
    """With what the list has, which may be nothing of a sample without layers."""
    rows = yield from list_target_materials(settings)
    return declared.diff(LayerStack.from_rows(row for row in rows if row.sample_id == sample_id))


def _found(status: Literal["added", "present"], diff: StackDiff) -> EnsureResult:
    return EnsureResult(status, None, diff.present[0].actual[0].row)  # type: ignore[arg-type]


def _refuse(diff: StackDiff, settings: Settings, told: str, *, unknown: bool = False) -> None:
    if diff.conflicting:
        lines = (clean(line, settings) for line in str(attrs.evolve(diff, extra=())).splitlines())
        what = "the server has something else than what is declared:"
        raise ConflictError("\n".join([what, *lines, told.strip()]), outcome_unknown=unknown)


def _post(settings: Settings, declared: LayerStack, sample_id: int) -> Flow[EnsureResult]:
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
    settings: Settings, declared: LayerStack, sample_id: int, tell: Any, dry_run: bool
) -> Flow[StackResult]:
    """Adds what is missing of a declared stack, from the substrate up."""
    tell = bool if tell is None else tell
    sample_id = _checked(declared, sample_id, tell)
    fates = {layer.layer_id: LayerStatus(layer, "not tried") for layer in declared.layers}
    try:
        diff = yield from _compare(settings, declared, sample_id)
        if dry_run:
            return StackResult(diff, ())
        fates |= {x.layer.layer_id: LayerStatus(x.layer, "present") for x in diff.present}
        _refuse(diff, settings, "Nothing was written.")
        for position, fate in fates.items():
            if fate.status == "not tried":
                fates[position] = LayerStatus(fate.layer, "failed")
                yield from _post(settings, LayerStack(layers=(fate.layer,)), sample_id)
                fates[position] = LayerStatus(fate.layer, "added")
            tell(fates[position])
    except AtomscaleError as error:
        error.fates = tuple(fates.values())
        for failed in (each for each in error.fates if each.status == "failed"):
            tell(failed)
            error.args = ("\n".join([str(error), *map(str, reversed(error.fates)), AGAIN]),)
        raise
    return StackResult(diff, tuple(fates.values()))


def _checked(declared: LayerStack, sample_id: int, tell: Any) -> int:
    """The arguments of `Client.ensure_stack`, before anything is sent."""
    if not isinstance(declared, LayerStack) or declared.rows:
        raise TypeError(f"declared: use LayerStack.declare or from_file, not {declared!r:.100}")
    LayerStack.declare(layers=[layer.row.to_dict() for layer in declared.layers])
    if not callable(tell) or inspect.iscoroutinefunction(tell):
        raise TypeError(f"on_progress: a plain function is needed, got {tell!r:.100}")
    sample_id = fitting(int, sample_id, "sample_id")[1]
    if others := {each.sample_id for each in declared.layers} - {None, sample_id}:
        raise ValueError(f"sample_id: {sample_id} was given, but {others.pop()} is declared")
    return sample_id
