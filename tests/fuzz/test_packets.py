"""Answers on real connections, in any packets and framings: what they come to is what was judged.

One server and one client serve all examples of a test, so that each begins where another ended.
"""

import asyncio
import gzip
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import attrs
import pytest
from httpcore._backends.anyio import AnyIOStream
from httpcore._backends.sync import SyncStream
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials import APITimeoutError, AsyncClient, AtomscaleError, Client

from ..faults.table import CALLS
from ..server import Peer, Server
from ..strategies import answers
from . import bounded
from .judge import KEY, Answer, judge, plain_of, schema_of

LONGEST_RUN = 600.0
WITHOUT_BODY = 204, 304


@attrs.frozen
class Sent:
    """An answer as it is sent, and read."""

    answer: Answer
    interim: bytes
    framing: str
    is_gzip: bool
    sizes: list[int]
    """Of packets and chunks, again and again."""

    @property
    def content(self) -> bytes:
        """Its body, as it is coded."""
        return gzip.compress(self.answer.body) if self.is_gzip else self.answer.body

    @property
    def wire(self) -> bytes:
        """Its bytes."""
        answer, body = self.answer, self.content
        lines = [f"HTTP/1.1 {answer.status} X", *map(": ".join, answer.headers.items())]
        if self.is_gzip:
            lines.append("content-encoding: gzip")
        if self.framing == "chunked":
            lines.append("transfer-encoding: chunked")
            body = b"".join(
                b"%x\r\n%b\r\n" % (len(each), each) for each in [*self._chunks(body), b""]
            )
        elif self.framing == "length":
            lines.append(f"content-length: {len(body)}")
        return self.interim + "\r\n".join([*lines, "", ""]).encode() + body

    def _chunks(self, body: bytes) -> Iterator[bytes]:
        sizes, begin = cycle(self.sizes), 0
        while begin < len(body):
            end = begin + next(sizes)
            yield body[begin:end]
            begin = end


def _whole(sent: Sent) -> Sent:
    if sent.answer.status in WITHOUT_BODY:
        answer = attrs.evolve(sent.answer, body=b"")
        return attrs.evolve(sent, answer=answer, framing="length", is_gzip=False)
    return sent


interims = st.sampled_from(
    [b""] * 4 + [b"HTTP/1.1 103 X\r\nlink: y\r\n\r\n", b"HTTP/1.1 100 X\r\n\r\n"]
)
framings = st.sampled_from(["length", "chunked", "until closed"])
sizes = st.lists(st.integers(1, 300), min_size=1, max_size=4) | st.just([1]) | st.just([65536])
sents = st.builds(Sent, answers, interims, framings, st.booleans(), sizes).map(_whole)


class Line:
    """A client and its server."""

    client: Any
    told: tuple[bytes, bool]
    """What the server sends next, and does it close the connection then?"""
    sizes: Iterator[int]
    """Of what the client reads at once."""

    def __init__(self, finish: Callable[[Any], Any]) -> None:
        self._finish = finish

    def script(self, peer: Peer) -> None:
        """The server's."""
        while peer.request():
            # At once: the client may go on before the last byte is off.
            wire, closes = self.told
            peer.send(wire)
            if closes:
                return

    def read_by(self, read: Any) -> Any:
        """What reads as `read` does, in pieces: the kernel would join all packets on loopback."""
        return lambda stream, max_bytes, *timeout: read(
            stream, min(max_bytes, next(self.sizes)), *timeout
        )

    def __call__(self, sent: Sent, wire: bytes, *, closes: bool) -> Any:
        """What the call comes to, as `judge` has it."""
        self.told, self.sizes = (wire, closes), cycle(sent.sizes)
        try:
            value = self._finish(CALLS[sent.answer.operation](self.client))
        except AtomscaleError as error:
            return type(error), str(error), vars(error)
        return plain_of([*value] if sent.answer.operation == "list" else value)


@pytest.fixture(params=["sync", "async"])
def line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    with asyncio.Runner() as runner:
        line = Line(runner.run if request.param == "async" else lambda value: value)
        for stream in (SyncStream, AnyIOStream):
            monkeypatch.setattr(stream, "read", line.read_by(stream.read))
        with Server(line.script, patience=LONGEST_RUN) as server:
            options: Any = {"base_url": f"{server.base_url}/prefix", "max_tries": 1}
            if request.param == "sync":
                with Client(KEY, **options) as line.client:
                    yield line
            else:
                line.client = AsyncClient(KEY, **options)
                yield line
                runner.run(line.client.aclose())


@given(sents, st.sampled_from([b""] * 3 + [b"x", b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n[]"]))
@bounded
def test_a_whole_answer_is_judged_as_it_is(line: Line, sent: Sent, trailing: bytes) -> None:
    closes = sent.framing == "until closed"
    # At once: what comes after the next request cannot be told from its answer.
    wire = sent.wire + (b"" if closes else trailing)
    assert line(sent, wire, closes=closes) == judge(sent.answer, line.client._settings)


def _has_end(sent: Sent) -> bool:
    return sent.framing != "until closed" or sent.is_gzip


@given(sents.filter(_has_end), st.integers(0))
@bounded
def test_an_answer_that_breaks_off_is_an_error(line: Line, sent: Sent, missing: int) -> None:
    # Of a body until the end of the connection gzip alone tells where it ends, once it has begun.
    most = len(sent.content) - 1 if sent.framing == "until closed" else len(sent.wire)
    wire = sent.wire[: -1 - missing % most]
    error, *_ = line(sent, wire, closes=True)
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
    outcome = line(sent, bytes(wire), closes=True)
    if isinstance(outcome, tuple):
        assert not issubclass(outcome[0], APITimeoutError)
    else:
        assert schema_of(sent.answer.operation, 200).is_valid(outcome)
