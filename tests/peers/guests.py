"""Lets a peer make the calls of the fault table, in a process of its own."""

import contextlib
import itertools
import os
import re
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from math import inf
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, Self

import attrs

from ..conftest import KEY
from ..faults.memory import peak
from ..faults.table import BOTH, CALLS, Guest, GuestError, answered
from ..server import Server

ROOT = Path(__file__).parents[2]
TIMEOUT = 30.0
"""Where a row names none: the default of ours."""
GRACE = 1.0
"""A call may take that many seconds more than its timeout."""
LONGEST = 10.0
"""After that many more seconds the process is killed."""
LATE = "too late"
NAMES = {
    "requests": "requests",
    "httpx": "httpx by hand",
    "generated": "generated client",
    "openai": "openai-python",
    "ours": "this client",
}
numbers = itertools.count()


class DoesNotApplyError(Exception):
    """The row asks for what only our clients have."""


class Worker:
    """The process of a peer."""

    def __init__(self, peer: str, python: str | Path) -> None:
        self.peer = peer
        self.python = python
        self._start()

    def _start(self) -> None:
        paths = [ROOT / "generated", *[ROOT / "overrides"] * (self.peer == "ours")]
        self.process = subprocess.Popen(
            [self.python, Path(__file__).with_name("worker.py"), self.peer],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        self._address = self.process.stdout.readline().strip()
        self._warm_up()

    def _warm_up(self) -> None:
        """The first call pays for the imports."""
        with Server(answered) as server:
            PeerCaller(self)(CALLS["list"], base_url=server.base_url)

    def ask(self, *question: Any, limit: float = TIMEOUT) -> tuple[Any, ...]:
        """What it answers; a call that ends too late, or never, is an AssertionError."""
        with Client(self._address) as connection:
            connection.send(question)
            took, *answer = self._answer(connection, time.monotonic() + limit + GRACE + LONGEST)
        assert took < limit + GRACE, LATE
        return tuple(answer)

    def _answer(self, connection: "Connection[Any, Any]", end: float) -> tuple[Any, ...]:
        while connection.poll(end - time.monotonic()):
            answer: tuple[Any, ...] = connection.recv()
            if answer[0] != "look up":
                return answer
            try:
                connection.send(socket.getaddrinfo(*answer[1], **answer[2]))
            except OSError as error:
                connection.send(error)
        self.process.kill()
        self.end()
        self._start()
        return (inf,)

    def versions(self) -> Mapping[str, str]:
        versions: Mapping[str, str] = self.ask(None, {}, "versions", {})[1]
        return versions

    def end(self) -> None:
        self.process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Row:
    """A row, or a layer, as a peer has it."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        return self.fields.get(name)

    @property
    def additional_properties(self) -> dict[str, Any]:
        from atomscale_target_materials_api.models import TargetMaterial

        documented = attrs.fields_dict(TargetMaterial)
        others = {*documented, "layer_id"} - {"additional_properties"}
        return {name: value for name, value in self.fields.items() if name not in others}


def shaped(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(shaped, value))
    return Row(value) if isinstance(value, dict) else value


@attrs.frozen
class PeerClient:
    """A peer's client, as rows use ours."""

    worker: Worker
    told: dict[str, Any]
    number: int = attrs.field(factory=lambda: next(numbers))

    def list_target_materials(self) -> Any:
        return self._call("list")

    def add_layer(self, *unnamed: Any, **layer: Any) -> Any:
        if unnamed or not is_plain(layer):
            raise DoesNotApplyError
        return self._call("add", layer)

    def close(self) -> None:
        self._call("close")

    def until_something_came(self) -> None:
        self._call("wait")

    def end(self) -> None:
        self.worker.ask(self.number, self.told, "end", {})

    def _call(self, act: str, layer: Mapping[str, Any] = {}) -> Any:
        answer = self.worker.ask(self.number, self.told, act, layer, limit=self.told["timeout"])
        if answer[0] == "value":
            return shaped(answer[1]) if act in BOTH else None
        _, text, name, status, is_picklable = answer
        raise GuestError(text, name, status, unfit(text, self.told["key"]), is_picklable)

    def __getattr__(self, name: str) -> Any:
        raise DoesNotApplyError(name)


def is_plain(value: Any) -> bool:
    """Can another process have it, without our packages?"""
    if isinstance(value, dict | list | tuple):
        return type(value).__module__ == "builtins" and all(
            is_plain(each)
            for each in (itertools.chain(*value.items()) if isinstance(value, dict) else value)
        )
    return type(value).__module__ == "builtins" or isinstance(value, Decimal)


def unfit(text: str, key: str | None) -> str:
    if {KEY, key} & {key for key in (KEY, key) if key and key in text}:
        return "the error shows the key"
    if re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]", text):
        return "control characters in the error"
    return "an error of great length" if len(text) > 10_000 else ""


@contextlib.contextmanager
def certificates(context: ssl.SSLContext | None) -> Iterator[str | None]:
    """A file of those that a context trusts."""
    if context is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ca.pem")
        found = context.get_ca_certs(binary_form=True)
        file.write_text("".join(map(ssl.DER_cert_to_PEM_cert, found)))
        yield str(file)


class PeerCaller(Guest):
    """Makes the calls of a row with a peer."""

    def __init__(self, worker: Worker) -> None:
        super().__init__("sync")
        self.worker = worker
        self.calls = 0

    def __call__(self, call: Callable[[Any], Any], key: str | None = KEY, **options: Any) -> Any:
        self.calls += 1
        base_url = options.pop("base_url", None)
        told = {
            "timeout": options.pop("timeout", TIMEOUT),
            "max_tries": options.pop("max_tries", None),
            "max_response_bytes": options.pop("max_response_bytes", None),
        }
        with certificates(options.pop("ssl_context", None)) as file:
            if options or not isinstance(base_url, str):
                raise DoesNotApplyError(*options)
            told |= {"key": key or os.environ.get("AS_API_KEY"), "base_url": base_url}
            told |= {"ca_file": file, "environ": environ()}
            client = PeerClient(self.worker, told)
            try:
                return call(client)
            finally:
                client.end()

    def grown(self, operation: str, base_url: str) -> dict[str, Any]:
        """What a call adds to a process that has made one before."""
        self.calls += 1
        with Worker(self.worker.peer, self.worker.python) as worker:
            call, process = PeerCaller(worker), worker.process.pid
            before = peak(process, anew=True)
            with contextlib.suppress(GuestError):
                call(CALLS[operation], base_url=base_url)
                raise AssertionError("no error")
            return {"error": None, "grown": peak(process) - before}


def environ() -> dict[str, str]:
    """Without certificates of this machine: a row sets its own."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_CA_BUNDLE")}
