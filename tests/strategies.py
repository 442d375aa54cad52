"""Strategies of hypothesis: JSON, rows, and whole answers, right and damaged."""

import datetime
import json
from collections import ChainMap
from typing import Any

import attrs
from hypothesis import strategies as st

from atomscale_target_materials_api.models import Layer, TargetMaterial

from .fuzz.damage import damaged
from .fuzz.judge import KEY, Answer

NAMES = {each.name for each in attrs.fields(TargetMaterial)} - {"additional_properties"}
SPECIAL = {"id", "sample_id", "layer_id", "element_dict", "sample_metadata", "last_updated"}
OF_LAYER = {each.name for each in attrs.fields(Layer)} - {"additional_properties"}

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
unknown = st.dictionaries(st.text().filter(lambda name: name not in NAMES), json_values, max_size=3)
ints = st.integers(-(2**63), 2**63 - 1)
minutes = st.integers(-24 * 60 + 1, 24 * 60 - 1).map(lambda each: datetime.timedelta(minutes=each))
zones = st.none() | minutes.map(datetime.timezone)
optional: dict[Any, Any] = {
    **dict.fromkeys(NAMES - SPECIAL, st.none() | st.text()),
    "layer_id": st.none() | ints,
    "element_dict": st.none() | st.dictionaries(st.text(), numbers, max_size=3),
    "sample_metadata": st.none() | st.dictionaries(st.text(), json_values, max_size=3),
    "last_updated": st.none() | st.datetimes(timezones=zones).map(datetime.datetime.isoformat),
}
of_layer: Any = {name: each for name, each in optional.items() if name in OF_LAYER - {"layer_id"}}


def objects(required: list[str], optional: dict[Any, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with these fields; and with unknown ones."""
    known = st.fixed_dictionaries(dict.fromkeys(required, ints), optional=optional)
    return st.builds(lambda *parts: dict(ChainMap(*parts)), known, unknown)


rows = objects(["id", "sample_id"], optional)
layers = objects(["id", "layer_id"], of_layer)
RIGHT: dict[str, st.SearchStrategy[Any]] = {"list": st.lists(rows, max_size=3), "add": layers}
"""What each operation is answered."""


def written(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """JSON in bytes; with half of a surrogate pair where its text has one."""
    texts = st.builds(json.dumps, values, ensure_ascii=st.booleans())
    return texts.map(lambda text: text.encode(errors="surrogatepass"))


visible = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" ")
values = st.text(visible, max_size=30) | st.sampled_from([KEY, "7", "https://other.example/"])
names = st.sampled_from(["x-request-id", "location", "retry-after", "set-cookie", "date", "x-y"])
headers = st.dictionaries(names, values, max_size=2)
as_json = st.sampled_from(["application/json", "Application/JSON; charset=utf-8", "text/html"])


def typed(kinds: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """Headers with a content type."""
    return st.builds(lambda kind, others: {**others, "content-type": kind}, kinds, headers)


def successes(operation: str, *statuses: int) -> st.SearchStrategy[Answer]:
    """Answers that are right, or wrong in one place."""
    right = RIGHT[operation]
    bodies = written(right | st.builds(damaged, right, st.randoms(use_true_random=False)))
    of_json = typed(st.just("application/json")) | headers
    return st.builds(Answer, st.just(operation), st.sampled_from(statuses), of_json, bodies)


details = st.fixed_dictionaries({"detail": json_values | st.just(KEY)})
documented = st.sampled_from([400, 401, 403, 404, 409, 422, 429, 500, 503])
whatever = st.builds(
    Answer,
    st.sampled_from(["list", "add"]),
    st.just(200) | documented | st.integers(200, 999),
    typed(as_json | values) | headers,
    written(json_values | details) | st.binary(),
)
answers = successes("list", 200) | successes("add", 200, 201) | whatever
