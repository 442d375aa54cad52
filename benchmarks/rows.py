"""Answers of the list operation, as bytes: the same on every machine."""

import json
import random
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Shape = Callable[[Row, int, int], Row]
"""An ordinary row, its number, how many there are -> what is added to it, or changed."""


def _row(number: int, draw: random.Random) -> Row:
    stack, layer = divmod(number, 4)
    return {
        "id": 1000 + stack,
        "sample_id": 42 + stack,
        "sample_name": f"STO_{stack:05d}",
        "substrate": "SrTiO3",
        "layer_id": layer + 1,
        "composition_string": draw.choice(["BaTiO3", "SrRuO3", "La0.7Sr0.3MnO3"]),
        "element_dict": {"La": 0.7, "Sr": 0.3, "Mn": 1, "O": 3}
        if number % 2
        else {"Ba": 1, "Ti": 1, "O": 3},
        "orientation": "001",
        "space_group": "P4mm",
        "mp_id": "mp-5020",
        "detail_notes_id": None,
        "detail_note_content": f"grown at {600 + number % 100} C",
        "sample_metadata": {"operator": "kd", "pressure": 1e-6 * (number % 9 + 1), "run": number},
        "user_id": "u-17",
        "user_name": "K. D.",
        "version": "0.269.1",
        "last_updated": f"2024-01-15T11:{number % 60:02d}:00.123456+00:00",
    }


def _three(_: Row, number: int, __: int) -> Row:
    return {"project_id": number, "growth_rate": 0.25 * number, "origin": "import"}


def _late(row: Row, number: int, count: int) -> Row:
    return _three(row, number, count) if number >= 0.8 * count else {}


def _nested(_: Row, number: int, __: int) -> Row:
    steps = [{"name": f"step {step}", "at": {"kelvin": 900 + step}} for step in range(4)]
    return {"sample_metadata": {"recipe": {"run": number, "steps": steps}}}


def _big(_: Row, number: int, __: int) -> Row:
    return {"sample_metadata": {f"sensor_{key}": 0.5 * key + number for key in range(300)}}


def _huge_integers(_: Row, __: int, ___: int) -> Row:
    return {"element_dict": {"Ba": 10**25, "O": 3 * 10**25}}


MAIN = "three unknown fields, the same in each row"
SHAPES: dict[str, Shape] = {
    MAIN: _three,
    "no unknown fields": lambda *_: {},
    "unknown fields that vary by row": lambda _, number, __: {
        f"field_{(3 * number + each) % 60}": each for each in range(3)
    },
    "unknown fields in the last fifth alone": _late,
    "100 unknown fields in each row": lambda *_: {f"field_{each}": each for each in range(100)},
    "nested metadata": _nested,
    "300 values of metadata": _big,
    "last_updated without seconds": lambda *_: {"last_updated": "2024-01-15T11:00"},
    "last_updated with a space": lambda *_: {"last_updated": "2024-01-15 11:00:00+00:00"},
    "amounts of 10**25": _huge_integers,
}


def body(count: int, shape: str = MAIN) -> bytes:
    """An answer of so many rows."""
    draw = random.Random(1)  # noqa: S311 - rows, not secrets
    rows = [_row(number, draw) for number in range(count)]
    rows = [{**row, **SHAPES[shape](row, number, count)} for number, row in enumerate(rows)]
    return json.dumps(rows).encode()
