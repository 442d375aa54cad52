"""The mechanisms that keep the promises, each with a way to disable it.

Disabling one must break the rows that name it; an ordinary call still succeeds.
"""

import json
from collections.abc import Callable
from typing import Any

import attrs
import httpcore
import httpx
import msgspec
import pytest

from atomscale_target_materials import (
    _codec,
    _drivers,
    _network,
    _operations,
    _retry,
    _transport,
    _wire,
)
from atomscale_target_materials import errors as _errors
from atomscale_target_materials._secrets import Secret
from atomscale_target_materials._settings import Settings

Disable = Callable[[pytest.MonkeyPatch], None]


@attrs.frozen
class Mechanism:
    """One mechanism."""

    place: str
    """Where it stands: module and name."""
    does: str
    """In a few words, for the table."""
    disable: Disable


def replacing(owner: Any, name: str, substitute: Any) -> Disable:
    return lambda patch: patch.setattr(owner, name, substitute)


def forget_converters() -> None:
    _wire.converter.cache_clear()
    _wire._fields.cache_clear()


def uncached(disable: Disable) -> Disable:
    """For what the cached converters have captured."""

    def disabled(patch: pytest.MonkeyPatch) -> None:
        disable(patch)
        forget_converters()

    return disabled


def _follows(patch: pytest.MonkeyPatch) -> None:
    def plain(response: httpx.Response) -> httpx.Response:
        return httpx.Response(response.status_code, content=response.content)

    def follow(_: Any, request: httpx.Request) -> httpx.Response:
        with httpx.Client(follow_redirects=True, trust_env=False, verify=False) as client:
            return plain(client.send(request))

    async def follow_async(_: Any, request: httpx.Request) -> httpx.Response:
        client = httpx.AsyncClient(follow_redirects=True, trust_env=False, verify=False)
        async with client:
            return plain(await client.send(request))

    patch.setattr(_transport.Transport, "handle_request", follow)
    patch.setattr(_transport.AsyncTransport, "handle_async_request", follow_async)


def _waits_for_any_pause(patch: pytest.MonkeyPatch) -> None:
    pause = _retry.pause
    patch.setattr(
        _retry,
        "pause",
        lambda request, outcome, tries: pause(request, attrs.evolve(outcome, left=1e12), tries),
    )


def _coerced(value: Any, kind: Any) -> Any:
    value = int(value) if isinstance(value, bool) else value
    return msgspec.convert(str(value) if kind is str else value, kind, strict=False)


def _sent_whatever_is_written(limits: Any, _: bytes) -> None:
    limits.sent = True


MECHANISMS: dict[str, Mechanism] = {
    "deadline": Mechanism(
        "_network.Limits.left",
        "every socket operation is granted what is left of the call's time, no more",
        replacing(_network.Limits, "left", lambda _: 60.0),
    ),
    "record of what was sent": Mechanism(
        "_network.Limits.sends",
        "notes when a byte of the request may have left",
        replacing(_network.Limits, "sends", lambda *_: None),
    ),
    "tunnel is no request": Mechanism(
        "_network.Limits.sends",
        "what asks a proxy for a tunnel is not the request",
        replacing(_network.Limits, "sends", _sent_whatever_is_written),
    ),
    "retries": Mechanism(
        "_retry.pause",
        "what may be sent again is, after a pause",
        replacing(_retry, "pause", lambda *_: None),
    ),
    "no second write": Mechanism(
        "_retry._may_repeat",
        "a write is sent again only if it never arrived or was refused with 429",
        replacing(_retry, "_may_repeat", lambda *_: True),
    ),
    "max_tries": Mechanism(
        "_operations.call",
        "counts the tries",
        replacing(Settings, "max_tries", property(lambda _: 9, lambda *_: None)),
    ),
    "Retry-After": Mechanism(
        "_retry.retry_after",
        "reads what the server asks for",
        replacing(_retry, "retry_after", lambda _: None),
    ),
    "pauses fit": Mechanism(
        "_retry.pause",
        "a pause that would outlast the call ends it at once",
        _waits_for_any_pause,
    ),
    "no redirects": Mechanism(
        "_transport.Transport",
        "httpx's transport is called directly: nothing follows a redirect",
        _follows,
    ),
    "status first": Mechanism(
        "_codec.failure_of",
        "the status is judged before anything is parsed",
        replacing(_operations, "failure_of", lambda *_: None),
    ),
    "error classes": Mechanism(
        "errors.class_for_status",
        "each status has its class",
        replacing(_codec, "class_for_status", lambda _: _errors.APIStatusError),
    ),
    "reading of detail": Mechanism(
        "_codec._detail_of",
        "makes what an error answer says readable",
        replacing(_codec, "_detail_of", lambda _: ""),
    ),
    "clean texts": Mechanism(
        "_codec.clean",
        "a server's text becomes one short line without control characters or secrets",
        replacing(_codec, "clean", lambda text, _: text),
    ),
    "scrubber": Mechanism(
        "_secrets.Secret.scrub",
        "takes secrets out of texts and bytes",
        lambda patch: (
            patch.setattr(Secret, "scrub", lambda _, text: text),
            patch.setattr(Secret, "scrub_bytes", lambda _, body: body),
        )[0],
    ),
    "typed decoding": Mechanism(
        "_wire.converter",
        "each value must fit its type hint",
        replacing(_codec, "converter", lambda _: lambda value: value),
    ),
    "strict types": Mechanism(
        "_wire._checked",
        "no value is turned into one of another type",
        uncached(replacing(_wire, "_checked", _coerced)),
    ),
    "64 bits": Mechanism(
        "_wire._OURS",
        "an integer fits 64 bits",
        uncached(lambda patch: patch.setitem(_wire._OURS, int, lambda x: _wire._checked(x, int))),
    ),
    "gzip is decoded": Mechanism(
        "_transport.Body",
        "the one content coding that was asked for is undone, of error answers too",
        replacing(_drivers, "Body", lambda _, limit: _transport.Body("", limit)),
    ),
    "finite numbers": Mechanism(
        "_wire.finite",
        "a number fits a double",
        replacing(_wire, "finite", lambda number: number),
    ),
    "strict JSON": Mechanism(
        "msgspec.json.decode",
        "the body is JSON as the standard has it, in UTF-8",
        lambda patch: patch.setattr(
            msgspec.json, "decode", lambda body: json.loads(bytes(body).decode(errors="replace"))
        ),
    ),
    "one family of errors": Mechanism(
        "_drivers.FAILURES",
        "what goes wrong underneath becomes a text of ours",
        replacing(_drivers, "FAILURES", ()),
    ),
    "limit on the wire": Mechanism(
        "_network.Limits.received",
        "counts each byte that a try receives",
        replacing(_network.Limits, "received", lambda _, data: data),
    ),
    "limit of the body": Mechanism(
        "_transport.Body",
        "counts the decompressed bytes",
        replacing(_transport.Body, "_add", lambda body, piece: body.content.extend(piece)),
    ),
    "limit of the header": Mechanism(
        "httpcore",
        "100 KiB of header at most",
        lambda patch: (
            patch.setattr(httpcore.HTTP11Connection, "MAX_INCOMPLETE_EVENT_SIZE", 10**9),
            patch.setattr(httpcore.AsyncHTTP11Connection, "MAX_INCOMPLETE_EVENT_SIZE", 10**9),
        )[0],
    ),
    "nothing left over": Mechanism(
        "_transport.settle",
        "a connection with bytes left over is not used again",
        replacing(_drivers, "settle", lambda _: None),
    ),
}
