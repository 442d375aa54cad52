"""Typed calls that mypy checks and nobody runs: they pin the signatures of the public names.

A line with `type: ignore` is a wrong call: mypy says so when it is no longer refused.
"""

import ssl
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, assert_type

import httpx

import atomscale_target_materials
from atomscale_target_materials import (
    UNSET,
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AtomscaleError,
    AuthenticationError,
    BadRequestError,
    Client,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    EnsureResult,
    InternalServerError,
    Layer,
    LayerCreate,
    LayerStack,
    LayerStatus,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    StackDiff,
    StackLayer,
    StackResult,
    TargetMaterial,
    TargetMaterials,
    UnprocessableEntityError,
)
from atomscale_target_materials.sandbox import Sandbox
from atomscale_target_materials_api.api.target_materials import list_target_materials
from atomscale_target_materials_api.models import ElementDict, ElementDictCreate
from atomscale_target_materials_api.types import Unset


def clients(context: ssl.SSLContext, sync: httpx.BaseTransport) -> None:
    Client()
    Client("key")
    Client(None, base_url=None, ssl_context=None, transport=None)
    client = Client(
        api_key="key",
        base_url="https://api.atomscale.ai",
        timeout=5,
        max_tries=1,
        max_response_bytes=1024,
        ssl_context=context,
        transport=sync,
    )
    with client as entered:
        assert_type(entered, Client)
    assert_type(client.with_options(timeout=1.5, max_tries=2), Client)
    assert_type(client.with_options(), Client)
    client.close()

    Client("key", "https://api.atomscale.ai")  # type: ignore[call-arg]
    Client(timeout=None)  # type: ignore[arg-type]
    Client(max_tries=1.5)  # type: ignore[arg-type]
    Client(transport=httpx.AsyncHTTPTransport())  # type: ignore[arg-type]
    Client(retries=1)  # type: ignore[call-arg]
    client.with_options(timeout=None)  # type: ignore[arg-type]
    client.with_options(base_url="https://other.example")  # type: ignore[call-arg]
    client.aclose()  # type: ignore[attr-defined]
    client.ad_layer(layer_id=1)  # type: ignore[attr-defined]


def calls(client: Client, operation: ModuleType, elements: ElementDict) -> None:
    assert_type(client.list_target_materials(), TargetMaterials)
    assert_type(client.add_layer(layer_id=1), Layer)
    layer = client.add_layer(
        layer_id=1,
        sample_id=42,
        composition_string="BaTiO3",
        element_dict={"Ba": 1, "Ti": 1.0, "O": 3},
        orientation="001",
        space_group="P4mm",
        mp_id="mp-5020",
        id=100,
    )
    client.add_layer(
        layer_id=1,
        sample_id=None,
        composition_string=None,
        element_dict=None,
        orientation=None,
        space_group=None,
        mp_id=None,
        id=None,
    )
    client.add_layer(layer_id=1, sample_id=UNSET, element_dict=UNSET, id=UNSET)
    client.add_layer(layer_id=1, element_dict=elements)
    client.add_layer(layer_id=1, element_dict=ElementDictCreate())
    assert_type(layer.id, int)
    assert_type(layer.layer_id, int)
    assert_type(layer.sample_id, int | None | Unset)
    assert_type(layer.additional_properties, dict[str, Any])
    assert_type(client.call(operation, body=LayerCreate(layer_id=1)), Any)
    assert_type(client.call(list_target_materials), Any)

    client.list_target_materials(limit=10)  # type: ignore[call-arg]
    client.add_layer()  # type: ignore[call-arg]
    client.add_layer(1)  # type: ignore[call-arg]
    client.add_layer(layer_id="1")  # type: ignore[arg-type]
    client.add_layer(layer_id=None)  # type: ignore[arg-type]
    client.add_layer(layer_id=1, element_dict={"Ba": "1"})  # type: ignore[dict-item]
    client.add_layer(layer_id=1, element_dict="BaTiO3")  # type: ignore[arg-type]
    client.add_layer(layer_id=1, orientation=1)  # type: ignore[arg-type]
    client.add_layer(layer_id=1, composition="BaTiO3")  # type: ignore[call-arg]
    client.call("list_target_materials")  # type: ignore[arg-type]
    client.call(operation=operation)  # type: ignore[call-arg]


async def async_calls(
    context: ssl.SSLContext, transport: httpx.AsyncBaseTransport, operation: ModuleType
) -> None:
    client = AsyncClient(
        "key",
        base_url="https://api.atomscale.ai",
        timeout=5.5,
        max_tries=1,
        max_response_bytes=1024,
        ssl_context=context,
        transport=transport,
    )
    async with client as entered:
        assert_type(entered, AsyncClient)
    assert_type(client.with_options(timeout=1, max_tries=2), AsyncClient)
    assert_type(await client.list_target_materials(), TargetMaterials)
    assert_type(await client.add_layer(layer_id=1), Layer)
    await client.add_layer(
        layer_id=1,
        sample_id=42,
        composition_string="BaTiO3",
        element_dict={"Ba": 1, "Ti": 1.0, "O": 3},
        orientation="001",
        space_group="P4mm",
        mp_id="mp-5020",
        id=100,
    )
    ensured = await client.ensure_layer(layer_id=1, sample_id=42, composition_string="BaTiO3")
    assert_type(ensured, EnsureResult)
    done = await client.ensure_stack(LayerStack.declare(layers=[]), sample_id=56, dry_run=True)
    assert_type(done, StackResult)
    assert_type(await client.call(operation, body=None), Any)
    await client.aclose()

    AsyncClient(transport=httpx.HTTPTransport())  # type: ignore[arg-type]
    client.list_target_materials().stacks()  # type: ignore[attr-defined]
    await client.add_layer(layer_id="1")  # type: ignore[arg-type]
    with client:  # type: ignore[attr-defined]
        pass


def ensuring(client: Client, tell: Callable[[LayerStatus], None]) -> None:
    result = client.ensure_layer(
        layer_id=1,
        sample_id=42,
        composition_string="BaTiO3",
        element_dict={"Ba": 1, "Ti": 1.0, "O": 3},
        orientation="001",
        space_group="P4mm",
        mp_id="mp-5020",
        id=None,
    )
    assert_type(result, EnsureResult)
    assert_type(result.status, Literal["added", "present"])
    assert_type(result.layer, Layer | None)
    assert_type(result.row, TargetMaterial | None)

    declared = LayerStack.declare(
        substrate="Si", layers=[LayerCreate(layer_id=1), {"orientation": "001"}]
    )
    assert_type(declared, LayerStack)
    assert_type(LayerStack.declare(layers=(LayerCreate(layer_id=n) for n in (1, 2))), LayerStack)
    assert_type(LayerStack.from_file("stack.yaml"), LayerStack)
    assert_type(LayerStack.from_file(Path("stack.csv")), LayerStack)
    diff = declared.diff(declared)
    assert_type(diff, StackDiff)
    assert_type(diff.to_add, tuple[LayerStatus, ...])
    assert_type(diff.to_add + diff.present + diff.differing + diff.extra, tuple[LayerStatus, ...])
    assert_type(diff.to_add[0].layer, StackLayer)
    assert_type(diff.conflicting, bool)

    client.ensure_stack(declared, sample_id=56, on_progress=print)
    done = client.ensure_stack(declared, sample_id=56, dry_run=False, on_progress=tell)
    assert_type(done, StackResult)
    assert_type(done.diff, StackDiff)
    assert_type(done.fates, tuple[LayerStatus, ...])

    assert_type(AtomscaleError().fates, tuple[LayerStatus, ...])

    client.ensure_layer(layer_id=1)  # type: ignore[call-arg]
    client.ensure_layer(layer_id=1, sample_id=None)  # type: ignore[arg-type]
    client.ensure_stack(declared)  # type: ignore[call-arg]
    client.ensure_stack(declared, 56)  # type: ignore[call-arg]
    client.ensure_stack([declared], sample_id=56)  # type: ignore[arg-type]
    client.ensure_stack(declared, sample_id=56, on_progress=lambda: None)  # type: ignore[arg-type, misc]
    LayerStack.declare([])  # type: ignore[call-arg]
    LayerStack.declare(layers=["InAs"])  # type: ignore[list-item]


def materials(rows: TargetMaterials) -> None:
    sequence: Sequence[TargetMaterial] = rows
    assert_type(rows[0], TargetMaterial)
    assert_type(rows[1:], TargetMaterials)
    assert_type(rows[::-1][:2], TargetMaterials)
    assert_type(list(rows), list[TargetMaterial])
    assert_type(len(sequence), int)
    assert_type(rows.stacks(), tuple[LayerStack, ...])
    assert_type(rows.stack(42), LayerStack)
    assert_type(TargetMaterials([rows[0]]), TargetMaterials)
    assert_type(rows[0].id, int)
    assert_type(rows[0].sample_id, int)
    assert_type(rows[0].layer_id, int | None | Unset)
    assert_type(rows[0].last_updated, datetime | None | Unset)
    assert_type(rows[0].element_dict, ElementDict | None | Unset)

    rows[0] = rows[1]  # type: ignore[index]
    rows.stack("BaTiO3 on Si")  # type: ignore[arg-type]
    rows.append(rows[0])  # type: ignore[attr-defined]
    TargetMaterials([1])  # type: ignore[list-item]


def stacks(stack: LayerStack, rows: TargetMaterials) -> None:
    assert_type(LayerStack.from_rows(rows), LayerStack)
    assert_type(stack.sample_id, int | None)
    assert_type(stack.sample_name, str | None)
    assert_type(stack.substrate, str | None)
    assert_type(stack.layers, tuple[StackLayer, ...])
    assert_type(stack.rows, tuple[TargetMaterial, ...])
    gaps: Collection[int] = stack.gaps
    assert_type(sorted(gaps), list[int])
    assert_type(stack.duplicates, tuple[int, ...])
    layer = stack.at(1)
    assert_type(layer, StackLayer)
    assert_type(layer.row, TargetMaterial | LayerCreate)
    assert_type(layer.layer_id, int)
    assert_type(layer.sample_id, int | None)
    assert_type(layer.id, int | None)
    assert_type(layer.composition_string, str | None)
    assert_type(layer.element_dict, ElementDict | ElementDictCreate | None)
    assert_type(layer.elements, dict[str, float])
    assert_type(layer.orientation, str | None)
    assert_type(layer.space_group, str | None)
    assert_type(layer.mp_id, str | None)

    stack.at("1")  # type: ignore[arg-type]
    stack.substrate = "Si"  # type: ignore[misc]
    layer.mp_id = "mp-5020"  # type: ignore[misc]
    layer.row = rows[0]  # type: ignore[misc]
    StackLayer(1)  # type: ignore[arg-type]


def errors(error: AtomscaleError) -> None:
    assert_type(error.outcome_unknown, bool)
    match error:
        case APIStatusError():
            assert_type(error.status_code, int | None)
            assert_type(error.detail, str | None)
            assert_type(error.request_id, str | None)
        case APIResponseValidationError():
            assert_type(error.path, str | None)
            assert_type(error.body, bytes | None)
        case _:
            error.status_code  # type: ignore[attr-defined]  # noqa: B018
    statuses: list[type[APIStatusError]] = [
        BadRequestError, AuthenticationError, PermissionDeniedError, NotFoundError, ConflictError,
        UnprocessableEntityError, RateLimitError, InternalServerError,
    ]  # fmt: skip
    connection: type[APIConnectionError] = APITimeoutError
    value: type[ValueError] = ConfigurationError
    run_time: type[RuntimeError] = ClientClosedError
    family: list[type[AtomscaleError]] = [
        *statuses, connection, ConfigurationError, ClientClosedError, APIResponseValidationError,
    ]  # fmt: skip
    print(family, value, run_time)

    wrong: type[APIConnectionError] = RateLimitError  # type: ignore[assignment]
    print(wrong)


def sandbox() -> None:
    with Sandbox() as server, Sandbox(path="stacks.db", port=8000):
        assert_type(server, Sandbox)
        assert_type(server.base_url, str)
        assert_type(server.api_key, str)
        assert_type(server.read_only_api_key, str)

    Sandbox("stacks.db", 8000)  # type: ignore[call-arg]


def names() -> None:
    assert_type(UNSET, Unset)
    version: str = atomscale_target_materials.__version__
    print(version)

    atomscale_target_materials.Cleint  # type: ignore[attr-defined]  # noqa: B018
