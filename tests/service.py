"""A scripted service that keeps layers: it lists what it has, and answers each write as told."""

import json
from collections.abc import Callable
from typing import Any

from .server import Peer, answer

Reply = Callable[["Service", dict[str, Any]], bytes]
INAS = {"layer_id": 1, "sample_id": 56, "composition_string": "InAs", "orientation": "001"}
EMPTY = {"id": 7, "sample_id": 56, "substrate": "GaSb", "layer_id": None}


class Service:
    """Lists what it has; answers each POST as the next of `replies` says, the last one again."""

    def __init__(self, *replies: Reply, rows: list[dict[str, Any]] | None = None) -> None:
        self.rows = [EMPTY] if rows is None else rows
        self.lists: Callable[[], bytes] = lambda: answer(200, self.rows)
        self.log: list[Any] = []
        self._replies = [*replies]

    def __call__(self, peer: Peer) -> None:
        while request := peer.request():
            if request.startswith(b"GET"):
                self.log.append("list")
                peer.send(self.lists())
                continue
            body = json.loads(request.partition(b"\r\n\r\n")[2])
            self.log.append(body["layer_id"])
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
            said = reply(self, body)
            if not said:
                return
            peer.send(said)


def store(service: Service, body: dict[str, Any], **changes: Any) -> None:
    service.rows = [*service.rows, {"id": 7, **body, **changes}]


def adds(service: Service, body: dict[str, Any]) -> bytes:
    store(service, body)
    return answer(201, {**body, "id": 100})


def loses_the_answer(service: Service, body: dict[str, Any]) -> bytes:
    store(service, body)
    return b""


def loses_the_request(_: Service, __: dict[str, Any]) -> bytes:
    return b""


def cuts_the_answer(service: Service, body: dict[str, Any]) -> bytes:
    return adds(service, body)[:-5]


def stores_another(service: Service, body: dict[str, Any]) -> bytes:
    store(service, body, orientation="110")
    return b""


def stores_twice(service: Service, body: dict[str, Any]) -> bytes:
    store(service, body)
    store(service, body)
    return b""


def answers(status: int, then: Reply = loses_the_request) -> Reply:
    def reply(service: Service, body: dict[str, Any]) -> bytes:
        then(service, body)
        return answer(status, {"detail": "no"})

    return reply
