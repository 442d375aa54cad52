"""The ways to the same end: ours, and what one would take instead."""

import datetime
import http.client
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec
import pydantic
import requests

from atomscale_target_materials import AsyncClient, Client
from atomscale_target_materials._codec import read
from atomscale_target_materials_api import AuthenticatedClient
from atomscale_target_materials_api.api.target_materials import (
    add_target_material_layer,
    list_target_materials,
)
from atomscale_target_materials_api.models import LayerCreate, TargetMaterial

from . import server
from .sampling import OURS

LIST, ADD = "/target-materials/", "/target-materials/layers/"
KEY = {"X-API-KEY": "key"}
LAYER: dict[str, Any] = {
    "layer_id": 2, "sample_id": 42, "composition_string": "SrTiO3",
    "element_dict": {"Sr": 1, "Ti": 1, "O": 3}, "orientation": "001",
}  # fmt: skip


def ours(body: bytes) -> list[TargetMaterial]:
    """What `client.list_target_materials()` does with the bytes of an answer."""
    rows: list[TargetMaterial] = read(list[TargetMaterial], body)
    return rows


def generated(body: bytes) -> list[TargetMaterial]:
    """What the generated functions do with them."""
    return [TargetMaterial.from_dict(row) for row in json.loads(body)]


TEXTS = """
sample_name substrate composition_string orientation space_group mp_id detail_notes_id
detail_note_content user_id user_name version
"""
DOCUMENTED: dict[str, Any] = {
    "id": (int, ...),
    "sample_id": (int, ...),
    "layer_id": (int | None, None),
    "element_dict": (dict[str, int | float] | None, None),
    "sample_metadata": (dict[str, Any] | None, None),
    **dict.fromkeys(TEXTS.split(), (str | None, None)),
}
"""Of a row, but `last_updated`: name -> type, and default if there is one."""
Known = msgspec.defstruct(
    "Known",
    [(name, kind, *([] if default is ... else [default]))
     for name, (kind, default) in DOCUMENTED.items()] + [("last_updated", str | None, None)],
    gc=False,
)  # fmt: skip
"""Drops the other fields."""
KEEPS = pydantic.ConfigDict(extra="allow")
Material = pydantic.create_model(
    "Material", __config__=KEEPS, last_updated=(datetime.datetime | None, None), **DOCUMENTED
)
Layer = pydantic.create_model(
    "Layer", __config__=KEEPS, **{name: DOCUMENTED[name] for name in server.ADDED}
)


Decode = Callable[[bytes], list[Any]]
DECODERS: dict[str, Decode] = {
    "json.loads": json.loads,
    "msgspec Struct": msgspec.json.Decoder(list[Known]).decode,  # type: ignore[valid-type]
    "pydantic": pydantic.TypeAdapter(list[Material]).validate_json,  # type: ignore[valid-type]
    "generated": generated,
    OURS: ours,
}


class Calls(NamedTuple):
    """The two operations, by one way."""

    list: Callable[[], object]
    add: Callable[[], object]


def sync_calls(url: str, stack: ExitStack) -> dict[str, Calls]:
    """Each way with a client of its own, which the stack closes."""
    bare = stack.enter_context(httpx.Client(base_url=url, headers=KEY))
    other = stack.enter_context(httpx.Client(base_url=url, headers=KEY))
    session = stack.enter_context(requests.Session())
    session.headers.update(KEY)
    made = stack.enter_context(_generated_client(url))
    client = stack.enter_context(Client("key", base_url=url))
    return {
        "http.client": _http_client(url, stack),
        "httpx": httpx_calls(bare),
        "requests": Calls(
            lambda: session.get(url + LIST).json(),
            lambda: session.post(url + ADD, json=LAYER).json(),
        ),
        "httpx + pydantic": Calls(
            lambda: DECODERS["pydantic"](other.get(LIST).content),
            lambda: Layer.model_validate_json(other.post(ADD, json=LAYER).content),
        ),
        "generated": Calls(
            lambda: list_target_materials.sync_detailed(client=made),
            lambda: add_target_material_layer.sync_detailed(
                client=made, body=LayerCreate.from_dict(LAYER)
            ),
        ),
        OURS: our_calls(client),
    }


def httpx_calls(client: httpx.Client) -> Calls:
    """Bare httpx: the baseline of calls."""
    return Calls(
        lambda: client.get(LIST).json(),
        lambda: client.post(ADD, json=LAYER).json(),
    )


def our_calls(client: Client) -> Calls:
    """This client."""
    return Calls(client.list_target_materials, lambda: client.add_layer(**LAYER))


def _generated_client(url: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=url, token="key", prefix="", auth_header_name="X-API-KEY")  # noqa: S106


def _http_client(url: str, stack: ExitStack) -> Calls:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    stack.callback(connection.close)

    def get() -> object:
        connection.request("GET", LIST, headers=KEY)
        return json.loads(connection.getresponse().read())

    def post() -> object:
        headers = {**KEY, "Content-Type": "application/json"}
        connection.request("POST", ADD, json.dumps(LAYER), headers)
        return json.loads(connection.getresponse().read())

    return Calls(get, post)


AsyncList = Callable[[], Awaitable[object]]


async def async_lists(url: str, stack: AsyncExitStack) -> dict[str, AsyncList]:
    """`list` by each async way, with a client of its own, which the stack closes."""
    bare = await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=KEY))
    made = await stack.enter_async_context(_generated_client(url))
    client = await stack.enter_async_context(AsyncClient("key", base_url=url))

    async def by_httpx() -> object:
        return (await bare.get(LIST)).json()

    return {
        "httpx": by_httpx,
        "generated": lambda: list_target_materials.asyncio_detailed(client=made),
        OURS: client.list_target_materials,
    }
