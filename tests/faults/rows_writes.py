"""Rows on writes that can be run again: promise 15."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from atomscale_target_materials import (
    APIConnectionError,
    AtomscaleError,
    BadRequestError,
    ConflictError,
    LayerStack,
    _operations,
)
from atomscale_target_materials._operations import add_layer

from ..conftest import Caller
from ..server import Server
from ..service import (
    EMPTY,
    INAS,
    Reply,
    Service,
    adds,
    answers,
    loses_the_answer,
    loses_the_request,
    stores_another,
    stores_twice,
)
from .mechanisms import Mechanism, replacing
from .table import Fault

STACK = LayerStack.declare(layers=[{**INAS, "layer_id": number} for number in (1, 2, 3)])


def _without_looking(settings: Any, layer: LayerStack, _: int) -> Any:
    answer = yield from add_layer(settings, layer.layers[0].row.to_dict())
    return _operations.EnsureResult("added", answer, None)


def _unseen(_: Any, declared: LayerStack, __: int) -> Any:
    yield from ()
    return declared.diff(LayerStack.declare(layers=[]))


def _believing(settings: Any, layer: LayerStack, sample_id: int) -> Any:
    try:
        yield from _without_looking(settings, layer, sample_id)
    except AtomscaleError:
        return _operations.EnsureResult("added", None, None)


def _without_fates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_operations, "tuple", lambda _: (), raising=False)


MECHANISMS = {
    "looking after a lost answer": Mechanism(
        "_operations._post",
        "after a lost answer, or a 409, the list tells whether the layer is there",
        replacing(_operations, "_post", _without_looking),
    ),
    "looking before a write": Mechanism(
        "_operations._compare",
        "what is there already is not sent",
        replacing(_operations, "_compare", _unseen),
    ),
    "refusing what differs": Mechanism(
        "_operations._refuse",
        "another layer at the position is a ConflictError, never taken for the declared one",
        replacing(_operations, "_refuse", lambda *_, **__: None),
    ),
    "doubt stays": Mechanism(
        "_operations._post",
        "what the list does not show is never reported as added",
        replacing(_operations, "_post", _believing),
    ),
    "fates": Mechanism(
        "_operations.ensure_stack",
        "an error tells what became of each layer",
        _without_fates,
    ),
}


def ensured(client: Any) -> Any:
    return client.ensure_layer(**INAS)


def ensured_stack(client: Any) -> Any:
    return client.ensure_stack(STACK, sample_id=56)


def row(
    name: str,
    mechanism: str,
    call: Callable[[Any], Any],
    *replies: Reply,
    rows: tuple[dict[str, Any], ...] = (),
    error: type[AtomscaleError] | None = None,
    unknown: bool = False,
    fates: str = "",
    log: list[Any],
) -> Fault:
    """A row of the layer INAS or of STACK; `log` is what the service is asked for."""

    def check(caller: Caller, _: str) -> None:
        service = Service(*replies, rows=[EMPTY, *rows])
        expected: AbstractContextManager[Any] = pytest.raises(error) if error else nullcontext()
        with Server(service) as server, expected as caught:
            caller(call, base_url=server.base_url)
        if caught:
            failed = caught.value
            assert (type(failed), failed.outcome_unknown) == (error, unknown)
            assert [fate.status[:1] for fate in failed.fates] == [*fates]
        assert service.log == log

    return Fault(15, name, mechanism, check, operations=("add",))


LOOKED = ["list", 1, "list"]

ROWS = [
    row(
        "loses the answer of a write",
        "looking after a lost answer", ensured, loses_the_answer, log=LOOKED,
    ),
    row(
        "answers a write with 500, but carries it out",
        "looking after a lost answer", ensured, answers(500, loses_the_answer), log=LOOKED,
    ),
    row(
        "answers 409 to the layer that it has just added",
        "looking after a lost answer", ensured, answers(409, loses_the_answer), log=LOOKED,
    ),
    row(
        "loses a write on its way",
        "doubt stays", ensured, loses_the_request,
        error=APIConnectionError, unknown=True, log=LOOKED,
    ),
    row(
        "has the layer already",
        "looking before a write", ensured, adds, rows=(INAS | {"id": 7},), log=["list"],
    ),
    row(
        "has another layer at the position",
        "refusing what differs", ensured, adds, rows=(INAS | {"id": 7, "orientation": "110"},),
        error=ConflictError, log=["list"],
    ),
    row(
        "has two layers at the position",
        "refusing what differs", ensured, adds, rows=(INAS | {"id": 7}, INAS | {"id": 8}),
        error=ConflictError, log=["list"],
    ),
    row(
        "stores another layer and loses the answer",
        "refusing what differs", ensured, stores_another,
        error=ConflictError, unknown=True, log=LOOKED,
    ),
    row(
        "stores a layer twice and loses the answer",
        "refusing what differs", ensured, stores_twice,
        error=ConflictError, unknown=True, log=LOOKED,
    ),
    row(
        "has another layer than the topmost of a stack",
        "refusing what differs", ensured_stack, adds,
        rows=(INAS | {"id": 7, "layer_id": 3, "orientation": "110"},),
        error=ConflictError, fates="nnn", log=["list"],
    ),
    row(
        "loses the answer to the second layer of a stack",
        "looking after a lost answer", ensured_stack, adds, loses_the_answer, adds,
        log=["list", 1, 2, "list", 3],
    ),
    row(
        "loses the second layer of a stack on its way",
        "fates", ensured_stack, adds, loses_the_request,
        error=APIConnectionError, unknown=True, fates="afn", log=["list", 1, 2, "list"],
    ),
    row(
        "refuses the second layer of a stack",
        "fates", ensured_stack, adds, answers(400),
        error=BadRequestError, fates="afn", log=["list", 1, 2],
    ),
    row(
        "has the lower layers of a stack already",
        "looking before a write", ensured_stack, adds,
        rows=(INAS | {"id": 7}, INAS | {"id": 7, "layer_id": 2}), log=["list", 3],
    ),
]  # fmt: skip
