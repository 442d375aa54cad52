"""The sandbox's HTTP side: an ASGI application made from the spec."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._contract import Operation, faults, operations_of
from ._store import Refusal, Store

Scopes = Mapping[str, frozenset[str]]
"""API key -> what it may do."""

LARGEST_BODY = 1 << 20
"""Bytes of a request's body; what comes after them is read and dropped, and answered 413."""
CUT_OFF = 32 * LARGEST_BODY
"""After these it is not read any longer."""
UNDOCUMENTED = {501, 503}
"""What may be answered though the spec does not say so."""

# What implements an operation: the request's body -> status and body of the answer.
HANDLERS: dict[str, Callable[[Store, Any], tuple[int, Any]]] = {
    "list_target_materials": lambda store, _: (200, store.rows()),
    "add_target_material_layer": lambda store, layer: (201, store.add(layer)),
}


def application(spec: dict[str, Any], store: Store, scopes: Scopes) -> Starlette:
    """Serves the operations of `spec`; each request and each answer is checked against it."""
    key_header = spec["components"]["securitySchemes"]["ApiKey"]["name"]

    def route(operation: Operation) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                _authorize(operation, scopes.get(request.headers.get(key_header, "")))
                status, answer = await _carry_out(operation, request, store)
            except Refusal as refusal:
                status, answer = refusal.status, {"detail": refusal.detail}
            return _checked(operation, status, answer)

        return Route(operation.path, endpoint, methods=[operation.method])

    app = Starlette(
        routes=[route(operation) for operation in operations_of(spec)],
        middleware=[Middleware(_Whole)],
        exception_handlers={HTTPException: _no_operation},
    )
    app.router.redirect_slashes = False
    return app


class _Whole:
    """Reads a request's body before anything is answered: a client that writes may not listen."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, length, more = bytearray(), 0, True
        while more and length <= CUT_OFF:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            part, more = message.get("body", b""), message.get("more_body", False)
            length += len(part)
            body += part if length <= LARGEST_BODY else b""

        async def whole() -> Message:
            return {"type": "http.request", "body": bytes(body)}

        await (self._app if length <= LARGEST_BODY else _TOO_LONG)(scope, whole, send)


def _authorize(operation: Operation, scopes: frozenset[str] | None) -> None:
    if scopes is None:
        raise Refusal(401, "the API key is missing or unknown")
    scope = "read" if operation.method == "GET" else "write"
    if scope not in scopes:
        raise Refusal(403, f"the API key lacks the scope {scope!r}")


async def _carry_out(operation: Operation, request: Request, store: Store) -> tuple[int, Any]:
    handler = HANDLERS.get(operation.operation_id)
    if handler is None:
        raise Refusal(501, f"the sandbox does not implement {operation.operation_id}")
    body = None
    if operation.body is not None:
        text = await request.body()
        body = _parsed(text, request.headers.get("content-type", ""))
        found = faults(operation.body, body, len(text))
        if found:
            raise Refusal(422, found)
    return await run_in_threadpool(handler, store, body)


def _parsed(body: bytes, content_type: str) -> Any:
    fault = f"the content type is {content_type!r} instead of JSON"
    if "json" in content_type:
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError) as error:
            fault = f"invalid JSON: {error}"
    raise Refusal(422, [{"loc": ["body"], "msg": fault, "type": "json_invalid"}])


def _checked(operation: Operation, status: int, answer: Any) -> Response:
    validator = operation.answers.get(status)
    fault = None if status in UNDOCUMENTED else f"{status} is not documented"
    if validator is not None:
        fault = next((error.message for error in validator.iter_errors(answer)), None)
    if fault:
        detail = f"the sandbox made an answer that the spec does not allow: {fault}"
        status, answer = 500, {"detail": detail}
    return _json(status, answer)


async def _no_operation(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    return _json(error.status_code, {"detail": error.detail}, error.headers)


def _json(status: int, answer: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(answer), status, headers, "application/json")


_TOO_LONG = _json(
    413, {"detail": f"the body is longer than {LARGEST_BODY} bytes"}, {"Connection": "close"}
)
