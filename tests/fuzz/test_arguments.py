"""Any arguments at all: a request that its schema accepts, or an error before anything is sent."""

import collections
import datetime
import enum
import json
import math
import uuid
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials import (
    UNSET,
    AtomscaleError,
    Client,
    LayerCreate,
    LayerStack,
)
from atomscale_target_materials.sandbox._contract import operations_of
from atomscale_target_materials_api.models import ElementDictCreate, Layer, TargetMaterial

from ..strategies import ints, numbers
from . import bounded
from .judge import KEY, OPERATIONS, SPEC

SCHEMA: Any = next(each.body for each in operations_of(SPEC) if each.body)


class Recorder(httpx.BaseTransport):
    """Answers as it should be, and keeps the bodies that came."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.read())
        answer: Any = [] if request.method == "GET" else {"id": 1, "layer_id": 1}
        return httpx.Response(200, json=answer)


class Text(str):
    __slots__ = ()


class Place(enum.IntEnum):
    FIRST = 1


class Amount(float):
    pass


class Indexed:
    def __index__(self) -> int:
        return 2**70


class Itself:
    def to_dict(self) -> Any:
        return self


class Deep(list[Any]):
    def __repr__(self) -> str:
        return "DEEP"


LOOP: list[Any] = []
LOOP.append(LOOP)
KNOT: dict[str, Any] = {}
KNOT["Ba"] = KNOT
DEEP: Any = Deep()
for _ in range(5000):
    DEEP = Deep([DEEP])
STRANGE: list[Any] = [
    UNSET, object(), int, len, 1j, range(3), {1, 2}, frozenset("a"), b"GaN", bytearray(b"1"),
    Decimal("0.5"), Decimal("NaN"), Fraction(1, 3), Fraction(10**400), datetime.date(2024, 1, 15),
    datetime.datetime(2024, 1, 15, tzinfo=datetime.UTC), uuid.UUID(int=1), Text("GaN"), Place.FIRST,
    Amount("nan"), Amount(0.5), Indexed(), Itself(), LOOP, KNOT, DEEP, (DEEP, {"a": DEEP}),
    np.int64(5), np.uint64(2**64 - 1), np.float32("inf"), np.float64(0.5), np.True_, np.str_("GaN"),
    np.array([1, 2]), np.array(1.5), np.datetime64("2024-01-15"), 10**400, -(10**4000), 2**63,
    MappingProxyType({"Ba": 1}), collections.ChainMap({"Ba": 1}, {"O": 2}), {1: 2}, {(1,): 2},
    collections.UserDict({"Ba": 1}), collections.UserString("GaN"), collections.Counter("BaO"),
    {None: 1}, {True: 1}, {"Ba": math.nan}, {"Ba": True}, {"\ud800": 1}, "\ud800", "\x00", KEY, "",
    LayerCreate(layer_id=1), LayerCreate(layer_id="1"), Layer(id=1, layer_id=1),  # type: ignore[arg-type]
    TargetMaterial(id=1, sample_id=1), ElementDictCreate.from_dict({"Ba": 1}), ElementDictCreate(),
]  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
anything = st.recursive(
    scalars | st.sampled_from(STRANGE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(["Ba", "O", "Xx"]), inner, max_size=3)
        | st.dictionaries(st.integers() | st.none() | st.tuples(st.integers()), inner, max_size=2)
        | st.tuples(inner, inner)
    ),
    max_leaves=6,
)
symbols = st.sampled_from(["Ba", "Ti", "O", "N"])
amounts = st.dictionaries(symbols, st.floats(0, 1e300) | st.integers(0, 10**300), max_size=3)
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(["composition_string", "orientation", "space_group", "mp_id"], st.text()),
    **dict.fromkeys(["layer_id", "sample_id", "id"], ints),
    "element_dict": amounts,
}


optional: Any = {name: each | st.none() for name, each in RIGHT.items() if name != "layer_id"}
wrong = st.dictionaries(st.sampled_from([*RIGHT, "layer_idx"]), anything, max_size=2)
odd_symbols, odd_amounts = st.sampled_from(["Xx", "ba", ""]), numbers | st.just(-1) | st.just(1e301)
nearly = st.dictionaries(symbols | odd_symbols, odd_amounts, min_size=1, max_size=2)
fields = st.builds(
    dict[str, Any].__or__,
    st.fixed_dictionaries({"layer_id": ints}, optional=optional),
    wrong | nearly.map(lambda amounts: {"element_dict": amounts}),
)
"""Arguments of `add_layer`: right, but for one or two at most."""


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def client(recorder: Recorder) -> Client:
    return Client(KEY, base_url="http://127.0.0.1/prefix", transport=recorder)


def bodies_of(recorder: Recorder, call: Callable[[], Any]) -> list[Any]:
    """What was sent, which its schema accepts; nothing when the call raises."""
    recorder.bodies.clear()
    try:
        call()
    except AtomscaleError:
        raise
    except (TypeError, ValueError):
        assert recorder.bodies == []
    bodies = [json.loads(body) for body in recorder.bodies if body]
    assert all(map(SCHEMA.is_valid, bodies)), bodies
    return bodies


def is_plain(value: Any) -> bool:
    """Is it what JSON has, and no more?"""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


@given(fields)
@bounded
def test_a_layer_is_sent_as_it_was_given_or_not_at_all(
    client: Client, recorder: Recorder, given: dict[str, Any]
) -> None:
    for body in bodies_of(recorder, lambda: client.add_layer(**given)):
        for name, value in given.items():
            assert not is_plain(value) or isinstance(value, dict) or body[name] == value


@given(fields)
@bounded
def test_a_layer_is_ensured_or_refused(
    client: Client, recorder: Recorder, given: dict[str, Any]
) -> None:
    bodies = bodies_of(recorder, lambda: client.ensure_layer(**given))
    assert len(bodies) == bool(recorder.bodies)


@given(st.lists(fields | anything, max_size=3) | anything, anything | st.text(), anything | ints)
@bounded
def test_a_stack_is_declared_and_ensured_or_refused(
    client: Client, recorder: Recorder, layers: Any, substrate: Any, sample_id: Any
) -> None:
    def ensure() -> None:
        declared = LayerStack.declare(layers=layers, substrate=substrate)
        client.ensure_stack(declared, sample_id=sample_id)

    bodies_of(recorder, ensure)


def test_a_row_in_place_of_layers_is_the_only_one() -> None:
    layer: Any = LayerCreate(layer_id=3)
    assert [each.row for each in LayerStack.declare(layers=layer).layers] == [layer]
    layer = TargetMaterial(id=1, sample_id=2)
    with pytest.raises(TypeError, match=r"^layers\[0\]: the field 'layer_id' is missing"):
        LayerStack.declare(layers=layer)


@given(st.sampled_from([each[0] for each in OPERATIONS.values()]) | anything, anything)
@bounded
def test_any_operation_is_called_or_refused(
    client: Client, recorder: Recorder, operation: Any, body: Any
) -> None:
    bodies_of(recorder, lambda: client.call(operation, body=body))
    bodies_of(recorder, lambda: client.call(operation))


@given(anything | st.floats(), anything | st.integers())
@bounded
def test_limits_are_taken_or_refused(client: Client, timeout: Any, max_tries: Any) -> None:
    with suppress(TypeError, ValueError):
        settings = client.with_options(timeout=timeout, max_tries=max_tries)._settings
        assert 0 < settings.timeout <= 1e6
        assert settings.max_tries > 0


urls = st.from_regex(r"https?://[a-z0-9.:@\[\]%/-]{0,20}[?#]?", fullmatch=True)


@given(anything | st.text(), anything | urls | st.text().map("http://127.0.0.1".__add__), anything)
@bounded
def test_a_client_is_made_or_refused(key: Any, base_url: Any, max_response_bytes: Any) -> None:
    with suppress(TypeError, ValueError):
        client = Client(key, base_url=base_url, max_response_bytes=max_response_bytes)
        assert httpx.URL(client._settings.base_url).host
        client.close()
