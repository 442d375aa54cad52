"""What each operation does, as generators that do no I/O: all decisions live here.

A flow yields each request that it wants sent, gets the outcome back, and returns or raises.
"""

import inspect
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Any, get_type_hints

import msgspec

import atomscale_target_materials_api.api.target_materials.add_target_material_layer as _add
import atomscale_target_materials_api.api.target_materials.list_target_materials as _list
from atomscale_target_materials_api import models
from atomscale_target_materials_api.models import Layer
from atomscale_target_materials_api.types import UNSET

from . import _retry
from ._codec import decode, failure_of
from ._settings import Settings
from ._steps import Flow, Request, Send
from ._wire import fitting
from .stacks import TargetMaterials, layer_create

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
        again = _retry.pause(request, outcome, tries) if tries < settings.max_tries else None
        if again is None:
            if tries > 1:
                error.args = (f"{error} It was tried {tries} times.",)
            raise error
        reason = f"{request} answered {outcome.status}." if hasattr(error, "status_code") else error
        _log.warning("%s Try %d of %d in %.2f s.", reason, tries + 1, settings.max_tries, again)
        left, pause, end = outcome.left, again, outcome.end


def list_target_materials(settings: Settings) -> Flow[TargetMaterials]:
    """All entries of the list (API reference, A1)."""
    rows = yield from call(settings, _list, {})
    return TargetMaterials(rows)


def add_layer(settings: Settings, fields: Mapping[str, Any]) -> Flow[Layer]:
    """Adds one layer (API reference, A2); `fields` are the locals of the client's method."""
    return call(settings, _add, {"body": layer_create({**fields, "self": UNSET})})


def request_of(operation: ModuleType, parameters: Mapping[str, Any]) -> Request:
    """The request of a generated operation; TypeError or ValueError names what does not fit."""
    build = getattr(operation, "_get_kwargs", None)
    if build is None:
        raise TypeError(f"operation: use a module of the generated `api`, not {operation!r:.50}")
    signature, parts_of_path, hints = _form_of(build)
    signature.bind(**parameters)
    arguments = dict(parameters)
    for name, value in parameters.items():
        if name != "body" and value is not UNSET:
            _, arguments[name] = fitting(hints[name], value, name)
        # These three would lead to another resource.
        if name in parts_of_path and value in ("", ".", ".."):
            raise ValueError(f"{name}: {value!r} cannot be a part of the path")
    options = _built(build, arguments, hints.get("body"))
    if "json" in options:
        body, _ = fitting(hints["body"], options.pop("json"), "body")
        options["content"] = msgspec.json.encode(body)
    return Request(options.pop("method").upper(), options.pop("url"), options)


@cache
def _form_of(build: Callable[..., Any]) -> tuple[inspect.Signature, list[str], dict[str, Any]]:
    parts_of_path = inspect.getfullargspec(build).args  # The others are keywords alone.
    return inspect.signature(build), parts_of_path, get_type_hints(build, localns=vars(models))


def _built(build: Callable[..., Any], arguments: dict[str, Any], body: Any) -> dict[str, Any]:
    with suppress(AttributeError):
        return build(**arguments)  # type: ignore[no-any-return]
    wanted = re.sub(r"<class '|'>|[\w.]+\.", "", str(body))
    raise TypeError(f"body: Expected `{wanted}`, got `{type(arguments['body']).__name__}`")
