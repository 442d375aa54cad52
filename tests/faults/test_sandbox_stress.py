"""The sandbox under stress: kills, races, huge bodies, clients that are slow, gone or hostile."""

import contextlib
import functools
import itertools
import json
import logging
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

import atomscale_target_materials.sandbox
from atomscale_target_materials.sandbox import Sandbox, _app, _contract, _store
from atomscale_target_materials.sandbox._materials import elements_of

LIST, ADD = "/target-materials/", "/target-materials/layers/"
KEY = Sandbox.api_key
SYMBOLS = frozenset({"Ba", "Ti", "O"})
LAYER = {"sample_id": 42, "layer_id": 99}
LIMIT = 30.0


def client(base_url: str, key: str = KEY) -> httpx.Client:
    headers = {"X-API-KEY": key}
    return httpx.Client(base_url=base_url, headers=headers, trust_env=False, timeout=LIMIT)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@contextlib.contextmanager
def served(db: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The sandbox as a process of its own, and its address."""
    command = [sys.executable, "-m", "atomscale_target_materials.sandbox"]
    command += ["--port", "0", "--db", str(db)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watchdog = threading.Timer(2 * LIMIT, process.kill)
        watchdog.start()
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield process, process.stdout.readline().partition("=")[2].strip()
        finally:
            process.kill()
            watchdog.cancel()


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with client(sandbox.base_url) as http:
        yield http


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


# Kills

Written = tuple[int, int, str | None]


def layers(http: httpx.Client) -> list[Written]:
    rows = http.get(LIST).raise_for_status().json()
    return [(row["sample_id"], row["layer_id"], row["orientation"]) for row in rows]


def write(base_url: str, numbers: Iterator[int], answered: set[Written]) -> None:
    """Adds layer after layer until the server is gone."""
    with client(base_url) as http, contextlib.suppress(httpx.TransportError):
        while True:
            number = next(numbers)
            layer = {"sample_id": 42 + number % 3, "layer_id": number, "orientation": str(number)}
            answer = http.post(ADD, json=layer)
            assert answer.status_code == 201, answer.text
            answered.add((layer["sample_id"], layer["layer_id"], layer["orientation"]))  # type: ignore[arg-type]


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    db, numbers, answered = tmp_path / "stacks.db", itertools.count(100), set[Written]()
    for enough in (0, 1, 10, 60):
        with served(db) as (process, base_url), ThreadPoolExecutor(4) as pool:
            goal = len(answered) + enough
            writers = [pool.submit(write, base_url, numbers, answered) for _ in range(4)]
            try:
                until(lambda goal=goal: len(answered) >= goal)  # type: ignore[misc]
            finally:
                process.kill()
        for writer in writers:
            writer.result()
        with Sandbox(db) as sandbox, client(sandbox.base_url) as http:
            found = layers(http)
            assert answered <= {*found}
            places = Counter((sample_id, layer_id) for sample_id, layer_id, _ in found)
            assert max(places.values()) == 1
    assert len(answered) >= 71
    with contextlib.closing(sqlite3.connect(db)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


DYING = """
import itertools, os, signal, sys
from atomscale_target_materials.sandbox._store import Store

calls, insert = itertools.count(1), Store._insert

def dying(*arguments):
    insert(*arguments)
    if next(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

Store._insert = dying
Store(sys.argv[1], frozenset())
"""


@pytest.mark.parametrize("inserts", [1, 30])
def test_a_seed_that_was_killed_is_sown_anew(tmp_path: Path, inserts: int) -> None:
    db = tmp_path / "stacks.db"
    command = [sys.executable, "-c", DYING, str(db), str(inserts)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    whole, again = _store.Store(None, SYMBOLS), _store.Store(db, SYMBOLS)
    assert again.rows() == whole.rows()
    whole.close()
    again.close()


# Races

CLIENTS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import httpx

key, path, *urls = sys.argv[1:]
options = {"headers": {"X-API-KEY": key}, "trust_env": False, "timeout": 30}

def add(url):
    with httpx.Client(base_url=url, **options) as http:
        layers = [{"sample_id": 42, "layer_id": number} for number in range(100, 110)]
        return [(x["layer_id"], http.post(path, json=x).status_code) for x in layers]

with ThreadPoolExecutor(4) as pool:
    print("ready", flush=True)
    input()
    print(json.dumps([each for added in pool.map(add, urls * 2) for each in added]))
"""


def test_one_of_all_clients_of_two_servers_gets_a_position(tmp_path: Path) -> None:
    db = tmp_path / "stacks.db"
    with Sandbox(db) as one, served(db) as (_, other), contextlib.ExitStack() as stack:
        command = [sys.executable, "-c", CLIENTS, KEY, ADD, one.base_url, other]
        clients = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(2)
        ]
        for each in clients:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in clients:
            assert each.stdin is not None
            each.stdin.write("\n")
            each.stdin.flush()
        text = [each.communicate(timeout=2 * LIMIT)[0] for each in clients]
        with client(one.base_url) as http:
            found = Counter(layer_id for sample, layer_id, _ in layers(http) if sample == 42)
    answers = Counter(tuple(pair) for said in text for pair in json.loads(said))
    expected = {(number, 201): 1 for number in range(100, 110)}
    assert answers == expected | {(number, 409): 7 for number in range(100, 110)}
    assert found == {1: 1} | dict.fromkeys(range(100, 110), 1)


class Paused:
    """A method of the store that waits to be told to go on; who has come to it."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.come: list[_store.Store] = []
        self.go_on = threading.Event()
        method = getattr(_store.Store, name)

        def paused(store: _store.Store) -> Any:
            self.come.append(store)
            assert self.go_on.wait(LIMIT)
            return method(store)

        monkeypatch.setattr(_store.Store, name, paused)

    def run(self, *calls: Callable[[], Any]) -> list[Future[Any]]:
        """All at once: the first that comes here keeps the others waiting."""
        with ThreadPoolExecutor(len(calls)) as pool:
            futures = [pool.submit(call) for call in calls]
            try:
                until(lambda: len(self.come) > 0)
                assert not wait(futures, 0.2).done
                assert len(self.come) == 1
            finally:
                self.go_on.set()
        return futures


def test_a_position_is_looked_up_and_taken_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [_store.Store(tmp_path / "stacks.db", SYMBOLS) for _ in range(2)]
    adds = [functools.partial(store.add, LAYER) for store in stores]
    futures = Paused("_free_id", monkeypatch).run(*adds)
    (refused,) = [error for each in futures if (error := each.exception())]
    assert isinstance(refused, _store.Refusal)
    assert refused.status == 409
    for store in stores:
        store.close()


def test_two_sandboxes_that_start_at_once_on_a_new_file_share_one_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = functools.partial(_store.Store, tmp_path / "stacks.db", SYMBOLS)
    futures = Paused("_seed", monkeypatch).run(start, start)
    stores = [each.result() for each in futures] + [_store.Store(None, SYMBOLS)]
    one, other, plain = (store.rows() for store in stores)
    assert one == other == plain
    for store in stores:
        store.close()


@contextlib.contextmanager
def locked(db: Path) -> Iterator[None]:
    """Somebody else uses the database, and lets nobody in."""
    with contextlib.closing(sqlite3.connect(db, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield


def test_a_write_waits_for_others_that_use_the_database(tmp_path: Path) -> None:
    db = tmp_path / "stacks.db"
    with Sandbox(db) as sandbox, client(sandbox.base_url) as http, ThreadPoolExecutor(1) as pool:
        with locked(db):
            adding = pool.submit(http.post, ADD, json=LAYER)
            with pytest.raises(TimeoutError):
                adding.result(0.2)
        assert adding.result(LIMIT).status_code == 201


def test_503_when_the_database_stays_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_store, "BUSY_SECONDS", 0.05)
    db = tmp_path / "stacks.db"
    with Sandbox(db) as sandbox, client(sandbox.base_url) as http:
        with locked(db):
            refused = [http.post(ADD, json=LAYER), http.get(LIST)]
        with sandbox._store._lock:
            refused += [http.post(ADD, json=LAYER), http.get(LIST)]
        assert http.post(ADD, json=LAYER).status_code == 201
    assert {answer.status_code for answer in refused} == {503}
    assert [answer.json()["detail"] for answer in refused] == [
        *["the database cannot be used now: database is locked"] * 2,
        *["the database is busy"] * 2,
    ]


def test_it_stops_while_requests_wait_for_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_store, "BUSY_SECONDS", 1.0)
    db = tmp_path / "stacks.db"
    sandbox = Sandbox(db).start()

    def ask(_: int) -> None:
        with client(sandbox.base_url) as http, contextlib.suppress(httpx.TransportError):
            http.post(ADD, json=LAYER)

    with locked(db), ThreadPoolExecutor(3) as pool:
        pool.map(ask, range(3))
        until(lambda: len(sandbox._server.server_state.tasks) == 3)
        sandbox.stop()
    assert alarming(caplog.records) == []


Events = tuple[threading.Event, threading.Event]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Events:
    """The list is asked for; it may be answered."""
    begun, go_on = threading.Event(), threading.Event()

    def answer(*_: Any) -> tuple[int, Any]:
        begun.set()
        go_on.wait(LIMIT)
        return 200, []

    monkeypatch.setitem(_app.HANDLERS, "list_target_materials", answer)
    return begun, go_on


def test_what_is_under_way_when_it_stops_is_answered(
    held: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomscale_target_materials.sandbox, "GRACE_SECONDS", LIMIT)
    begun, go_on = held
    sandbox = Sandbox().start()
    with client(sandbox.base_url) as http, ThreadPoolExecutor(2) as pool:
        asked = pool.submit(http.get, LIST)
        assert begun.wait(LIMIT)
        stopping = pool.submit(sandbox.stop)
        until(lambda: not sandbox._server.servers[0].is_serving())
        go_on.set()
        assert asked.result().status_code == 200
        stopping.result()


# Huge bodies


def layer_of(size: int) -> bytes:
    """An unlinked layer in so many bytes."""
    text = json.dumps({"layer_id": 1, "composition_string": ""})
    return text.replace('""', f'"{"x" * (size - len(text))}"').encode()


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
@pytest.mark.parametrize(
    ("size", "status"),
    [(_app.LARGEST_BODY, 201), (_app.LARGEST_BODY + 1, 413), (12 * _app.LARGEST_BODY, 413)],
)
def test_413_for_a_huge_body(http: httpx.Client, size: int, status: int, chunked: bool) -> None:
    body = layer_of(size)
    assert len(body) == size
    for _ in range(3):
        answer = http.post(
            ADD, content=iter([body]) if chunked else body, headers={"Content-Type": "text/json"}
        )
        assert answer.status_code == status
    if status == 413:
        assert answer.json() == {"detail": "the body is longer than 1048576 bytes"}


@pytest.mark.parametrize("path", [LIST, ADD, "/nowhere"])
def test_413_whatever_else_is_wrong(sandbox: Sandbox, path: str) -> None:
    with client(sandbox.base_url, "unknown") as http:
        assert http.delete(path).status_code in {404, 405}
        answer = http.request("DELETE", path, content=b"x" * (2 * _app.LARGEST_BODY))
        assert answer.status_code == 413


def test_little_of_a_body_without_end_is_kept_and_it_is_cut_off() -> None:
    store = _store.Store(None, SYMBOLS)
    app = _app.application(_contract.load_spec(), store, {})
    part, sent, read = b"x" * 65536, list[Any](), itertools.count(1)

    async def receive() -> dict[str, Any]:
        next(read)
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": ADD, "headers": []}
    tracemalloc.start()
    anyio.run(app, scope, receive, send)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    store.close()
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]
    assert next(read) * len(part) <= _app.CUT_OFF + 2 * len(part)
    assert peak < 4 * _app.LARGEST_BODY


def connect(base_url: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", int(base_url.rpartition(":")[2])))
    sock.settimeout(LIMIT)
    return sock


def request(line: str, *headers: str, key: str = KEY) -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: x", f"X-API-KEY: {key}", "Content-Type: application/json"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def rest_of(sock: socket.socket) -> bytes:
    """What still comes, until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := sock.recv(65536):
            data += more
    return data


def test_a_client_that_writes_all_before_it_reads_reads_the_413(server: Sandbox) -> None:
    body = b"x" * (12 * _app.LARGEST_BODY)
    for _ in range(5):
        with connect(server.base_url) as sock:
            sock.sendall(request(f"POST {ADD}", f"Content-Length: {len(body)}") + body)
            assert rest_of(sock).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_writes_without_end_is_cut_off(sandbox: Sandbox, http: httpx.Client) -> None:
    chunk, sent = b"100000\r\n" + b"x" * 0x100000 + b"\r\n", 0
    with connect(sandbox.base_url) as sock:
        sock.sendall(request(f"POST {ADD}", "Transfer-Encoding: chunked"))
        with contextlib.suppress(ConnectionError):
            while sent < 8 * _app.CUT_OFF:
                sock.sendall(chunk)
                sent += len(chunk)
    assert _app.CUT_OFF - len(chunk) <= sent < 8 * _app.CUT_OFF
    assert http.get(LIST).status_code == 200


def test_faults_too_many_to_tell_are_counted(http: httpx.Client) -> None:
    unknown = {f"x{number}": -1 for number in range(1000)}
    answer = http.post(ADD, json={"layer_id": 1, "element_dict": unknown})
    (fault,) = answer.json()["detail"]
    assert answer.status_code == 422
    assert fault["loc"] == ["body"]
    assert fault["type"] == "too_many"
    assert fault["msg"].startswith("too many faults to tell in a body of ")


FORMULAS = {
    "overflow": f"{'(' * 41}Ba{')999999999' * 40})0.5",
    "sum": f"(Ba999999999)999999{'(Ba999999999)999999' * 20}",
    "nested": f"{'(' * 90_000}Ba{')999999999' * 90_000}",
    "long": "Ba" * 500_000,
    "open": "(" * 1_000_000,
}


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_a_formula_that_is_too_much_is_not_read(formula: str) -> None:
    assert elements_of(formula, SYMBOLS) is None


# Clients that are slow, gone or hostile

CHUNKED, LENGTH = "Transfer-Encoding: chunked", "Content-Length: 100"
# What they send, piece by piece; it is never a whole request that would be all right.
HOSTILE: dict[str, list[bytes]] = {
    "silent": [],
    "half a request line": [b"P", b"OST /tar"],
    "half a header": [b"GET / HTTP/1.1\r\n", b"X-API-KEY: ", KEY[:5].encode()],
    "no end of the headers": [request(f"POST {ADD}", LENGTH)[:-2]],
    "no body": [request(f"POST {ADD}", LENGTH)],
    "no body, asks first": [request(f"POST {ADD}", LENGTH, "Expect: 100-continue")],
    "half a body": [request(f"POST {ADD}", LENGTH), b'{"layer', b'_id": '],
    "half a body, no key": [request(f"POST {ADD}", LENGTH, key=""), b"{"],
    "half a body, unknown path": [request("POST /nowhere", LENGTH), b"{"],
    "half a huge body": [request(f"POST {ADD}", "Content-Length: 9000000"), b"x" * 2_000_000],
    "half a chunk": [request(f"POST {ADD}", CHUNKED), b"5\r\nhe"],
    "garbage": [b"\0\xff" * 500, b"\r\n\r\n"],
    "TLS": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x07" * 500],
    "a key as method": [f"{KEY} / HTTP/9\r\n\r\n".encode()],
    "two lengths": [request(f"POST {ADD}", LENGTH, "Content-Length: 5"), b"hello"],
    "no length": [request(f"POST {ADD}", "Content-Length: -1")],
    "garbage as chunk": [request(f"POST {ADD}", CHUNKED), b"5\r\nhello\r\n", b"garbage\r\n"],
    "garbage as chunk, no key": [request(f"POST {ADD}", CHUNKED, key=""), b"garbage\r\n"],
    "garbage as chunk, unknown path": [request("POST /nowhere", CHUNKED), b"garbage\r\n"],
    "garbage as chunk of a HEAD": [request(f"HEAD {LIST}", CHUNKED), b"garbage\r\n"],
    "garbage after a HEAD": [request(f"HEAD {LIST}") + request(f"HEAD {LIST}", CHUNKED), b"zz\r\n"],
    "garbage after the last": [request(f"GET {LIST}", "Connection: close"), b"garbage\r\n\r\n"],
    "endless header": [b"GET / HTTP/1.1\r\nX-API-KEY: ", *[KEY.encode() * 2000] * 4],
    "endless headers": [b"GET / HTTP/1.1\r\n", *[b"X-API-KEY: sandbox\r\n" * 2000] * 4],
    "websocket": [request(f"GET {LIST}", "Upgrade: websocket", "Connection: Upgrade")],
    "unread answers": [request(f"GET {LIST}") * 200],
}  # fmt: skip
RESET = struct.pack("ii", 1, 0)


def show_key(records: list[logging.LogRecord]) -> list[logging.LogRecord]:
    return [each for each in records if "sandbox-key" in f"{each.getMessage()} {vars(each)}"]


def alarming(records: list[logging.LogRecord]) -> list[logging.LogRecord]:
    return [each for each in records if each.exc_info or each.levelno >= logging.ERROR]


@pytest.mark.parametrize("pieces", HOSTILE.values(), ids=HOSTILE)
def test_a_bad_client_holds_nobody_up_and_leaves_no_trace(
    server: Sandbox, pieces: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connections = server._server.server_state.connections
    before = len(connections)
    with (
        client(server.base_url) as http,
        connect(server.base_url) as stays,
        connect(server.base_url) as leaves,
        connect(server.base_url) as resets,
    ):
        for piece in [*pieces, b""]:
            for sock in (stays, leaves, resets):
                with contextlib.suppress(ConnectionError):
                    sock.sendall(piece)
            assert http.get(LIST).status_code == 200
        resets.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        resets.close()
        leaves.close()
        until(lambda: len(connections) <= before + 2)
        stays.close()
        assert http.post(ADD, json={"layer_id": 1}).status_code == 201
    until(lambda: len(connections) <= before)
    assert alarming(caplog.records) == []
    assert show_key(caplog.records) == []


@pytest.mark.parametrize("level", [logging.DEBUG, 5], ids=["DEBUG", "uvicorn's TRACE"])
def test_the_log_of_the_server_does_not_show_the_key(
    caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "starlette"):
        caplog.set_level(level, name)
    with Sandbox() as sandbox:
        for key in (KEY, Sandbox.read_only_api_key, f"{KEY}-unknown"):
            with connect(sandbox.base_url) as sock:
                sock.sendall(
                    request(f"POST {ADD}", "Content-Length: 0", "Connection: close", key=key)
                )
                assert rest_of(sock).startswith(b"HTTP/1.1 4")
    assert "uvicorn.error" in {record.name for record in caplog.records}
    assert show_key(caplog.records) == []


def test_what_follows_a_last_request_is_not_read(
    server: Sandbox, held: Events, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go_on = held
    with client(server.base_url) as http, connect(server.base_url) as sock:
        sock.sendall(request(f"GET {LIST}", "Connection: close"))
        assert begun.wait(LIMIT)
        sock.sendall(b"garbage\r\n\r\n")
        assert http.get("/nowhere").status_code == 404
        go_on.set()
        assert rest_of(sock).endswith(b"\r\n\r\n[]")
    assert alarming(caplog.records) == []


def test_a_body_that_was_cut_short_is_not_carried_out(server: Sandbox) -> None:
    connections = server._server.server_state.connections
    with client(server.base_url) as http:
        with connect(server.base_url) as sock:
            sock.sendall(request(f"POST {ADD}", LENGTH) + json.dumps(LAYER).encode())
            assert http.get(LIST).status_code == 200
        until(lambda: len(connections) == 1)
        assert (42, 99, None) not in layers(http)


def test_a_client_that_drips_is_answered_in_the_end(server: Sandbox) -> None:
    body = b'{"layer_id": 7}'
    head = request(f"POST {ADD}", f"Content-Length: {len(body)}", "Connection: close")
    with client(server.base_url) as http, connect(server.base_url) as sock:
        for index in range(len(head + body)):
            sock.sendall((head + body)[index : index + 1])
            if not index % 10:
                assert http.get("/nowhere").status_code == 404
        assert rest_of(sock).startswith(b"HTTP/1.1 201 ")


def fill(sock: socket.socket) -> None:
    """Asks and asks and reads no answer, until no more questions are taken."""
    sock.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            sock.sendall(request(f"GET {LIST}") * 100)


def bad_clients(stack: contextlib.ExitStack, base_url: str) -> None:
    for pieces in HOSTILE.values():
        sock = stack.enter_context(connect(base_url))
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"".join(pieces))
    fill(stack.enter_context(connect(base_url)))


def test_it_stops_in_time_whoever_is_connected(caplog: pytest.LogCaptureFixture) -> None:
    sandbox = Sandbox().start()
    with contextlib.ExitStack() as stack:
        bad_clients(stack, sandbox.base_url)
        with client(sandbox.base_url) as http:
            assert http.get(LIST).status_code == 200
        begin = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - begin < 15
    assert alarming(caplog.records) == []


def test_200_idle_and_slow_clients_of_the_process(tmp_path: Path) -> None:
    with served(tmp_path / "stacks.db") as (process, base_url), contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(base_url)) for _ in range(170)]
        for sock in idle[::2]:
            sock.sendall(request(f"POST {ADD}", LENGTH)[:-2])
        bad_clients(stack, base_url)
        with client(base_url) as http:
            assert http.post(ADD, json=LAYER).status_code == 201
            assert http.get(LIST).status_code == 200
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=LIMIT)
        assert [rest_of(sock) for sock in idle] == [b""] * len(idle)
    assert process.returncode == 0
    assert output.endswith("The sandbox has stopped.\n")
    assert "Traceback" not in errors
    assert "sandbox-key" not in errors
    warnings = {"Invalid HTTP request received.", "Unsupported upgrade request."}
    assert {line for line in errors.splitlines() if "WebSocket library" not in line} <= warnings


# What cannot be started


def unusual(error: type[Exception]) -> Callable[..., socket.socket]:
    def create_server(*_: Any) -> socket.socket:
        raise error("no such port")

    return create_server


def test_no_database_is_left_open_where_it_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, connect = list[sqlite3.Connection](), sqlite3.connect

    def noted(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made.append(connect(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    text = tmp_path / "stacks.txt"
    text.write_text("This is no database, but a text that is long enough to be read as one.")
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        Sandbox(text).start()
    for error in (OSError, OverflowError):
        monkeypatch.setattr(socket, "create_server", unusual(error))
        with pytest.raises(error, match="no such port"):
            Sandbox().start()
    assert text.read_text().startswith("This is no database")
    for database in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            database.execute("SELECT 1")
    assert len(made) == 3
