"""The calls of a soak: what is drawn, how it is asked, and what may come of it."""

import random
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Literal

import attrs

import atomscale_target_materials_api.api.target_materials.add_target_material_layer as add
import atomscale_target_materials_api.api.target_materials.list_target_materials as list_all
from atomscale_target_materials import (
    APIConnectionError,
    APITimeoutError,
    AtomscaleError,
    AuthenticationError,
    ConflictError,
    EnsureResult,
    InternalServerError,
    LayerCreate,
    LayerStack,
    NotFoundError,
    RateLimitError,
    UnprocessableEntityError,
)

Worker = Literal["thread", "task", "second loop", "forked thread", "forked task"]
Kind = Literal[
    "list", "call list", "add", "call add", "add, short of time", "ensure layer", "ensure again",
    "ensure stack", "bad key", "bad body", "unknown sample", "taken position",
]  # fmt: skip
KINDS: dict[Kind, int] = {
    "list": 12, "call list": 6, "add": 20, "call add": 10, "add, short of time": 8,
    "ensure layer": 14, "ensure again": 6, "ensure stack": 10, "bad key": 3, "bad body": 3,
    "unknown sample": 3, "taken position": 3,
}  # fmt: skip
"""Each with how often it is drawn."""
WORKERS: dict[Worker, int] = {
    "thread": 35, "task": 30, "second loop": 15, "forked thread": 10, "forked task": 10,
}  # fmt: skip

REFUSALS: dict[Kind, type[AtomscaleError]] = {
    "bad key": AuthenticationError,
    "bad body": UnprocessableEntityError,
    "unknown sample": NotFoundError,
    "taken position": ConflictError,
}
PASSING = (APIConnectionError, RateLimitError, InternalServerError)
TIMEOUT = 20.0

Claim = Literal["done", "not done", "unknown"]
Finding = tuple[str, str]
"""What kind of thing is wrong, and what it is."""
Layer = Mapping[str, Any]

SEEDED = {"sample_id": 42, "layer_id": 1, "composition_string": "BaTiO3", "orientation": "001"}
BAD_BODY = SimpleNamespace(
    _get_kwargs=lambda: {
        "method": "post",
        "url": add._get_kwargs(body=LayerCreate(layer_id=1))["url"],
        "content": b'{"layer_id": "one"}',
        "headers": {"Content-Type": "application/json"},
    }
)


@attrs.frozen
class Call:
    """One call. The same seed and number give the same one."""

    number: int
    kind: Kind
    worker: Worker
    layers: tuple[Layer, ...]
    """Those that it may write, each with a mark that no other has: its `mp_id`."""
    timeout: float
    cancelled: int
    """How often it is cancelled."""
    moment: float
    """When: a random number in [0, 1)."""

    @property
    def limit(self) -> float:
        """Seconds after which it has to be over."""
        requests = {"ensure layer": 3, "ensure again": 3, "ensure stack": 1 + 2 * len(self.layers)}
        return self.timeout * requests.get(self.kind, 1)


def drawn(seed: str, number: int) -> Call:
    chance = random.Random(f"{seed} {number}")
    kind = chance.choices([*KINDS], [*KINDS.values()])[0]
    worker = chance.choices([*WORKERS], [*WORKERS.values()])[0]
    count = {"list": 0, "call list": 0, "ensure again": 0, "bad body": 0, "ensure stack": 3}
    layers = tuple(_layer(kind, number, index) for index in range(count.get(kind, 1)))
    timeout = chance.uniform(0.02, 0.4) if kind == "add, short of time" else TIMEOUT
    cancelled = 0 if worker.endswith("thread") else chance.choice([0, 0, 0, 1, 2])
    return Call(number, kind, worker, layers, timeout, cancelled, chance.random())


def _layer(kind: Kind, number: int, index: int) -> Layer:
    layer = {"layer_id": 1000 + 10 * number + index, "composition_string": "SrTiO3"}
    if kind == "unknown sample":
        layer["sample_id"] = 1
    elif kind == "taken position":
        layer |= {"layer_id": SEEDED["layer_id"], "sample_id": SEEDED["sample_id"]}
    elif kind.startswith("ensure") or (kind == "add" and number % 3 == 0):
        layer["sample_id"] = 42 + number % 3
    # The others are linked to no sample. A second one would be stored, and lists stay short.
    return {**layer, "mp_id": f"mp-{number}-{index}"}


@attrs.frozen
class Clients:
    """One that all share, and one that has a wrong key."""

    good: Any
    bad: Any


def asked(call: Call, clients: Clients, present: Layer) -> Any:
    """What the client returns: of an async one to be awaited."""
    client, layer = clients.good, call.layers[0] if call.layers else present
    brief = client.with_options(timeout=call.timeout, max_tries=2)
    asks: dict[Kind, Callable[[], Any]] = {
        "list": client.list_target_materials,
        "call list": lambda: client.call(list_all),
        "call add": lambda: client.call(add, body=LayerCreate(**layer)),
        "add, short of time": lambda: brief.add_layer(**layer),
        "ensure layer": lambda: client.ensure_layer(**layer),
        "ensure again": lambda: client.ensure_layer(**layer),
        "ensure stack": lambda: client.ensure_stack(stack_of(call), sample_id=layer["sample_id"]),
        "bad key": lambda: clients.bad.add_layer(**layer),
        "bad body": lambda: client.call(BAD_BODY),
    }
    return asks.get(call.kind, lambda: client.add_layer(**layer))()


def stack_of(call: Call) -> LayerStack:
    return LayerStack.declare(layers=[{**each, "sample_id": None} for each in call.layers])


def judged(call: Call, value: Any, present: Layer, done: set[str]) -> Iterator[Finding]:
    """What is wrong with a value that a call returned; `done`: marks that a list has to show."""
    told = f"{call} was answered {value}"
    if call.kind in ("list", "call list"):
        missing = done - {row.mp_id for row in value}
        if missing:
            yield "crossed", f"a list does not show {sorted(missing)}, which were done"
    elif call.kind == "ensure again":
        if value.status != "present" or not _shows(value.row, present):
            yield "lost", f"{present} was done, and then {told}"
    elif call.kind == "ensure stack":
        if [each.status for each in value.fates] != ["added"] * len(call.layers):
            yield "crossed", told
    else:
        ensured = isinstance(value, EnsureResult)
        shown = [each for each in (value.layer, value.row) if each] if ensured else [value]
        if call.kind in REFUSALS or not all(_shows(each, call.layers[0]) for each in shown):
            yield "crossed", told


def _shows(told: Any, layer: Layer) -> bool:
    return all(getattr(told, name) == value for name, value in layer.items())


def may_raise(call: Call, error: AtomscaleError) -> bool:
    """Is it one that faults, or the call itself, give reason for?"""
    if isinstance(error, APITimeoutError):
        return call.kind == "add, short of time"
    return isinstance(error, (*PASSING, REFUSALS.get(call.kind, RateLimitError)))


FATES: dict[str, Claim] = {"added": "done", "present": "done", "not tried": "not done"}


def claimed(call: Call, error: AtomscaleError | None) -> dict[str, Claim]:
    """What a result, or an error, says of each layer."""
    marks = [layer["mp_id"] for layer in call.layers]
    if error is None:
        return dict.fromkeys(marks, "done")
    claim: Claim = "unknown" if error.outcome_unknown else "not done"
    fates = {fate.layer.mp_id: FATES.get(fate.status, claim) for fate in error.fates}
    return {**dict.fromkeys(marks, claim), **fates}
