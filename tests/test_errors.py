import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from atomscale_target_materials import errors
from atomscale_target_materials.errors import (
    APIResponseValidationError,
    APIStatusError,
    AtomscaleError,
    class_for_status,
)

TREE_LINE = re.compile(
    r"^    ([ │├└─]*)(\w+Error)(?:\s+\(also a (\w+)\))?(?:\s+(\d{3}|5xx)$)?", re.MULTILINE
)
DRAWN = [
    (len(indent) // 4, name, extra, status)
    for indent, name, extra, status in TREE_LINE.findall(errors.__doc__ or "")
]
CLASSES: list[type[AtomscaleError]] = [getattr(errors, name) for _, name, _, _ in DRAWN]
STATUSES = {status: name for _, name, _, status in DRAWN if status}


def test_the_tree_is_as_the_docstring_draws_it() -> None:
    line: list[str] = []
    for depth, name, extra, _ in DRAWN:
        line[depth:] = [name]
        bases = [line[depth - 1] if depth else "Exception", *([extra] if extra else [])]
        assert [base.__name__ for base in getattr(errors, name).__bases__] == bases
    kinds = {
        name
        for name, it in vars(errors).items()
        if isinstance(it, type) and issubclass(it, AtomscaleError)
    }
    assert {name for _, name, _, _ in DRAWN} == kinds


def test_each_status_has_its_class() -> None:
    for status in [*range(100, 200), *range(300, 1000)]:
        name = STATUSES.get("5xx" if 500 <= status <= 599 else str(status), "APIStatusError")
        assert class_for_status(status).__name__ == name


def attributes_of(kind: type[AtomscaleError]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"outcome_unknown": True}
    if issubclass(kind, APIStatusError):
        attributes |= {"status_code": 418, "detail": "no coffee", "request_id": "r-1"}
    if issubclass(kind, APIResponseValidationError):
        attributes |= {"path": "$[3].id", "body": b'{"a": 1}'}
    return attributes


@pytest.mark.parametrize("kind", CLASSES)
def test_the_attributes_have_defaults(kind: type[AtomscaleError]) -> None:
    bare = kind("what")
    defaults = {name: getattr(bare, name) for name in attributes_of(kind)}
    assert defaults == {**dict.fromkeys(defaults), "outcome_unknown": False}
    assert bare.fates == ()
    assert (str(bare), bare.args, str(kind())) == ("what", ("what",), "")


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda error: pickle.loads(pickle.dumps(error, protocol))


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    "twin_of", [*map(pickled, range(pickle.HIGHEST_PROTOCOL + 1)), copy.copy, copy.deepcopy]
)
def test_pickles_and_copies_keep_all_but_the_body(
    kind: type[AtomscaleError], twin_of: Callable[[Any], Any]
) -> None:
    error = kind("what", **attributes_of(kind))
    error.add_note("in growth 12")
    twin = twin_of(error)
    expected = {**attributes_of(kind), "__notes__": ["in growth 12"]}
    if "body" in expected:
        expected["body"] = None
    assert type(twin) is kind
    assert (twin.args, str(twin), vars(twin)) == (("what",), "what", expected)
    assert vars(error) == {**attributes_of(kind), "__notes__": ["in growth 12"]}


def test_the_body_does_not_reach_the_pickle() -> None:
    error = APIResponseValidationError("what", body=b"NEEDLE")
    assert b"NEEDLE" not in pickle.dumps(error)
