"""What is done to a JSON value that was right, by hypothesis and by atheris alike."""

import json
import math
from collections.abc import Iterator
from random import Random
from typing import Any

from .judge import KEY

MOMENT = "2024-01-15T11:00:00+00:00"
ODD: list[Any] = [
    None, True, 0, -1, 1.0, 1e300, 2**63, -(2**63), 10**400, math.nan, "", "\ud800", KEY, [], {},
    MOMENT, MOMENT.replace("T", " ")[:16], "2016-12-31T23:59:60Z", "2024-W03-1T11", "-01:30:15",
    {"detail": [{"loc": ["body", 0], "msg": KEY, "type": "x"}]},
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each member of a JSON value, at any level, as its container and its place there."""
    if isinstance(value, list | dict):
        for place in value if isinstance(value, dict) else range(len(value)):
            yield value, place
            yield from places(value[place])


def damaged(value: Any, chance: Random) -> Any:
    """A JSON value with one member changed, gone, moved, or new."""
    whole = [value]
    spots = list(places(whole))
    (container, place), (other, there) = chance.choice(spots), chance.choice(spots)
    moved = other[there]
    new = chance.choice([*ODD, moved, [moved], {str(there): moved}, spliced(moved, chance)])
    # A copy, so that nothing holds itself.
    new = json.loads(json.dumps(new))
    action = chance.choice(["change", "change", "remove", "add"])
    if action == "remove" and container is not whole:
        del container[place]
    elif action == "add" and isinstance(container, dict):
        container[chance.choice([str(there), f"{place}_", KEY])] = new
    elif action == "add" and container is not whole:
        container.insert(place, new)
    else:
        container[place] = new
    return whole[0]


def spliced(value: Any, chance: Random) -> Any:
    """A text with a part of it gone, or with a part of another in its place."""
    if not isinstance(value, str):
        return value
    begin, end = sorted(chance.randint(0, len(value)) for _ in range(2))
    source = chance.choice([each for each in ODD if isinstance(each, str)] + [value])
    at = chance.randint(0, len(source))
    return value[:begin] + source[at : at + chance.randint(0, 9)] + value[end:]
