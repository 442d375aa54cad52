"""The clients against Prism, a mock server that others wrote, made from the same spec.

Prism checks each request against the spec, and answers with the documented examples or, asked by
the header `Prefer: dynamic=true, seed=...`, with random data that fits the spec. It keeps no state.
"""

import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

import atomscale_target_materials as package
import atomscale_target_materials_api
from atomscale_target_materials import (
    APIResponseValidationError,
    APIStatusError,
    Layer,
    LayerCreate,
    TargetMaterial,
    TargetMaterials,
    UnprocessableEntityError,
)
from atomscale_target_materials._transport import AsyncTransport, Transport
from atomscale_target_materials_api.api.target_materials import add_target_material_layer

from ..conftest import KEY, Caller
from .test_examples import ADDED, GET, POST, ROWS

PRISM = "@stoplight/prism-cli@5.14.2"
SPEC_FILE = Path(next(iter(atomscale_target_materials_api.__path__))) / "openapi.json"
# Seconds; the first time npx downloads some 120 MB of packages.
START_LIMIT = 240.0
OFFLINE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED")
QUIET = {
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_update_notifier": "false",
    "NO_UPDATE_NOTIFIER": "1",
    "DO_NOT_TRACK": "1",
}


class Prism:
    """Prism on a free port, in a process group of its own: npx, a shell and node."""

    def __init__(self, npx: str) -> None:
        command = [npx, "--yes", PRISM, "mock", "--port", "0", str(SPEC_FILE)]
        self.log: list[str] = []
        self.base_url = ""
        self._decided = threading.Event()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace", env={**os.environ, **QUIET},
            start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.log.append(line)
            if found := re.search(r"listening on (http://\S+)", line):
                self.base_url = found[1]
                self._decided.set()
        self._decided.set()

    def wait_until_it_listens(self) -> None:
        self._decided.wait(START_LIMIT)
        log = "".join(self.log)
        if not self.base_url and OFFLINE.search(log):
            pytest.skip(f"npx cannot download {PRISM}: {log[-500:]}")
        assert self.base_url, f"Prism did not start within {START_LIMIT} s: {log}"

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Two npx that download a package at once may spoil each other's work (npm before 11)."""
    give_up = time.monotonic() + START_LIMIT
    while True:
        with contextlib.suppress(FileExistsError):
            lock.mkdir()
            break
        assert time.monotonic() < give_up, f"{lock} was not released"
        time.sleep(0.05)
    try:
        yield
    finally:
        lock.rmdir()


@pytest.fixture(scope="session")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prism that serves while this session (this worker of pytest-xdist) runs."""
    npx = shutil.which("npx")
    if npx is None or not hasattr(os, "killpg"):
        pytest.skip("Prism needs node (npx), and process groups to be stopped: not here")
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    server = None
    try:
        with one_at_a_time(shared / "prism.lock"):
            server = Prism(npx)
            server.wait_until_it_listens()
        yield server.base_url
    finally:
        if server is not None:
            server.stop()


class Preferring(Transport):
    """Our transport, which also tells Prism what to answer."""

    def __init__(self, prefer: str) -> None:
        super().__init__(None)
        self._prefer = prefer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Prefer"] = self._prefer
        return super().handle_request(request)


class AsyncPreferring(AsyncTransport):
    def __init__(self, prefer: str) -> None:
        super().__init__(None)
        self._prefer = prefer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Prefer"] = self._prefer
        return await super().handle_async_request(request)


def preferring(caller: Caller, prefer: str) -> Transport | AsyncTransport:
    return Preferring(prefer) if caller.kind == "sync" else AsyncPreferring(prefer)


def listed(client: Any) -> Any:
    return client.list_target_materials()


def added(client: Any) -> Any:
    return client.add_layer(layer_id=1, sample_id=42, composition_string="BaTiO3")


def plain(model: Any) -> Any:
    """The JSON of a model, with times as such."""
    return timed(model.to_dict())


def timed(row: dict[str, Any]) -> dict[str, Any]:
    """JSON with its time read: `12:00:00Z` and `12:00:00+00:00` are one."""
    if row.get("last_updated") is None:
        return row
    return {**row, "last_updated": datetime.datetime.fromisoformat(row["last_updated"])}


# Static answers: the documented examples


def test_the_documented_rows(prism: str, caller: Caller) -> None:
    rows = caller(listed, base_url=prism)
    assert type(rows) is TargetMaterials
    assert [*rows] == [TargetMaterial.from_dict(row) for row in ROWS]
    assert rows.stack(42).at(1).elements == {"Ba": 1, "Ti": 1, "O": 3}


@pytest.mark.parametrize("status", [200, 201])
def test_the_documented_layer(prism: str, caller: Caller, status: int) -> None:
    layer = caller(added, base_url=prism, transport=preferring(caller, f"code={status}"))
    assert type(layer) is Layer
    assert layer == Layer.from_dict(ADDED)


EVERYTHING: dict[str, Any] = {
    # JavaScript has no larger integers: Prism refuses the limits of int64, which the spec allows.
    "layer_id": 1 - 2**53,
    "sample_id": 2**53 - 1,
    "composition_string": "",
    "element_dict": {"Ba": 1, "O": 0.5, "Og": 1e300},
    "orientation": "001",
    "space_group": "P4mm",
    "mp_id": "mp-5020",
    "id": 0,
}


@pytest.mark.parametrize(
    "fields",
    [EVERYTHING, {**dict.fromkeys(EVERYTHING), "layer_id": 1}, {"layer_id": 1, "element_dict": {}}],
    ids=["everything", "null", "an empty map"],
)
def test_what_the_client_sends_is_valid(prism: str, caller: Caller, fields: dict[str, Any]) -> None:
    layer = caller(lambda client: client.add_layer(**fields), base_url=prism)
    assert layer == Layer.from_dict(ADDED)


def adding(body: Any) -> ModuleType:
    """The operation that adds a layer, but its body is not checked by the client."""
    unchecked = ModuleType("unchecked")
    request: dict[str, Any] = add_target_material_layer._get_kwargs(body=LayerCreate(layer_id=1))
    del request["json"]
    request["content"] = json.dumps(body).encode()
    vars(unchecked)["_get_kwargs"] = lambda: dict(request)
    vars(unchecked)["_parse_response"] = add_target_material_layer._parse_response
    return unchecked


BAD = {
    "no position": {},
    "a text as position": {"layer_id": "1"},
    "an unknown field": {"layer_id": 1, "no_such_field": 5},
    "no element": {"layer_id": 1, "element_dict": {"Xx": 1}},
    "a negative amount": {"layer_id": 1, "element_dict": {"Ba": -1}},
    "a list": [],
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_bad_body_is_refused(prism: str, caller: Caller, body: Any) -> None:
    with pytest.raises(UnprocessableEntityError, match=r"^POST .* answered 422") as caught:
        caller(lambda client: client.call(adding(body)), base_url=prism)
    assert caught.value.outcome_unknown is False
    layer = caller(lambda client: client.call(adding({"layer_id": 1})), base_url=prism)
    assert layer == Layer.from_dict(ADDED)


CLASSES = {
    401: package.AuthenticationError,
    403: package.PermissionDeniedError,
    404: package.NotFoundError,
    409: package.ConflictError,
    422: package.UnprocessableEntityError,
    429: package.RateLimitError,
    500: package.InternalServerError,
}
REFUSALS = [
    pytest.param(call, int(status), id=f"{call.__name__} {status}")
    for call, operation in ((listed, GET), (added, POST))
    for status in operation["responses"]
    if not status.startswith("2")
]


@pytest.mark.parametrize(("call", "status"), REFUSALS)
def test_each_documented_refusal(prism: str, caller: Caller, call: Any, status: int) -> None:
    with pytest.raises(APIStatusError, match=f"answered {status}") as caught:
        caller(call, base_url=prism, transport=preferring(caller, f"code={status}"))
    assert type(caught.value) is CLASSES[status]
    assert caught.value.outcome_unknown is (call is added and status == 500)


# Dynamic answers: random data that fits the spec

SEEDS = range(20)


def dynamic(prism: str, caller: Caller, call: Any, seed: int) -> Any:
    """What the client makes of random data; None where its reading is stricter than the spec."""
    transport = preferring(caller, f"dynamic=true, seed={seed}")
    with contextlib.suppress(APIResponseValidationError):
        return caller(call, base_url=prism, transport=transport)
    return None


def test_random_rows(prism: str, caller: Caller) -> None:
    lengths = []
    for seed in SEEDS:
        rows = dynamic(prism, caller, listed, seed)
        if rows is None:
            continue
        assert all(type(row) is TargetMaterial for row in rows)
        assert sum(len(stack.layers) for stack in rows.stacks()) <= len(rows)
        prefer = {"Prefer": f"dynamic=true, seed={seed}", "X-API-KEY": KEY}
        answer = httpx.get(f"{prism}/target-materials/", headers=prefer, trust_env=False)
        assert [*map(plain, rows)] == [*map(timed, answer.json())]
        lengths.append(len(rows))
    assert len(lengths) >= len(SEEDS) / 2
    assert len({*lengths}) > 2


def test_random_layers(prism: str, caller: Caller) -> None:
    layers = [dynamic(prism, caller, added, seed) for seed in SEEDS]
    read = [layer for layer in layers if layer is not None]
    assert all(type(layer) is Layer for layer in read)
    assert len({layer.id for layer in read}) >= len(SEEDS) / 2
