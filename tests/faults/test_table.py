"""The fault table: every row holds, and fails as soon as the mechanism it names is disabled."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from ..conftest import Caller
from ..pages import made
from ..server import Server
from .mechanisms import MECHANISMS as SHARED
from .mechanisms import forget_readers
from .page import ALL, TITLES, section
from .rows import MECHANISMS, MODULES, ROWS
from .table import CALLS, GOOD, Fault, answered

each_row = pytest.mark.parametrize("row", ROWS, ids=str)
each_mechanism = pytest.mark.parametrize("name", MECHANISMS)


@pytest.fixture
def disabled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    yield lambda name: MECHANISMS[name].disable(monkeypatch)
    monkeypatch.undo()
    forget_readers()


@pytest.mark.parametrize(
    ("row", "operation"),
    [pytest.param(row, each, id=f"{row}-{each}") for row in ROWS for each in row.operations],
)
def test_the_promise_is_kept(row: Fault, operation: str, caller: Caller) -> None:
    row.check(caller, operation)


@each_row
def test_without_its_mechanism_it_is_broken(
    row: Fault, caller: Caller, disabled: Callable[[str], None]
) -> None:
    disabled(row.mechanism)
    try:
        row.check(caller, row.operations[-1])
    except pytest.skip.Exception:
        raise
    except BaseException:  # noqa: BLE001 - however it fails
        return
    pytest.fail(f"{row} holds without {row.mechanism!r}")


@each_mechanism
def test_an_ordinary_call_misses_no_mechanism(
    name: str, caller: Caller, disabled: Callable[[str], None]
) -> None:
    disabled(name)
    with Server(answered) as server:
        for operation, call in CALLS.items():
            assert caller(call, base_url=server.base_url) is not None, GOOD[operation]


def test_each_mechanism_has_a_row() -> None:
    assert {row.mechanism for row in ROWS} == MECHANISMS.keys()


def test_no_mechanism_has_two_entries() -> None:
    names = [name for module in MODULES for name in module.MECHANISMS]
    assert [name for name in names if name in SHARED or names.count(name) > 1] == []


def test_each_promise_has_a_row() -> None:
    assert {row.promise for row in ROWS} == TITLES.keys()


def test_no_row_is_a_copy_of_another() -> None:
    assert [name for name, count in Counter(map(str, ROWS)).items() if count > 1] == []
    assert len(ROWS) >= 150


def test_the_page_shows_the_table() -> None:
    """`make faults` writes it, from the outcome of the tests above."""
    assert made("faults").strip() == section(ALL).strip()
