"""A row of the fault table: a fault, its promise, and the mechanism that saves it."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from atomscale_target_materials import APITimeoutError, AtomscaleError

from ..conftest import KEY, Caller
from ..server import Peer, Script, Server, answer

Check = Callable[[Caller, str], None]
"""Lets the fault happen to a client (sync or async) in an operation; fails if a promise breaks."""
BOTH = ("list", "add")


@attrs.frozen
class Fault:
    """One row."""

    promise: int
    name: str
    mechanism: str
    check: Check
    operations: tuple[str, ...] = BOTH

    def __str__(self) -> str:
        return f"{self.promise} {self.name}"


ROW = {"id": 1, "sample_id": 2}
GOOD: dict[str, Any] = {"list": [ROW], "add": {"id": 5, "layer_id": 1}}


def listed(client: Any) -> Any:
    return client.list_target_materials()


def added(client: Any) -> Any:
    return client.add_layer(layer_id=1, sample_id=2, composition_string="GaN")


ALL = b"all of it"
"""Stands among a server's requests when a client should have stopped much earlier."""
CALLS: dict[str, Callable[[Any], Any]] = {"list": listed, "add": added}


def good(peer: Peer) -> bytes:
    """A right answer to the request that this peer has just read."""
    is_list = peer.server.requests[-1].startswith(b"GET")
    return answer(200, GOOD["list" if is_list else "add"])


def once(act: Callable[[Peer], Any]) -> Script:
    """Reads one request, then misbehaves."""

    def script(peer: Peer) -> None:
        if peer.request():
            act(peer)

    return script


@attrs.frozen(kw_only=True)
class Expected:
    """What the client makes of a fault; (for list, for add) where they differ."""

    error: type[Exception] | None = None
    """Its exact type; None: the call succeeds."""
    says: str = ""
    """A pattern that its message has."""
    requests: int | tuple[int, int] = 1
    """How many whole requests the server has read."""
    unknown: bool = False
    """The error's `outcome_unknown` for add; for list it is never."""
    within: float = 3.0
    """Seconds."""
    pauses: Callable[[list[float]], bool] = lambda _: True
    """Are the pauses between tries right?"""
    has: Mapping[str, Any] = attrs.field(factory=dict)
    """Attributes of the error."""
    value: Callable[[Any], bool] = lambda _: True
    """Is what the call returned right?"""

    def requests_of(self, operation: str) -> int:
        """How many whole requests the server has read in this operation."""
        wanted = self.requests
        return wanted[BOTH.index(operation)] if isinstance(wanted, tuple) else wanted


class Guest(Caller):
    """Makes the call with another client, which need not keep a promise as we do: `tests/peers/`.

    Its calls raise `GuestError`, and see to their time themselves.
    """

    def grown(self, operation: str, base_url: str) -> dict[str, Any]:
        """What `memory.py` tells of a call of ours."""
        raise NotImplementedError


@attrs.define
class GuestError(Exception):
    """What another client has raised."""

    told: str
    name: str
    status: int | None
    is_unfit: str
    """Why its text should not be shown to anybody; "" if it may be."""
    is_picklable: bool


def expect(caller: Caller, call: Callable[[], Any], operation: str, expected: Expected) -> None:
    """Makes the call and compares; elsewhere than with `wire`, too."""
    if isinstance(caller, Guest):
        _expect_of_a_guest(call, expected)
        return
    began = time.monotonic()
    if expected.error is None:
        assert expected.value(call())
    else:
        with pytest.raises(expected.error) as caught:
            call()
        error = caught.value
        assert type(error) is expected.error, repr(error)
        assert re.search(expected.says, str(error)), str(error)
        assert {name: getattr(error, name) for name in expected.has} == expected.has
        assert KEY not in f"{error!r} {vars(error)}"
        assert (error.__cause__, error.__context__) == (None, None)
        if isinstance(error, AtomscaleError):
            assert error.outcome_unknown is (expected.unknown and operation == "add")
    assert time.monotonic() - began < expected.within


def _expect_of_a_guest(call: Callable[[], Any], expected: Expected) -> None:
    """Any error of its own will do; what refuses a request is told with its status.

    Its caller sees to its time: so what succeeds has kept its deadline.
    """
    try:
        outcome = call()
    except GuestError as error:
        outcome = error
    if isinstance(outcome, GuestError):
        assert expected.error, f"raises {outcome.name}"
        assert not outcome.is_unfit, outcome.is_unfit
        status = expected.has.get("status_code", 0)
        assert status < 400 or outcome.status == status, f"{outcome.name} hides the status"
    else:
        assert expected.error in (None, APITimeoutError), "no error"
        assert expected.value(outcome), "another value"


def counted(caller: Caller, what: str, found: int, wanted: int) -> None:
    """A guest may do with less."""
    is_right = found <= wanted if isinstance(caller, Guest) else found == wanted
    assert is_right, f"{found} {what}"


def paused(caller: Caller, right: Callable[[list[float]], bool]) -> None:
    """A guest's pauses are its own affair."""
    assert isinstance(caller, Guest) or right(caller.pauses), caller.pauses


def wire(
    promise: int,
    name: str,
    mechanism: str,
    script: Script,
    expected: Expected,
    *,
    operations: tuple[str, ...] = BOTH,
    **options: Any,
) -> Fault:
    """A row whose fault is what a scripted server does; `options` are the client's."""

    def check(caller: Caller, operation: str) -> None:
        with Server(script) as server:
            expect(
                caller,
                lambda: caller(CALLS[operation], base_url=server.base_url, **options),
                operation,
                expected,
            )
        assert ALL not in server.requests, "takes all that comes"
        wanted = expected.requests_of(operation)
        if isinstance(caller, Guest) and operation == "list":
            wanted = max(wanted, options.get("max_tries", 4))
        counted(caller, "tries", len(server.requests), wanted)
        paused(caller, expected.pauses)

    return Fault(promise, name, mechanism, check, operations)


def answered(peer: Peer) -> None:
    """Answers request after request as it should be."""
    while peer.request():
        peer.send(good(peer))
