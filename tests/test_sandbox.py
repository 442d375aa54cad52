import asyncio
import copy
import importlib
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from atomscale_target_materials import Client
from atomscale_target_materials.sandbox import Sandbox
from atomscale_target_materials.sandbox._app import application
from atomscale_target_materials.sandbox._contract import load_spec
from atomscale_target_materials.sandbox._materials import elements_of
from atomscale_target_materials.sandbox._store import Store

LIST = "/target-materials/"
ADD = "/target-materials/layers/"
SPEC = load_spec()
SCHEMAS = SPEC["components"]["schemas"]
SYMBOLS = frozenset(SCHEMAS["ElementDictCreate"]["propertyNames"]["enum"])
KEY = {"X-API-KEY": Sandbox.api_key}
JSON = {"Content-Type": "application/json"}


def table(names: str, rows: dict[str, tuple[Any, ...]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(names.split(), rows.values(), ids=rows.keys())


def validate(schema: dict[str, Any], value: Any) -> None:
    jsonschema_rs.validate({**schema, "components": SPEC["components"]}, value)


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.base_url, headers=KEY, trust_env=False) as http:
        yield http


@pytest.fixture(scope="module")
def refuser() -> Iterator[httpx.Client]:
    """For requests that change nothing."""
    with (
        Sandbox() as sandbox,
        httpx.Client(base_url=sandbox.base_url, trust_env=False) as http,
    ):
        yield http


def rows_of(http: httpx.Client, sample_id: int | None = None) -> list[dict[str, Any]]:
    answer = http.get(LIST)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    validate({"type": "array", "items": ref("TargetMaterial")}, rows)
    return [row for row in rows if sample_id in (None, row["sample_id"])]


def add(http: httpx.Client, **layer: Any) -> dict[str, Any]:
    answer = http.post(ADD, json=layer)
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    validate(ref("Layer"), added)
    return added


def detail_of(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["detail"]
    return body["detail"]


def test_two_sandboxes_serve_at_once_each_its_own_stacks() -> None:
    with Sandbox() as one, Sandbox() as two:
        assert one.base_url != two.base_url
        assert one.base_url.startswith("http://127.0.0.1:")
        with (
            Client(one.api_key, base_url=one.base_url) as first,
            Client(two.api_key, base_url=two.base_url) as second,
        ):
            first.add_layer(layer_id=9, sample_id=42)
            assert len(first.list_target_materials()) == len(second.list_target_materials()) + 1


@pytest.mark.parametrize("again", [False, True], ids=["another", "the same object"])
def test_a_file_keeps_what_was_added(tmp_path: Path, again: bool) -> None:
    sandbox = Sandbox(tmp_path / "stacks.db")
    with sandbox, Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        before = client.list_target_materials()
        client.add_layer(layer_id=9, sample_id=42, composition_string="MgO")
    sandbox = sandbox if again else Sandbox(str(tmp_path / "stacks.db"))
    with sandbox, Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        after = client.list_target_materials()
        assert after.stack(42).at(9).elements == {"Mg": 1, "O": 1}
        assert len(after) == len(before) + 1


def test_it_stops_serving() -> None:
    with Sandbox() as sandbox:
        httpx.get(sandbox.base_url, trust_env=False)
    with pytest.raises(httpx.ConnectError):
        httpx.get(sandbox.base_url, trust_env=False)
    assert "sandbox" not in [thread.name for thread in threading.enumerate()]


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Sandbox(port=taken.getsockname()[1]).start()


def test_a_database_that_cannot_be_opened_leaves_no_open_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sandbox = Sandbox(tmp_path, port=port)
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        sandbox.start()
    socket.create_server(("127.0.0.1", port)).close()


READ_ONLY = {"X-API-KEY": Sandbox.read_only_api_key}


@table(
    "asked headers status says",
    {
        "no key": (f"GET {LIST}", {}, 401, "missing or unknown"),
        "unknown key": (f"GET {LIST}", {"X-API-KEY": "x"}, 401, "missing or unknown"),
        "no key, POST": (f"POST {ADD}", {}, 401, "missing or unknown"),
        "read-only": (f"POST {ADD}", READ_ONLY, 403, "lacks the scope 'write'"),
        "unknown path": ("GET /nowhere", KEY, 404, "Not Found"),
        "no trailing slash": (f"GET {LIST[:-1]}", KEY, 404, "Not Found"),
        "method": (f"DELETE {LIST}", KEY, 405, "Method Not Allowed"),
    },
)
def test_refusals(
    refuser: httpx.Client, asked: str, headers: dict[str, str], status: int, says: str
) -> None:
    answer = refuser.request(*asked.split(), headers=headers)
    assert says in detail_of(answer, status)


def test_405_names_what_is_allowed(refuser: httpx.Client) -> None:
    allow = refuser.delete(LIST).headers.get("allow", "")
    assert {"GET", "HEAD"} == {*allow.split(", ")}


def test_a_read_only_key_may_list(refuser: httpx.Client) -> None:
    assert refuser.get(LIST, headers=READ_ONLY).status_code == 200


def elements(json_text: str) -> str:
    return f'{{"layer_id": 1, "element_dict": {json_text}}}'


@table(
    "body place kind",
    {
        "empty": ("", [], "json_invalid"),
        "no JSON": ("{layer_id}", [], "json_invalid"),
        "NaN": ('{"layer_id": NaN}', [], "json_invalid"),
        "no UTF-8": (b'{"mp_id": "\xff"}', [], "json_invalid"),
        "high surrogate": (r'{"layer_id": 1, "mp_id": "\ud800"}', [], "json_invalid"),
        "low surrogate": (r'{"layer_id": 1, "mp_id": "\udc00!"}', [], "json_invalid"),
        "deep array": ("[" * 100_000, [], "json_invalid"),
        "deep object": (elements('{"Ba": ' * 100_000 + "1" + "}" * 100_000), [], None),
        "less deep object": (elements('{"Ba": ' * 300 + "1" + "}" * 300), None, None),
        "null": ("null", [], "type"),
        "array": ("[1]", [], "type"),
        "no layer_id": ("{}", ["layer_id"], "required"),
        "null layer_id": ('{"layer_id": null}', ["layer_id"], "type"),
        "text layer_id": ('{"layer_id": "1"}', ["layer_id"], "type"),
        "bool layer_id": ('{"layer_id": true}', ["layer_id"], "type"),
        "fraction layer_id": ('{"layer_id": 1.5}', ["layer_id"], "type"),
        "2**63": (f'{{"layer_id": {2**63}}}', ["layer_id"], "maximum"),
        "-2**63 - 1": (f'{{"layer_id": {-(2**63) - 1}}}', ["layer_id"], "minimum"),
        "huge id": (f'{{"layer_id": 1, "id": {10**40}}}', ["id"], "maximum"),
        "number mp_id": ('{"layer_id": 1, "mp_id": 5020}', ["mp_id"], "type"),
        "unknown field": ('{"layer_id": 1, "x": 1}', ["x"], "additionalProperties"),
        "text elements": (elements('"BaO"'), ["element_dict"], "type"),
        "unknown element": (elements('{"Xx": 1}'), ["element_dict"], "propertyNames"),
        "negative amount": (elements('{"Ba": -1}'), ["element_dict", "Ba"], "minimum"),
        "text amount": (elements('{"Ba": "1"}'), ["element_dict", "Ba"], "type"),
    },
)
def test_422_in_the_form_of_fastapi(
    refuser: httpx.Client, body: str | bytes, place: list[str] | None, kind: str | None
) -> None:
    faults = detail_of(refuser.post(ADD, content=body, headers={**KEY, **JSON}), 422)
    assert faults
    for fault in faults:
        assert fault.keys() == {"loc", "msg", "type"}
        assert fault["msg"]
        assert isinstance(fault["type"], str)
        assert fault["loc"][0] == "body"
    if place is not None:
        assert faults[0]["loc"] == ["body", *place]
    if kind:
        assert faults[0]["type"] == kind


def test_every_fault_of_a_body_is_told(refuser: httpx.Client) -> None:
    faults = detail_of(refuser.post(ADD, json={"mp_id": 1, "id": "x"}, headers=KEY), 422)
    assert {fault["loc"][1] for fault in faults} == {"mp_id", "id", "layer_id"}


def test_404_for_an_unknown_sample(refuser: httpx.Client) -> None:
    answer = refuser.post(ADD, json={"layer_id": 1, "sample_id": 9}, headers=KEY)
    assert "sample_id 9" in detail_of(answer, 404)


def test_409_for_a_taken_position(refuser: httpx.Client) -> None:
    answer = refuser.post(ADD, json={"layer_id": 1, "sample_id": 42}, headers=KEY)
    assert detail_of(answer, 409) == "sample 42 has a layer at position 1 already"


def test_record_ids_are_taken_once(http: httpx.Client) -> None:
    sample = rows_of(http, 42)[0]
    linked = add(http, layer_id=8, sample_id=42, id=-5)
    unlinked = add(http, layer_id=8)
    assert linked["id"] == -5
    assert unlinked["sample_id"] is None
    for taken in (-5, unlinked["id"], sample["id"], sample["sample_id"]):
        answer = http.post(ADD, json={"layer_id": 99, "id": taken})
        assert f"record ID {taken} is taken" in detail_of(answer, 409)
    explicit = add(http, layer_id=8, id=unlinked["id"] + 2)
    ids = {add(http, layer_id=n)["id"] for n in range(5)}
    assert len(ids) == 5
    assert ids.isdisjoint({-5, unlinked["id"], explicit["id"]})


def test_no_record_id_equals_a_sample_id(http: httpx.Client) -> None:
    added = {add(http, layer_id=n, sample_id=42)["id"] for n in range(2, 30)}
    rows = rows_of(http)
    assert {row["sample_id"] for row in rows}.isdisjoint({row["id"] for row in rows} | added)


def test_an_unlinked_layer_is_not_listed(http: httpx.Client) -> None:
    before = rows_of(http)
    add(http, layer_id=1, composition_string="MgO")
    add(http, layer_id=1, sample_id=None)
    assert rows_of(http) == before


def test_entries_come_in_the_order_in_which_they_were_added(http: httpx.Client) -> None:
    add(http, layer_id=7, sample_id=43, id=5)
    add(http, layer_id=3, sample_id=43)
    assert [row["layer_id"] for row in rows_of(http, 43)] == [1, 2, 7, 3]


def test_an_integer_is_answered_as_one_however_it_was_written(http: httpx.Client) -> None:
    answer = http.post(
        ADD, content=b'{"layer_id": 7.0, "id": 8.0, "sample_id": 42e0}', headers=JSON
    )
    added = answer.json()
    assert [added[name] for name in ("layer_id", "id", "sample_id")] == [7, 8, 42]
    assert ".0" not in answer.text


BATIO3 = {"element_dict": {"Ba": 1, "Ti": 1, "O": 3}, "space_group": "P4mm", "mp_id": "mp-5020"}
UNREAD = {"element_dict": None, "space_group": None, "mp_id": None}
ALGAAS = {"Al": 0.3, "Ga": 0.7, "As": 1}
OWN = {"element_dict": {"Ba": 0.5}, "space_group": "P1", "mp_id": "mp-0"}


def formula(text: str, **fields: Any) -> dict[str, Any]:
    return {"composition_string": text, **fields}


@table(
    "sent filled",
    {
        "known": (formula("BaTiO3"), BATIO3),
        "null is absent": (formula("BaTiO3", **UNREAD), BATIO3),
        "given ones stay": (formula("BaTiO3", **OWN), OWN),
        "a given one stays": (formula("BaTiO3", mp_id="mp-0"), {**BATIO3, "mp_id": "mp-0"}),
        "empty": (formula("BaTiO3", element_dict={}), {**BATIO3, "element_dict": {}}),
        "readable": (formula("Al0.3Ga0.7As"), {**UNREAD, "element_dict": ALGAAS}),
        "no formula": (formula("a nice film\0"), UNREAD),
        "too many digits": (formula("Ba" + "9" * 5000), UNREAD),
        "no finite amount": (formula(f"Ba{'9' * 400}.5"), UNREAD),
        "no composition": ({}, UNREAD),
    },
)
def test_what_is_filled_in(
    http: httpx.Client, sent: dict[str, Any], filled: dict[str, Any]
) -> None:
    answer = http.post(ADD, json={"layer_id": 9, "sample_id": 42, "orientation": "001", **sent})
    row = rows_of(http, 42)[-1]
    assert answer.status_code == 201
    assert answer.json() == {
        "id": answer.json()["id"], "layer_id": 9, "sample_id": 42, "orientation": "001",
        "composition_string": None, **sent, **filled,
    }  # fmt: skip
    assert {name: row[name] for name in filled} == filled


def test_the_seed() -> None:
    with Sandbox() as sandbox, Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        stacks = client.list_target_materials().stacks()
    assert len([stack for stack in stacks if stack.layers]) >= 12
    assert [stack.sample_name for stack in stacks if not stack.layers] == ["InAs on GaSb, planned"]
    assert not any(stack.gaps or stack.duplicates for stack in stacks)
    assert len({stack.sample_name for stack in stacks}) == len(stacks)
    for layer in (layer for stack in stacks for layer in stack.layers):
        assert layer.elements == elements_of(layer.composition_string or "", SYMBOLS) != {}
        assert layer.orientation
    for row in (row for stack in stacks for row in stack.rows):
        assert {"organization_id", "layer_count_is_final"} <= {*row.additional_properties}
    texts = {str(stack) for stack in stacks}
    assert "BaTiO3(001)/SrTiO3(001)/Si" in texts
    assert any("Al0.3Ga0.7As" in text for text in texts)


@table(
    "text amounts",
    {
        "a perovskite": ("BaTiO3", {"Ba": 1, "Ti": 1, "O": 3}),
        "fractions": ("(La0.7Sr0.3)MnO3", {"La": 0.7, "Sr": 0.3, "Mn": 1, "O": 3}),
        "parentheses": ("Ca(OH)2", {"Ca": 1, "O": 2, "H": 2}),
        "nested": ("((Ba2O)2Ti)3", {"Ba": 12, "O": 6, "Ti": 3}),
        "repeated": ("SrOSrTiO3", {"Sr": 2, "Ti": 1, "O": 4}),
        "none of it": ("Al0Ga1As", {"Al": 0, "Ga": 1, "As": 1}),
        "cobalt": ("Co", {"Co": 1}),
        "carbon monoxide": ("CO", {"C": 1, "O": 1}),
    },
)
def test_elements_of(text: str, amounts: dict[str, float]) -> None:
    assert elements_of(text, SYMBOLS) == pytest.approx(amounts)


NONSENSE = ["", "Xx2O3", "ba", "Ba 2", "Ba1.", "Ba.5", "Ba1.5.2", "(BaO", "BaO)", ")(", "()"]
NONSENSE += ["Ba()2", "12", "2H2O", "Ba2(3)", "Ba\N{ARABIC-INDIC DIGIT THREE}", "BaTiO3\n"]
NONSENSE += ["BaTiO3-x", "Ba" + "9" * 5000, f"Ba{'9' * 400}.5"]


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: ascii(text)[:15])
def test_elements_of_nonsense(text: str) -> None:
    assert elements_of(text, SYMBOLS) is None


def asked_of(spec: dict[str, Any], method: str, path: str, **options: Any) -> httpx.Response:
    store = Store(None, SYMBOLS)

    async def ask() -> httpx.Response:
        app = application(spec, store, {"k": frozenset({"read", "write"})})
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
            return await http.request(method, path, headers={"X-API-KEY": "k"}, **options)

    try:
        return asyncio.run(ask())
    finally:
        store.close()


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    spec = copy.deepcopy(SPEC)
    change(spec)
    return spec


JSON_ANSWER: dict[str, Any] = {"200": {"content": {"application/json": {"schema": {}}}}}


@table(
    "operation",
    {
        "no body": ({"responses": {"204": {}}},),
        "JSON": ({"responses": JSON_ANSWER},),
        "501": ({"responses": {"501": {"$ref": "#/components/responses/NotFound"}}},),
        "default answer": ({"responses": {"default": {}}},),
        "range of answers": ({"responses": {"4XX": {}}},),
        "no JSON": ({"responses": {"200": {"content": {"text/csv": {}}}}},),
        "no JSON sent": ({"responses": JSON_ANSWER, "requestBody": {"content": {}}},),
    },
)
def test_501_for_an_operation_that_nobody_wrote(operation: dict[str, Any]) -> None:
    item = {"summary": "x", "delete": {"operationId": "drop_probe", **operation}}
    spec = changed(lambda spec: spec["paths"].update({"/probes/{probe}": item}))
    answer = asked_of(spec, "DELETE", "/probes/1")
    assert detail_of(answer, 501) == "the sandbox does not implement drop_probe"
    assert asked_of(spec, "GET", LIST).status_code == 200


def schema(name: str, **rules: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda spec: spec["components"]["schemas"][name].update(rules)


def without_201(spec: dict[str, Any]) -> None:
    del spec["paths"][ADD]["post"]["responses"]["201"]


@table(
    "change method path says",
    {
        "list": (schema("TargetMaterial", required=["run"]), "GET", LIST, "required property"),
        "add": (schema("Layer", maxProperties=7), "POST", ADD, "more than 7 properties"),
        "status": (without_201, "POST", ADD, "201 is not documented"),
    },
)
def test_500_for_an_answer_that_the_spec_does_not_allow(
    change: Callable[[dict[str, Any]], Any], method: str, path: str, says: str
) -> None:
    options = {"json": {"layer_id": 1}} if method == "POST" else {}
    detail = detail_of(asked_of(changed(change), method, path, **options), 500)
    assert detail.startswith("the sandbox made an answer that the spec does not allow")
    assert says in detail


def test_one_of_many_writers_gets_the_position(sandbox: Sandbox) -> None:
    barrier = threading.Barrier(8)

    def post(_: int) -> int:
        with httpx.Client(base_url=sandbox.base_url, headers=KEY, trust_env=False) as http:
            barrier.wait(30)
            return http.post(ADD, json={"layer_id": 9, "sample_id": 42}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(8))) == [201] + [409] * 7


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_by_itself(tmp_path: Path, signum: signal.Signals) -> None:
    db = tmp_path / "stacks.db"
    command = [sys.executable, "-W", "error::ResourceWarning", "-m"]
    command += ["atomscale_target_materials.sandbox", "--port", "0", "--db", str(db)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        assert process.stdout is not None
        assert str(db) in process.stdout.readline()
        exports = [process.stdout.readline().split() for _ in range(2)]
        names = [line[1].partition("=")[0] for line in exports]
        base_url, key = (line[1].partition("=")[2] for line in exports)
        assert [line[0] for line in exports] == ["export", "export"]
        assert names == ["ATOMSCALE_API_ENDPOINT", "ATOMSCALE_API_KEY"]
        with Client(key, base_url=base_url) as client:
            client.add_layer(layer_id=9, sample_id=42)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signum)
        rest, errors = process.communicate()
        watchdog.cancel()
    assert (process.returncode, rest, errors) == (0, "The sandbox has stopped.\n", "")
    with Sandbox(db) as sandbox, Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        assert client.list_target_materials().stack(42).at(9)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--db", "nowhere/stacks.db"], "--db nowhere/stacks.db cannot be used: unable to open"),
        (["--port", "99999"], "--port 99999 cannot be used"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(words: list[str], says: str) -> None:
    command = [sys.executable, "-m", "atomscale_target_materials.sandbox", "--port", "0", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_422_for_a_body_that_is_called_something_else(http: httpx.Client) -> None:
    answer = http.post(ADD, content=b'{"layer_id": 9}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422
    assert "the content type is 'text/plain'" in answer.json()["detail"][0]["msg"]


def test_there_is_no_address_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = Sandbox().base_url


def test_importing_main_serves_nothing() -> None:
    threads = threading.active_count()
    importlib.import_module("atomscale_target_materials.sandbox.__main__")
    assert threading.active_count() == threads


@pytest.mark.parametrize("missing", ["jsonschema_rs", "starlette", "uvicorn"])
def test_a_missing_extra_is_named(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import atomscale_target_materials.sandbox"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "ImportError: the sandbox needs an extra" in run.stderr.splitlines()[-1]
    assert "pip install 'atomscale-target-materials[sandbox]'" in run.stderr
