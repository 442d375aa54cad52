"""The mechanisms that keep the promises, each with a way to disable it.

Disabling one must break the rows that name it; an ordinary call still succeeds.
"""

import json
import re
import time
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
    _operations,
    _steps,
    _transport,
    _wire,
)
from atomscale_target_materials import errors as _errors
from atomscale_target_materials._settings import Secret, Settings

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


def pooled(option: str, value: Any, right: Any = _transport._pool) -> Disable:
    """The pools of httpcore have another value for one of their options."""

    def pool(*parts: Any) -> Any:
        made = right(*parts)
        assert hasattr(made, f"_{option}")
        setattr(made, f"_{option}", value)
        return made

    return replacing(_transport, "_pool", pool)


def forget_readers() -> None:
    _wire.reader.cache_clear()
    _wire.fields_of.cache_clear()


def uncached(disable: Disable) -> Disable:
    """For what the cached readers have captured."""

    def disabled(patch: pytest.MonkeyPatch) -> None:
        disable(patch)
        forget_readers()

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
    pause = _steps.pause
    patch.setattr(
        _steps,
        "pause",
        lambda request, outcome, tries: pause(request, attrs.evolve(outcome, left=1e12), tries),
    )


def reading(parse: Callable[[bytes], Any]) -> Disable:
    """An answer is read as JSON of what `parse` makes of it."""
    right = _codec.read

    def read(hint: Any, content: bytes) -> Any:
        return right(hint, msgspec.json.encode(parse(bytes(content))))

    return replacing(_codec, "read", read)


def _any_type(hint: Any, right: Callable[[Any], Any] = _wire._wire) -> tuple[Any, Any]:
    wire, make = right(hint)
    return wire if wire is msgspec.Raw or make is _wire._moment else Any, make


def _lenient(body: bytes) -> Any:
    return json.loads(re.sub(rb"\\ud[0-9a-f]{3}", b"?", body).decode(errors="replace"))


def _any_number(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_codec, "read", lambda hint, content: _wire.reader(hint)(content))
    patch.setattr(_codec, "ENCODER", json.JSONEncoder(default=_codec._plain))


def _sent_whatever_is_written(limits: Any, *_: object) -> None:
    limits.sent = True


def _settles_anything(response: Any) -> None:
    until = time.monotonic() + _transport.LONGEST_IDLE
    response.extensions["network_stream"].fresh_until = until


MECHANISMS: dict[str, Mechanism] = {
    "deadline": Mechanism(
        "_transport.Limits.left",
        "every socket operation is granted what is left of the call's time, no more",
        replacing(_transport.Limits, "left", lambda _: 60.0),
    ),
    "record of what was sent": Mechanism(
        "_transport.Limits.sends",
        "notes when a byte of the request may have left",
        replacing(_transport.Limits, "sends", lambda *_: None),
    ),
    "tunnel is no request": Mechanism(
        "_transport.Limits.sends",
        "what asks a proxy for a tunnel is not the request",
        replacing(_transport.Limits, "sends", _sent_whatever_is_written),
    ),
    "retries": Mechanism(
        "_steps.pause",
        "what may be sent again is, after a pause",
        replacing(_steps, "pause", lambda *_: None),
    ),
    "no second write": Mechanism(
        "_steps._may_repeat",
        "a write is sent again only if it never arrived or was refused with 429",
        replacing(_steps, "_may_repeat", lambda *_: True),
    ),
    "max_tries": Mechanism(
        "_operations.call",
        "counts the tries",
        replacing(Settings, "max_tries", property(lambda _: 9, lambda *_: None)),
    ),
    "Retry-After": Mechanism(
        "_steps.retry_after",
        "reads what the server asks for",
        replacing(_steps, "retry_after", lambda _: None),
    ),
    "pauses fit": Mechanism(
        "_steps.pause",
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
        "_settings.Secret.scrub",
        "takes secrets out of texts and bytes",
        lambda patch: (
            patch.setattr(Secret, "scrub", lambda _, text: text),
            patch.setattr(Secret, "scrub_bytes", lambda _, body: body),
        )[0],
    ),
    "typed decoding": Mechanism(
        "_codec._hint_of",
        "each value must fit its type hint",
        replacing(_codec, "_hint_of", lambda _: Any),
    ),
    "strict types": Mechanism(
        "_wire._wire",
        "no value is taken for one of another type",
        uncached(replacing(_wire, "_wire", _any_type)),
    ),
    "64 bits": Mechanism(
        "_wire.TYPES",
        "an integer fits 64 bits",
        uncached(lambda patch: patch.setitem(_wire.TYPES, int, int)),
    ),
    "gzip is decoded": Mechanism(
        "_transport.Body",
        "the one content coding that was asked for is undone, of error answers too",
        replacing(_drivers, "Body", lambda _, limit: _transport.Body("", limit)),
    ),
    "finite numbers": Mechanism(
        "_codec.read, _codec.ENCODER",
        "a number fits a double",
        _any_number,
    ),
    "strict JSON": Mechanism(
        "_wire.reader",
        "the body is JSON as the standard has it, in UTF-8",
        reading(_lenient),
    ),
    "one family of errors": Mechanism(
        "_drivers.FAILURES",
        "what goes wrong underneath becomes a text of ours",
        replacing(_drivers, "FAILURES", ()),
    ),
    "limit on the wire": Mechanism(
        "_transport.Limits.received",
        "counts each byte that a try receives",
        replacing(_transport.Limits, "received", lambda _, data: data),
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
        replacing(_drivers, "settle", _settles_anything),
    ),
}
