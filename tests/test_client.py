import asyncio
import copy
import datetime
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import httpx
import pytest

from atomscale_target_materials import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AtomscaleError,
    Client,
    ClientClosedError,
    ConflictError,
    Layer,
    LayerCreate,
    NotFoundError,
    PermissionDeniedError,
    TargetMaterial,
    TargetMaterials,
)
from atomscale_target_materials._drivers import _url
from atomscale_target_materials._settings import Settings
from atomscale_target_materials._steps import Flow, Request, Send
from atomscale_target_materials.sandbox import Sandbox
from atomscale_target_materials_api.api.target_materials import (
    add_target_material_layer,
    list_target_materials,
)
from atomscale_target_materials_api.models import ElementDict, ElementDictCreate
from atomscale_target_materials_api.types import Unset

from .conftest import KEY, Caller
from .faults.rows_network import resolving
from .faults.table import once
from .server import Peer, Server, answer, header, replies

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
    assert header(head, "accept") == "application/json, */*;q=0.1"
    assert header(head, "accept-encoding") == "gzip"
    assert header(head, "cookie") is None
    assert layer == Layer(id=5, layer_id=1)


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


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_client_keeps_its_key(copied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMSCALE_API_KEY", "another")
    with Client(KEY) as client:
        assert copied(client)._settings == client._settings


def test_a_client_with_a_transport_of_its_own_is_not_pickled() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[ROW]))
    with Client(KEY, transport=transport) as client:
        assert len(client.list_target_materials()) == 1
        told = "^a client with its own ssl_context or transport cannot be pickled$"
        with pytest.raises(TypeError, match=told):
            pickle.dumps(client)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_repr_of_a_client_has_its_settings(kind: type[Client] | type[AsyncClient]) -> None:
    settings = "base_url='https://api.atomscale.ai' timeout=30 max_tries=4"
    assert repr(kind(KEY)) == f"<{kind.__name__} {settings}>"
    # As a debugger shows it in a traceback of `__init__`.
    assert repr(object.__new__(kind)) == f"<{kind.__name__} >"


def test_a_transport_for_tests_replaces_ours(caller: Caller) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-api-key"] == KEY
        assert 29.0 < request.extensions["timeout"]["read"] <= 30.0
        return httpx.Response(200, json=[ROW])

    rows = caller(listed, transport=httpx.MockTransport(handler))
    assert [row.id for row in rows] == [1]


@pytest.mark.parametrize(
    ("kind", "waits_for"),
    [
        (httpx.ConnectTimeout, "a connection"),
        (httpx.PoolTimeout, "a connection"),
        (httpx.ReadTimeout, "the answer"),
    ],
)
def test_a_timeout_of_a_transport_of_ones_own_is_final(
    caller: Caller, kind: type[Exception], waits_for: str
) -> None:
    tries = []

    def handler(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        raise kind("too slow")

    told = rf"failed: not done within timeout=30 seconds: waiting for {waits_for}\. \w+"
    with pytest.raises(APITimeoutError, match=told):
        caller(listed, transport=httpx.MockTransport(handler))
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"transport": "mine"}, "transport: an httpx.BaseTransport, not <class 'str'>"),
        (
            {"transport": httpx.AsyncHTTPTransport},
            "transport: an httpx.BaseTransport, not <class 'type'>",
        ),
        (
            {"ssl_context": "corporate.pem"},
            "ssl_context: an ssl.SSLContext is needed, got <class 'str'>",
        ),
    ],
)
def test_wrong_options(options: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(says)}$"):
        Client(KEY, **options)


def test_a_server_that_hangs_up_is_told_as_httpcore_has_it(caller: Caller) -> None:
    with Server(once(lambda _: None)) as server, pytest.raises(APIConnectionError) as caught:
        caller(listed, base_url=server.base_url, max_tries=1)
    told = f"GET /target-materials/ to {server.base_url} failed: "
    assert str(caught.value).startswith(
        told + "Server disconnected without sending a response. Try again later,"
    )


def test_pauses_are_slept() -> None:
    drivers = Client(KEY)._driver, AsyncClient(KEY)._driver
    assert [each._sleep for each in drivers] == [time.sleep, asyncio.sleep]


def test_of_a_refusal_no_more_is_read_than_it_may_say() -> None:
    chunks: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(99):
            chunks.append(number)
            yield b"x" * 65536

    transport = httpx.MockTransport(lambda _: httpx.Response(400, content=endless()))
    with Client(KEY, transport=transport) as client, pytest.raises(APIStatusError):
        client.list_target_materials()
    assert len(chunks) == 17


def test_the_last_word_of_an_error_is_whole(caller: Caller) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route to X.")

    with pytest.raises(APIConnectionError, match=r"failed: no route to X\. "):
        caller(listed, transport=httpx.MockTransport(handler), max_tries=1)


def test_not_every_url_is_kept() -> None:
    for number in range(200):
        _url(f"https://127.0.0.1/{number}")
    assert _url.cache_info().currsize <= 128


def test_an_answer_of_some_megabytes(caller: Caller) -> None:
    rows = [{**ROW, "sample_name": "x" * 2_000_000}]
    with Server(replies(answer(200, rows))) as server:
        assert len(caller(listed, base_url=server.base_url)[0].sample_name) == 2_000_000


def test_the_connections_of_a_loop_that_is_gone_are_forgotten() -> None:
    loop = asyncio.new_event_loop()
    with Server(replies(answer(200, [ROW]))) as server:
        client = AsyncClient(KEY, base_url=server.base_url)
        loop.run_until_complete(client.list_target_materials())
        pools = client._driver._transport._pools
        loop.run_until_complete(pools[loop][0].aclose())
        loop.close()
        asyncio.run(client.list_target_materials())
    assert loop not in pools
    assert [pool.connections for pool, _ in pools.values()] == [[]]


def test_the_last_error_tells_how_often_it_was_tried(caller: Caller) -> None:
    with Server(replies(answer(503))) as server, pytest.raises(APIStatusError) as caught:
        caller(listed, base_url=server.base_url, max_tries=3)
    assert str(caught.value).endswith(" It was tried 3 times.")
    with Server(replies(answer(400))) as server, pytest.raises(APIStatusError) as caught:
        caller(listed, base_url=server.base_url)
    assert "tried" not in str(caught.value)


class SlowLoop(asyncio.SelectorEventLoop):
    """Lets other threads run where any loop may, but rarely does."""

    def is_closed(self) -> bool:
        time.sleep(0.001)
        return super().is_closed()


def test_many_event_loops_at_once() -> None:
    client = AsyncClient(KEY, base_url="http://localhost:1", max_tries=1)

    def act(_: int) -> None:
        with asyncio.Runner(loop_factory=SlowLoop) as runner, pytest.raises(APIConnectionError):
            runner.run(listed(client))

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(act, range(160)))


def test_what_the_caller_is_handling_is_not_our_cause(caller: Caller) -> None:
    with Server(lambda _: None) as server:
        url = server.base_url
    try:
        int("password=hunter2")
    except ValueError:
        with pytest.raises(APIConnectionError, match="Errno 111") as caught:
            caller(listed, base_url=url)
    assert "hunter2" not in str(caught.value)
    assert len(caller.pauses) == 3


@pytest.mark.parametrize("installed", [False, True])
def test_sniffio_is_not_looked_for_where_it_is_not(installed: bool, tmp_path: Path) -> None:
    """A fork within that import would leave the child with a lock that nobody opens."""
    if installed:
        (tmp_path / "sniffio.py").touch()
    elif find_spec("sniffio"):
        pytest.skip("sniffio is installed")
    code = "import sys, atomscale_target_materials.client; print(sys.modules.get('sniffio', 0))"
    paths = os.pathsep.join([*sys.path, str(tmp_path)])
    python = [sys.executable, "-c", code]
    environ = {**os.environ, "PYTHONPATH": paths}
    run = subprocess.run(python, env=environ, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == ("0" if installed else "None"), run.stderr


@pytest.mark.parametrize(
    ("field", "kinds"),
    [
        ("sample_id", {int, NoneType, Unset}),
        ("mp_id", {str, NoneType, Unset}),
        ("composition_string", {str, Mapping[str, float], NoneType, Unset}),
        (
            "element_dict",
            {Mapping[str, float], ElementDict, ElementDictCreate, NoneType, Unset},
        ),
    ],
)
def test_the_kinds_of_the_fields_can_be_looked_up(field: str, kinds: set[Any]) -> None:
    assert {*get_args(get_type_hints(Client.add_layer)[field])} == kinds


def test_all_addresses_of_a_host_are_tried(caller: Caller) -> None:
    with (
        Server(replies(answer(200, [ROW]))) as server,
        resolving(server.port, ["127.0.0.2", "127.0.0.1"]) as url,
    ):
        assert len(caller(listed, base_url=url)) == 1


def test_when_no_address_answers_the_last_one_tells_why(caller: Caller) -> None:
    with Server(lambda _: None) as server:
        pass
    try:
        int("password=hunter2")
    except ValueError:
        with (
            resolving(server.port, ["127.0.0.3", "127.0.0.2", "127.0.0.1"]) as url,
            pytest.raises(APIConnectionError, match="Errno 111") as caught,
        ):
            caller(listed, base_url=url, max_tries=1)
    assert not re.search(r"127\.0\.0\.[23]|hunter2", str(caught.value))


def test_closing_under_a_call_of_another_thread() -> None:
    with Server(once(Peer.hang), patience=5) as server, ThreadPoolExecutor(1) as threads:
        client = Client(KEY, base_url=server.base_url)
        call = threads.submit(listed, client)
        while not server.requests:
            time.sleep(0.001)
        client.close()
        with pytest.raises(ClientClosedError):
            call.result(4)


def test_time_between_two_tries_counts_too(caller: Caller) -> None:
    def flow(settings: Settings) -> Flow[list[float]]:
        first = yield Send(settings, Request("GET", "/", {}), 0.0, None)
        time.sleep(0.3)
        second = yield Send(settings, Request("GET", "/", {}), 2.0, first.end)
        return [first.left, second.left]

    def call(client: Any) -> Any:
        return client._driver.run(flow(client._settings))

    transport = httpx.MockTransport(lambda _: httpx.Response(204))
    first, second = caller(call, transport=transport, timeout=9)
    assert caller.pauses == [2.0]
    assert 8.5 < first <= 9
    assert 2.3 <= first - second < 2.8


def test_closing_under_a_call_of_the_same_loop() -> None:
    async def close_under_a_call() -> None:
        client = AsyncClient(KEY, base_url=server.base_url, max_tries=1)
        call = asyncio.create_task(added(client))
        while not server.requests:  # noqa: ASYNC110 - the server is a thread
            await asyncio.sleep(0.001)
        await client.aclose()
        with pytest.raises(APIConnectionError, match="failed: ClosedResourceError") as caught:
            await call
        assert caught.value.outcome_unknown is True

    with Server(once(Peer.hang), patience=5) as server:
        asyncio.run(close_under_a_call())
