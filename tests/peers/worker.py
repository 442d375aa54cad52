"""Makes calls with one peer, in a process that imports nothing else.

    python worker.py PEER

Prints where it listens. A connection is one call: it is told everything, and answers with what came
of it. Names of hosts are looked up by who calls, where a test may say what they mean.
"""

import gc
import os
import pickle
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from multiprocessing.connection import Connection, Listener
from typing import Any, NamedTuple

LIST, ADD = "/target-materials/", "/target-materials/layers/"
Told = dict[str, Any]


class Client(NamedTuple):
    """A peer's client, and the two operations with it."""

    itself: Any
    list: Callable[[], Any]
    add: Callable[[dict[str, Any]], Any]


def by_requests(told: Told) -> Client:
    requests: Any = import_module("requests")
    session = requests.Session()
    session.headers["X-API-KEY"] = told["key"]
    session.verify = told["ca_file"] or True
    base_url = told["base_url"].rstrip("/")

    def send(method: str, path: str, **options: Any) -> Any:
        response = session.request(method, base_url + path, timeout=told["timeout"], **options)
        response.raise_for_status()
        return response.json()

    return Client(session, lambda: send("GET", LIST), lambda layer: send("POST", ADD, json=layer))


def by_httpx(told: Told) -> Client:
    httpx: Any = import_module("httpx")
    client = httpx.Client(
        base_url=told["base_url"],
        headers={"X-API-KEY": told["key"]},
        timeout=told["timeout"],
        verify=trusting(told),
    )

    def send(method: str, path: str, **options: Any) -> Any:
        return client.request(method, path, **options).raise_for_status().json()

    return Client(client, lambda: send("GET", LIST), lambda layer: send("POST", ADD, json=layer))


class RefusedError(Exception):
    """A refusal that the generated client returns as a value."""


def by_generated(told: Told) -> Client:
    package = "atomscale_target_materials_api"
    operations = f"{package}.api.target_materials"
    api: Any = import_module(package)
    listing: Any = import_module(f"{operations}.list_target_materials")
    adding: Any = import_module(f"{operations}.add_target_material_layer")
    models: Any = import_module(f"{package}.models")
    client = api.AuthenticatedClient(
        base_url=told["base_url"],
        token=told["key"],
        prefix="",
        auth_header_name="X-API-KEY",
        timeout=import_module("httpx").Timeout(told["timeout"]),
        verify_ssl=trusting(told),
        raise_on_unexpected_status=True,
    )

    def add(layer: dict[str, Any]) -> Any:
        body = models.LayerCreate(**with_elements(models, layer))
        return parsed(models, adding.sync_detailed(client=client, body=body)).to_dict()

    return Client(
        client.get_httpx_client(),
        lambda: [row.to_dict() for row in parsed(models, listing.sync_detailed(client=client))],
        add,
    )


def with_elements(models: Any, layer: dict[str, Any]) -> dict[str, Any]:
    elements = layer.get("element_dict")
    if not isinstance(elements, dict):
        return layer
    return {**layer, "element_dict": models.ElementDictCreate.from_dict(elements)}


def parsed(models: Any, response: Any) -> Any:
    if isinstance(response.parsed, models.Error):
        error: Any = RefusedError(response.status_code.value)
        error.status_code = response.status_code.value
        raise error
    return response.parsed


def by_openai(told: Told) -> Client:
    openai: Any = import_module("openai")
    tries = told["max_tries"]
    client = openai.OpenAI(
        api_key="unused",
        base_url=told["base_url"],
        default_headers={"X-API-KEY": told["key"]},
        timeout=told["timeout"],
        http_client=openai.DefaultHttpxClient(verify=trusting(told)),
        **({} if tries is None else {"max_retries": tries - 1}),
    )
    as_json: Told = {"cast_to": object, "options": {"headers": {"Authorization": openai.Omit()}}}
    return Client(
        client,
        lambda: client.get(LIST, **as_json),
        lambda layer: client.post(ADD, body=layer, **as_json),
    )


def by_ours(told: Told) -> Client:
    ours: Any = import_module("atomscale_target_materials")
    limits = ("timeout", "max_tries", "max_response_bytes")
    client = ours.Client(
        told["key"],
        base_url=told["base_url"],
        ssl_context=trusting(told) if told["ca_file"] else None,
        **{name: told[name] for name in limits if told[name] is not None},
    )
    return Client(
        client,
        lambda: [row.to_dict() for row in client.list_target_materials()],
        lambda layer: client.add_layer(**layer).to_dict(),
    )


def trusting(told: Told) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=told["ca_file"]) if told["ca_file"] else True


PEERS: dict[str, tuple[Callable[[Told], Client], tuple[str, ...]]] = {
    "requests": (by_requests, ("requests", "urllib3")),
    "httpx": (by_httpx, ("httpx", "httpcore")),
    "generated": (by_generated, ("httpx", "attrs")),
    "openai": (by_openai, ("openai", "httpx2")),
    "ours": (by_ours, ("atomscale-target-materials", "httpx")),
}
"""How each is made, and which distributions it is."""


class Worker:
    """Serves one call after the other, or beside it."""

    def __init__(self, peer: str) -> None:
        self.make, self.distributions = PEERS[peer]
        self.clients: dict[int, Client] = {}
        self.making = threading.Lock()
        self.callers = threading.local()
        self.find = socket.getaddrinfo
        socket.getaddrinfo = self.look_up

    def look_up(self, *arguments: Any, **options: Any) -> Any:
        connection: Connection = self.callers.connection
        connection.send(("look up", arguments, options))
        found = connection.recv()
        if isinstance(found, Exception):
            raise found
        return found

    def serve(self, connection: Connection) -> None:
        with connection, suppress(EOFError, OSError):
            self.callers.connection = connection
            number, told, act, layer = connection.recv()
            began = time.monotonic()
            try:
                answer: tuple[Any, ...] = ("value", self.act(number, told, act, layer))
            except Exception as error:  # noqa: BLE001 - whatever a peer raises
                answer = ("error", *described(error))
            connection.send((time.monotonic() - began, *answer))

    def act(self, number: int, told: Told, act: str, layer: dict[str, Any]) -> Any:
        if act == "versions":
            return {name: version(name) for name in self.distributions}
        if act == "end":
            client = self.clients.pop(number, None)
            return client and client.itself.close()
        with self.making:
            if number not in self.clients:
                os.environ.clear()
                os.environ.update(told["environ"])
                self.clients[number] = self.make(told)
        client = self.clients[number]
        if act == "close":
            return client.itself.close()
        if act == "wait":
            return until_something_came()
        return client.list() if act == "list" else client.add(layer)


def until_something_came() -> None:
    """Waits until an idle connection has something to read."""
    found = [each for each in gc.get_objects() if isinstance(each, socket.socket)]
    opened = [each for each in found if each.fileno() >= 0 and each.family == socket.AF_INET]
    select.select(opened, [], [], 1.5)


def described(error: Exception) -> tuple[str, str, int | None, bool]:
    """Its text, its name, the status that it has, and whether it can be pickled."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", getattr(response, "status_code", None))
    try:
        twin = pickle.loads(pickle.dumps(error))
        is_picklable = type(twin) is type(error) and str(twin) == str(error)
    except Exception:  # noqa: BLE001 - however it fails
        is_picklable = False
    return f"{error!r} {error}", type(error).__name__, status, is_picklable


def main() -> None:
    worker = Worker(sys.argv[1])
    with Listener(backlog=64) as listener:
        print(listener.address, flush=True)
        threading.Thread(target=ends_with_its_parent, daemon=True).start()
        while True:
            connection = listener.accept()
            threading.Thread(target=worker.serve, args=(connection,), daemon=True).start()


def ends_with_its_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
