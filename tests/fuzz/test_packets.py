"""Answers on real connections, in any packets and framings: what they come to is what was judged.

One server and one client of each kind serve all examples, so that each begins where another ended.
"""

import asyncio
import gzip
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials import APITimeoutError, AsyncClient, AtomscaleError, Client

from ..server import Peer, Server
from ..strategies import answers
from . import bounded
from .judge import KEY, Answer, judge, plain_of, schema_of

CALLS: dict[str, Callable[[Any], Any]] = {
    "list": lambda client: client.list_target_materials(),
    "add": lambda client: client.add_layer(layer_id=1),
}
PATIENCE = 600.0
WITHOUT_BODY = 204, 304


@attrs.frozen
class Sent:
    """An answer as it is sent."""

    answer: Answer
    interim: bytes
    framing: str
    is_gzip: bool
    cuts: Sequence[int]
    """Where packets end."""

    @property
    def wire(self) -> bytes:
        """Its bytes."""
        answer, body = self.answer, self.answer.body
        lines = [f"HTTP/1.1 {answer.status} X", *map(": ".join, answer.headers.items())]
        if self.is_gzip:
            body = gzip.compress(body)
            lines.append("content-encoding: gzip")
        if self.framing == "chunked":
            lines.append("transfer-encoding: chunked")
            parts = [each for each in packets(body, self.cuts) if each]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])
        lines.append(f"content-length: {len(body)}" if self.framing == "length" else "x-a: b")
        return self.interim + "\r\n".join([*lines, "", ""]).encode() + body


def packets(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """`data` in pieces."""
    ends = sorted({each % (len(data) + 1) for each in cuts} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _whole(sent: Sent) -> Sent:
    if sent.answer.status in WITHOUT_BODY:
        answer = attrs.evolve(sent.answer, body=b"")
        return attrs.evolve(sent, answer=answer, framing="length", is_gzip=False)
    return sent


interims = st.sampled_from(
    [b""] * 4 + [b"HTTP/1.1 103 X\r\nlink: y\r\n\r\n", b"HTTP/1.1 100 X\r\n\r\n"]
)
cuts = st.lists(st.integers(0, 2000), max_size=9) | st.just(range(2000))
framings = st.sampled_from(["length", "chunked", "until closed"])
sents = st.builds(Sent, answers, interims, framings, st.booleans(), cuts).map(_whole)


class Servant:
    """Sends what it is told, on one connection after another."""

    told: tuple[list[bytes], bool]
    """The packets of the next answer, and is the connection closed then?"""

    def __call__(self, peer: Peer) -> None:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while peer.request():
            # At once: the client may go on before the last packet is off.
            packets, closes = self.told
            for packet in packets:
                peer.send(packet)
            if closes:
                return


@attrs.frozen
class Line:
    """A client and its server."""

    servant: Servant
    client: Any
    finish: Callable[[Any], Any]

    def __call__(self, operation: str, packets: list[bytes], *, closes: bool) -> Any:
        """What the call comes to, as `judge` has it."""
        self.servant.told = packets, closes
        try:
            value = self.finish(CALLS[operation](self.client))
        except AtomscaleError as error:
            return type(error), str(error), vars(error)
        return plain_of([*value] if operation == "list" else value)


@pytest.fixture(params=["sync", "async"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    servant = Servant()
    with Server(servant, patience=PATIENCE) as server, asyncio.Runner() as runner:
        options: Any = {"base_url": f"{server.base_url}/prefix", "timeout": 5, "max_tries": 1}
        if request.param == "sync":
            with Client(KEY, **options) as client:
                yield Line(servant, client, lambda value: value)
        else:
            later = AsyncClient(KEY, **options)
            yield Line(servant, later, runner.run)
            runner.run(later.aclose())


@given(sents, st.sampled_from([b""] * 3 + [b"x", b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n[]"]))
@bounded
def test_a_whole_answer_is_judged_as_it_is(line: Line, sent: Sent, trailing: bytes) -> None:
    closes = sent.framing == "until closed"
    *parts, last = packets(sent.wire, sent.cuts)
    # With the last bytes: what comes after the next request cannot be told from its answer.
    trailing = b"" if closes else trailing
    outcome = line(sent.answer.operation, [*parts, last + trailing], closes=closes)
    assert outcome == judge(sent.answer, line.client._settings)


@given(sents.filter(lambda sent: sent.framing != "until closed"), st.integers(1))
@bounded
def test_an_answer_that_breaks_off_is_an_error(line: Line, sent: Sent, missing: int) -> None:
    wire = sent.wire[: -(missing % len(sent.wire)) or -1]
    error, *_ = line(sent.answer.operation, packets(wire, sent.cuts), closes=True)
    assert issubclass(error, AtomscaleError)
    assert not issubclass(error, APITimeoutError)


@given(sents, st.integers(0), st.integers(0, 20), st.binary(max_size=20))
@bounded
def test_any_bytes_are_a_valid_value_or_an_error(
    line: Line, sent: Sent, at: int, gone: int, new: bytes
) -> None:
    wire = bytearray(sent.wire)
    at %= len(wire)
    wire[at : at + gone] = new
    operation = sent.answer.operation
    outcome = line(operation, packets(bytes(wire), sent.cuts), closes=True)
    if isinstance(outcome, tuple):
        assert not issubclass(outcome[0], APITimeoutError)
    else:
        assert schema_of(operation, 200).is_valid(outcome)
