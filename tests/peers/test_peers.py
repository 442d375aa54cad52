"""A part of what `make peers` measures, and the page that it writes."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from .. import pages
from ..faults.rows import ROWS
from ..faults.table import Fault
from ..server import Peer, Server
from . import guests, page
from .apart import APART, SHARED
from .guests import NAMES, DoesNotApplyError, PeerCaller, Worker
from .judge import fault_of

QUICK = (
    "refuses, and has done nothing",
    "closes once, then serves",
    "moves to another port (301)",
    "does not know the key (401)",
    "mixes up texts and numbers",
    "has null for every optional field",
    "bytes after gzip",
    "a refusal is pickled",
    "an empty key",
    "adds an answer",
    "sixteen calls at once",
    "a negative amount",
)
"""Rows that take no time."""
BY_NAME = {row.name: row for row in SHARED}
MADE = pages.made("peers", page.PAGE)
WRITTEN, _, _ = page.PAGE.read_text("utf-8").partition(MADE)


@pytest.fixture(scope="module", params=["requests", "httpx", "generated", "ours"])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """With the packages of this environment, which has no openai."""
    with Worker(request.param, sys.executable) as worker:
        yield worker


def shown(row: Fault) -> dict[str, str]:
    """The cells of a row on the page; of this client there are none."""
    told = re.findall(rf"^\| {re.escape(row.name)} \| (.*) \|$", MADE, re.MULTILINE)
    assert len(told) == 1, row
    return {**dict(zip(page.OTHERS, told[0].split(" | "), strict=True)), "ours": "kept"}


@pytest.mark.parametrize("name", QUICK)
def test_a_peer_does_what_the_page_says(name: str, worker: Worker) -> None:
    row = BY_NAME[name]
    found = {
        (worker.peer, str(row), operation): fault_of(row, operation, worker)
        for operation in row.operations
    }
    assert (page.cell(worker.peer, row, found) or "kept") == shown(row)[worker.peer]


def test_the_page_has_each_row_once() -> None:
    for row in SHARED:
        assert all(shown(row).values())
    assert MADE.endswith("\n".join(page.apart()) + "\n")


def test_what_does_not_apply_is_in_the_table() -> None:
    names = [name for names in APART.values() for name in names]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert {*names} < {row.name for row in ROWS}
    assert len(SHARED) == len(ROWS) - len(names)


def test_both_pages_have_the_same_totals() -> None:
    told = pages.made("peers").strip()
    assert told in MADE
    cases = sum(len(row.operations) for row in SHARED)
    sums = re.findall(r"\d+", told.splitlines()[-1])
    assert (sums[0], sums[-1]) == (str(cases), str(cases)), "this client keeps all"


def test_a_case_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (page, pages):
        copy = tmp_path / module.PAGE.name
        copy.write_text(module.PAGE.read_text("utf-8"), "utf-8")
        monkeypatch.setattr(module, "PAGE", copy)
    cases = [(str(row), operation) for row in SHARED for operation in row.operations]
    found = {(peer, *case): "" for peer in NAMES for case in cases}
    found["httpx", *cases[0]] = "is late"
    told = page.write(found, {name: {"a": "1"} for name in NAMES}).strip()
    count = len(cases)
    assert told.endswith(f"| {count} | {count} | {count - 1} | {count} | {count} | {count} |")
    text = page.PAGE.read_text("utf-8")
    assert text.startswith(WRITTEN)
    name = SHARED[0].name
    assert f"| {name} | kept | list: is late, add: kept | kept | kept |" in text
    assert f"- all but httpx by hand keep 1: {name}\n" in text
    assert told in pages.PAGE.read_text("utf-8")


def test_a_row_that_makes_no_call_is_no_row_for_peers(worker: Worker) -> None:
    with pytest.raises(DoesNotApplyError, match="makes no call"):
        fault_of(Fault(1, "nothing", "", lambda *_: None), "list", worker)


def test_a_peer_that_hangs_is_killed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.versions()  # it has begun
    for name in ("GRACE", "LONGEST"):
        monkeypatch.setattr(guests, name, 0.0)
    caller = PeerCaller(worker)
    with Server(Peer.hang) as server, pytest.raises(AssertionError, match=guests.LATE):
        caller(
            lambda client: worker.ask(client.number, client.told, "list", {}, limit=0.05),
            base_url=server.base_url,
        )
    monkeypatch.undo()
    assert worker.versions()
