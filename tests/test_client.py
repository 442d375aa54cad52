import asyncio
import copy
import datetime
import pickle
import threading
from typing import Any

import httpx
import numpy as np
import pytest

from atomscale_target_materials import (
    AsyncClient,
    AtomscaleError,
    Client,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    Layer,
    LayerCreate,
    NotFoundError,
    PermissionDeniedError,
    TargetMaterial,
    TargetMaterials,
)
from atomscale_target_materials.sandbox import Sandbox
from atomscale_target_materials_api.api.target_materials import (
    add_target_material_layer,
    list_target_materials,
)
from atomscale_target_materials_api.models import ElementDict, ElementDictCreate

from .conftest import KEY, Caller
from .server import Server, answer, header, replies

ROW = {"id": 1, "sample_id": 2}


def listed(client: Any) -> Any:
    return client.list_target_materials()


def added(client: Any, **fields: Any) -> Any:
    return client.add_layer(**{"layer_id": 9, "sample_id": 42, **fields})


# With the sandbox


def test_lists_typed_rows(sandbox: Sandbox, caller: Caller) -> None:
    rows = caller(listed, sandbox.api_key, base_url=sandbox.base_url)
    assert isinstance(rows, TargetMaterials)
    row = rows[0]
    assert isinstance(row, TargetMaterial)
    assert (row.sample_id, row.sample_name, row.layer_id) == (42, "BaTiO3 on Si", 1)
    assert isinstance(row.element_dict, ElementDict)
    assert row.element_dict.to_dict() == {"Ba": 1, "Ti": 1, "O": 3}
    assert isinstance(row.last_updated, datetime.datetime)
    assert row.last_updated.utcoffset() == datetime.timedelta(0)
    assert row.additional_properties["organization_id"] == "org_sandbox"


def test_sync_and_async_agree(sandbox: Sandbox) -> None:
    results = [
        Caller(kind)(listed, sandbox.api_key, base_url=sandbox.base_url)
        for kind in ("sync", "async")
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_rows_survive_copies(sandbox: Sandbox, copied: Any) -> None:
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        rows = client.list_target_materials()
    assert copied(rows) == rows
    assert [row.to_dict() for row in copied(rows)] == [row.to_dict() for row in rows]


def test_adds_a_layer_that_the_server_completes(sandbox: Sandbox, caller: Caller) -> None:
    options = {"base_url": sandbox.base_url}
    layer = caller(
        lambda client: added(client, composition_string="SrTiO3", orientation="001"),
        sandbox.api_key,
        **options,
    )
    assert isinstance(layer, Layer)
    assert (layer.layer_id, layer.sample_id, layer.space_group) == (9, 42, "Pm-3m")
    stack = caller(listed, sandbox.api_key, **options).stack(42)
    assert str(stack) == "SrTiO3(001)/BaTiO3(001)/Si"
    assert list(stack.gaps) == [2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"layer_id": 1}, ConflictError, "position 1"),
        ({"sample_id": 1}, NotFoundError, "sample_id 1"),
    ],
)
def test_refusals_are_typed(
    sandbox: Sandbox, caller: Caller, fields: dict[str, Any], error: type, says: str
) -> None:
    with pytest.raises(AtomscaleError, match=says) as caught:
        caller(lambda client: added(client, **fields), sandbox.api_key, base_url=sandbox.base_url)
    assert type(caught.value) is error
    assert caught.value.outcome_unknown is False


def test_a_key_without_the_scope(sandbox: Sandbox, caller: Caller) -> None:
    assert caller(listed, sandbox.read_only_api_key, base_url=sandbox.base_url)
    with pytest.raises(PermissionDeniedError, match="`write` to add"):
        caller(added, sandbox.read_only_api_key, base_url=sandbox.base_url)


def test_call_reaches_any_generated_operation(sandbox: Sandbox, caller: Caller) -> None:
    options = {"key": sandbox.api_key, "base_url": sandbox.base_url}
    rows = caller(lambda client: client.call(list_target_materials), **options)
    assert isinstance(rows, list)
    assert isinstance(rows[0], TargetMaterial)
    layer = caller(
        lambda client: client.call(add_target_material_layer, body=LayerCreate(layer_id=1)),
        **options,
    )
    assert isinstance(layer, Layer)
    assert (layer.layer_id, layer.sample_id) == (1, None)


def test_a_body_for_call_is_checked_as_strictly(sandbox: Sandbox, caller: Caller) -> None:
    body = LayerCreate(layer_id=1, element_dict=ElementDictCreate.from_dict({"Qq": 1}))
    with pytest.raises(ValueError, match=r'body\.element_dict: "Qq" is not one of the 118 names'):
        caller(
            lambda client: client.call(add_target_material_layer, body=body),
            sandbox.api_key,
            base_url=sandbox.base_url,
        )


# What is sent


def test_the_request_on_the_wire(caller: Caller) -> None:
    reply = answer(201, {"id": 5, "layer_id": 1})
    with Server(replies(reply)) as server:
        layer = caller(
            lambda client: client.add_layer(layer_id=1, sample_id=None, element_dict={"Ba": 0.5}),
            base_url=server.base_url + "/prefix/",
        )
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /prefix/target-materials/layers/ HTTP/1.1\r\n")
    assert body == b'{"layer_id":1,"sample_id":null,"element_dict":{"Ba":0.5}}'
    assert header(head, "x-api-key") == KEY
    assert header(head, "content-type") == "application/json"
    assert str(header(head, "user-agent")).startswith("atomscale-target-materials/0.")
    assert header(head, "cookie") is None
    assert layer == Layer(id=5, layer_id=1)


def test_numpy_arguments() -> None:
    reply = answer(200, {"id": 5, "layer_id": 1})
    with Server(replies(reply)) as server, Client(KEY, base_url=server.base_url) as client:
        client.add_layer(
            layer_id=np.int64(1),  # type: ignore[arg-type]
            composition_string=np.str_("GaN"),
            element_dict={"Ga": np.float32(0.5), "N": np.int8(1)},  # type: ignore[dict-item]
        )
    body = server.requests[0].partition(b"\r\n\r\n")[2]
    assert body == (b'{"layer_id":1,"composition_string":"GaN","element_dict":{"Ga":0.5,"N":1}}')


# The client itself


def test_with_options_shares_the_connections(caller: Caller) -> None:
    def twice(client: Any) -> Any:
        other = client.with_options(timeout=5, max_tries=1)
        assert type(other) is type(client)
        assert repr(other).endswith("timeout=5 max_tries=1>")
        assert repr(client).endswith("timeout=30 max_tries=4>")
        if caller.kind == "sync":
            return [client.list_target_materials(), other.list_target_materials()]

        async def both() -> Any:
            return [await client.list_target_materials(), await other.list_target_materials()]

        return both()

    with Server(replies(answer(200, [ROW]))) as server:
        results = caller(twice, base_url=server.base_url)
    assert results[0] == results[1]
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize("options", [{"timeout": None}, {"max_tries": 1.5}, {"timeout": True}])
def test_with_options_refuses(options: dict[str, Any]) -> None:
    with Client(KEY) as client, pytest.raises(TypeError, match=next(iter(options))):
        client.with_options(**options)


def test_a_closed_client_raises(caller: Caller) -> None:
    clients: list[Any] = []

    def kept(client: Any) -> Any:
        clients.append(client)
        return listed(client)

    with Server(replies(answer(200, [ROW]))) as server:
        caller(kept, base_url=server.base_url)
    with pytest.raises(ClientClosedError, match="closed") as caught:
        caller(lambda _: listed(clients[0]))
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize("cls", [Client, AsyncClient])
def test_a_pickled_client_reads_its_own_environment(
    cls: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = cls(KEY, base_url="http://localhost:1/x", timeout=3, max_tries=2)
    pickled = pickle.dumps(client)
    assert KEY.encode() not in pickled
    with pytest.raises(ConfigurationError, match="no API key"):
        pickle.loads(pickled)
    monkeypatch.setenv("AS_API_KEY", "another")
    restored = pickle.loads(pickled)
    assert repr(restored) == repr(client)
    assert restored._settings.key.reveal() == "another"
    assert restored._settings.max_response_bytes == client._settings.max_response_bytes


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_client_keeps_its_key(copied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMSCALE_API_KEY", "another")
    with Client(KEY) as client:
        assert copied(client)._settings == client._settings


def test_closing_ends_a_call_that_is_waiting_to_try_again(caller: Caller) -> None:
    def closing(client: Any) -> Any:
        if caller.kind == "sync":
            client._driver._sleep = lambda _: client.close()
        else:
            client._driver._sleep = lambda _: client.aclose()
        return listed(client)

    with Server(replies(answer(503))) as server, pytest.raises(ClientClosedError):
        caller(closing, base_url=server.base_url)
    assert len(server.requests) == 1


def test_a_client_with_a_transport_of_its_own_is_not_pickled() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[ROW]))
    with Client(KEY, transport=transport) as client:
        assert len(client.list_target_materials()) == 1
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(client)


def test_a_transport_for_tests_replaces_ours(caller: Caller) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-api-key"] == KEY
        assert request.extensions["timeout"]["read"] == 30.0
        return httpx.Response(200, json=[ROW])

    rows = caller(listed, transport=httpx.MockTransport(handler))
    assert [row.id for row in rows] == [1]


def test_threads_share_a_client(sandbox: Sandbox) -> None:
    results: list[TargetMaterials] = []
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        threads = [
            threading.Thread(target=lambda: results.append(client.list_target_materials()))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 16
        assert all(result == results[0] for result in results)


def test_a_second_event_loop_starts_a_fresh_pool() -> None:
    with Server(replies(answer(200, [ROW]))) as server:
        client = AsyncClient(KEY, base_url=server.base_url)
        first = asyncio.run(client.list_target_materials())
        assert asyncio.run(client.list_target_materials()) == first
    assert server.connections == 2


def test_the_connections_of_a_loop_that_is_gone_are_forgotten() -> None:
    loop = asyncio.new_event_loop()
    with Server(replies(answer(200, [ROW]))) as server:
        client = AsyncClient(KEY, base_url=server.base_url)
        loop.run_until_complete(client.list_target_materials())
        pools = client._driver._transport._pools  # type: ignore[attr-defined]
        loop.run_until_complete(pools[loop][0].aclose())
        loop.close()
        asyncio.run(client.list_target_materials())
    assert pools == {}


def test_many_async_calls_at_once(sandbox: Sandbox) -> None:
    async def main() -> list[TargetMaterials]:
        async with AsyncClient(sandbox.api_key, base_url=sandbox.base_url) as client:
            return await asyncio.gather(*(client.list_target_materials() for _ in range(32)))

    assert len({len(rows) for rows in asyncio.run(main())}) == 1


def test_no_secret_in_repr_or_vars() -> None:
    with Client(KEY) as client:
        assert KEY not in repr(client)
        assert KEY not in repr(vars(client))
        assert KEY not in str(client._settings)
