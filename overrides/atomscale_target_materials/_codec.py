"""From arguments to JSON, and from an answer to generated models or the error that it deserves.

The status is judged first, then the content type; only then is anything parsed. Which statuses and
types mean success is asked of the generated code.
"""

import datetime
import json
import numbers
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, partial
from operator import index
from types import ModuleType, NoneType
from typing import Any, Union, get_args

import msgspec

from atomscale_target_materials_api.errors import UnexpectedStatus
from atomscale_target_materials_api.models import Error

from ._settings import Settings
from ._steps import Outcome, Request, retry_after
from ._wire import DIGITS, Mismatch, hints_of, reader, step
from .errors import APIResponseValidationError, AtomscaleError, class_for_status

CERTAINLY_NOT_DONE = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 422, 429})
LONGEST_DETAIL = 2000
LATER = " Try again later, or with another timeout, max_tries or max_response_bytes."
NOT_SENT = " Nothing was sent: are base_url, network, proxy and certificates right?"
UNKNOWN = " Whether the write was carried out is unknown: look before you send it again."


@cache
def _hint_of(operation: ModuleType) -> Any:
    """The type of an operation's success, as the generated `_parse_response` has it.

    Error answers all have the one schema `Error`, which no success uses: so its type tells them.
    """
    hint = hints_of(operation._parse_response)["return"]  # noqa: SLF001 - a contract test guards it
    # The generator writes Any for what it does not read, too: a 204.
    kinds = [kind for kind in get_args(hint | None) if kind not in (Any, Error, NoneType)]
    return Union[tuple(kinds) or Any]  # noqa: UP007 - of as many as there are


class _Response(msgspec.Struct):
    """Stands for the response, and for a strict client, in the generated `_parse_response`.

    It has no `json`: what wants that is read by `read`.
    """

    outcome: Outcome
    raise_on_unexpected_status: bool = True
    status_code = property(lambda self: self.outcome.status)
    content = property(lambda self: bytes(self.outcome.content))
    text = property(lambda self: self.content.decode())


def failure_of(request: Request, outcome: Outcome, settings: Settings) -> AtomscaleError | None:
    """The error that an outcome stands for; None for a complete answer with a status of 2xx."""
    if outcome.status is not None and not 200 <= outcome.status <= 299:
        return _refusal(request, outcome.status, outcome, settings)
    failure = outcome.failure
    if failure is None:
        return None
    unknown = failure.sent and not request.is_safe
    through = f" through the proxy {settings.proxy.url}" if settings.proxy else ""
    told = f"{request} to {settings.base_url}{through} failed: {failure.reason}"
    advice = UNKNOWN if unknown else LATER if failure.sent else NOT_SENT
    return failure.error(f"{clean(told, settings)}.{advice}", outcome_unknown=unknown)


def decode(request: Request, outcome: Outcome, operation: ModuleType, settings: Settings) -> Any:
    """The value of a complete answer with a status of 2xx, or APIResponseValidationError."""
    path = ""
    try:
        return _value_of(outcome, operation)
    except UnexpectedStatus:
        fault = "the status is not a documented success"
    except RecursionError:
        fault = "it is nested too deeply"
    except (Mismatch, ValueError) as error:
        fault, path = str(error), getattr(error, "path", "")
    fault, path = clean(fault, settings), clean(path, settings)
    place = f" at {path}" if path not in ("", "$") else ""
    raise APIResponseValidationError(
        f"{request} answered {outcome.status}, but not what the API describes: {fault}{place}. "
        "The answer is in the error's .body." + ("" if request.is_safe else UNKNOWN),
        path=path or None,
        body=settings.key.scrub_bytes(bytes(outcome.content)),
        outcome_unknown=not request.is_safe,
    )


def _value_of(outcome: Outcome, operation: ModuleType) -> Any:
    with suppress(AttributeError):
        response = _Response(outcome)
        return operation._parse_response(client=response, response=response)  # noqa: SLF001
    content_type = outcome.headers.get("content-type", "").partition(";")[0].strip()
    if content_type and not re.fullmatch(r"(?i)application/([^,]+\+)?json", content_type):
        raise ValueError(f"the content type is {content_type!r} instead of JSON")
    if not outcome.content:
        raise ValueError("the body is empty")
    return read(_hint_of(operation), outcome.content)


def _refusal(request: Request, status: int, outcome: Outcome, settings: Settings) -> AtomscaleError:
    detail = clean(_detail_of(outcome), settings)
    unknown = not request.is_safe and status not in CERTAINLY_NOT_DONE
    says = f": {detail}" if detail else ""
    doubt = UNKNOWN if unknown else LATER if status >= 500 else ""
    return class_for_status(status)(
        f"{request} answered {status}{says}.{_advice(status, detail, outcome, settings)}{doubt}",
        status_code=status,
        detail=detail or None,
        request_id=clean(outcome.headers.get("x-request-id", ""), settings) or None,
        outcome_unknown=unknown,
    )


def _advice(status: int, detail: str, outcome: Outcome, settings: Settings) -> str:
    if 300 <= status <= 399:
        target = clean(outcome.headers.get("location", ""), settings) or "(no location)"
        return f" It redirects to {target}; redirects are never followed: check base_url."
    if status == 404 and detail in ("", "Not Found"):
        return f" Is base_url right: {clean(settings.base_url, settings)}?"
    wait = retry_after(outcome)
    return {
        401: f" The key came from {settings.key_source}: is it the right one, and not revoked?",
        403: " The key may lack the scope: `read` to list, `write` to add.",
        429: f" Wait {'a while' if wait is None else f'{wait:g} seconds'} before the next call.",
    }.get(status, "")


def clean(text: str, settings: Settings) -> str:
    """A server's text, fit for a message: one line, no control characters, no key, not too long."""
    text = settings.key.scrub(text)[: 10 * LONGEST_DETAIL]
    shown = "".join(char for char in text if char.isprintable() or char.isspace())
    return settings.key.scrub(" ".join(shown.split()))[:LONGEST_DETAIL]


def _detail_of(outcome: Outcome) -> str:
    """What an error answer says: FastAPI's `detail`, else JSON or text; HTML says nothing."""
    try:
        content = msgspec.json.decode(outcome.content)
        detail = content.get("detail") if isinstance(content, dict) else None
        if isinstance(detail, str):
            return detail
        if isinstance(detail, list) and detail and all(map(_is_fastapi, detail)):
            return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in detail)
        return msgspec.json.encode(content).decode()
    except (ValueError, RecursionError):
        text = bytes(outcome.content).decode(errors="replace").lstrip("\ufeff \t\r\n")
        return "" if text.startswith("<") else text  # HTML says nothing.


def _is_fastapi(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("loc"), list) and "msg" in item


def _plain(value: Any) -> Any:
    """What JSON has for what it does not know: numpy's numbers, models, mappings of any keys."""
    if hasattr(value, "to_dict") and not isinstance(value, type):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): each for key, each in value.items()}
    with suppress(TypeError):
        return index(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"`{type(value).__name__}` has no JSON form")


_OPTIONS: Any = {"ensure_ascii": False, "check_circular": False, "separators": (",", ":")}
ENCODER = json.JSONEncoder(default=_plain, allow_nan=False, **_OPTIONS)


def _encoded(value: Any, levels: int = 9) -> bytes:
    try:
        return ENCODER.encode(value).encode()
    except (TypeError, ValueError, OverflowError) as error:
        told = {TypeError: str(error), UnicodeEncodeError: "Expected text that UTF-8 can encode"}
        fault = told.get(type(error), "Expected a finite number in the range of a double")
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    # Not to the bottom: each level costs as much as the whole.
    for place, member in value.items() if levels and isinstance(value, Mapping) else ():
        step(place, partial(_encoded, levels=levels - 1), member)
    raise Mismatch(fault)


def read(hint: Any, content: bytes | bytearray) -> Any:
    """The value that JSON has for a type hint of the generated code, or Mismatch."""
    # An integer beyond every double has 309 digits: of each 32nd byte 9 in a row are digits.
    if all(b"0" * (309 // n) in content[::n].translate(DIGITS) for n in (32, 1)):
        _encoded(json.loads(content, parse_int=float))
    return reader(hint)(content)


def fitting(hint: Any, value: Any, place: str) -> tuple[bytes, Any]:
    """`value` as JSON and as its hint has it; TypeError or ValueError tells where it does not."""
    try:
        if isinstance(value, datetime.date | uuid.UUID) and type(value) in (hint, *get_args(hint)):
            value = str(value).replace(" ", "T")
        content = _encoded(value)
        return content, read(hint, content)
    except Mismatch as mismatch:
        kind = ValueError if mismatch.is_value else TypeError
        place = (place + mismatch.path[1:]).lstrip(".")
        fault = str(mismatch)
    except RecursionError:
        kind, fault = ValueError, "nested too deeply"
    raise kind(f"{place}: {fault}" if place else fault)
