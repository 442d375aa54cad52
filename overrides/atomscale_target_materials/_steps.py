"""What the operations ask of a driver, what comes back, and what may be tried again. All pure.

A request that has no effect is tried again after a failure that may pass. A write is tried again
only when it certainly never arrived (no connection was made) or was refused with 429: the API
offers no idempotency keys.
"""

from collections.abc import Generator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import attrs

from ._settings import Settings
from .errors import APIConnectionError, AtomscaleError

PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504, *range(520, 530)})
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0


@attrs.frozen
class Request:
    """One HTTP request as the generated code has it; the driver adds base URL, key and limits."""

    method: str
    url: str
    options: Mapping[str, Any]
    """What else `httpx.Request` takes: params, headers, content, data, files, cookies."""

    @property
    def is_safe(self) -> bool:
        """May it be sent again without a second effect?"""
        return self.method in ("GET", "HEAD")

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


@attrs.frozen
class Send:
    """After `pause` seconds send `request` once, within what is left of the call's timeout."""

    settings: Settings
    request: Request
    pause: float
    end: float | None
    """When the call's timeout ends, by the monotonic clock; None: it begins now."""


@attrs.frozen
class Failure:
    """Why there is no answer, or not all of it. A reason may quote a server: not in the repr."""

    reason: str = attrs.field(repr=False)
    error: type[AtomscaleError] = APIConnectionError
    sent: bool = True
    """False when certainly no byte of the request left."""
    passing: bool = True
    """False when trying again cannot help."""


@attrs.frozen
class Outcome:
    """What came of one `Send`: an answer, a failure, or both: an answer that broke off.

    Its repr leaves out what the server sent: a hostile one sends the key back.
    """

    left: float
    """Seconds that are left of the call's timeout."""
    now: float
    """Seconds since the epoch, for a Retry-After that is a date."""
    jitter: float
    """A random number in [0, 1), to spread what is tried again."""
    status: int | None
    headers: Mapping[str, str] = attrs.field(repr=False)
    """Names in lower case."""
    content: bytes | bytearray = attrs.field(repr=False)
    failure: Failure | None
    end: float | None
    """As of `Send`, for the next try."""


T = TypeVar("T")
Flow = Generator[Send, Outcome, T]


def pause(request: Request, outcome: Outcome, tries: int) -> float | None:
    """Seconds to wait before `request` is sent again after try number `tries` came to `outcome`.

    Args:
        request: What was sent.
        outcome: What came of it.
        tries: How often it was sent so far, from 1.

    Returns:
        What Retry-After asks for, else a pause drawn at random up to a bound that doubles ("full
        jitter": clients do not come back together). None when it may not be sent again, or when the
        pause would outlast the call.
    """
    if not _may_repeat(request, outcome):
        return None
    seconds = retry_after(outcome)
    if seconds is None:
        seconds = outcome.jitter * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries - 1, 10))
    return seconds if seconds < outcome.left else None


def _may_repeat(request: Request, outcome: Outcome) -> bool:
    status, failure = outcome.status, outcome.failure
    if status is None or 200 <= status <= 299:
        return failure is not None and failure.passing and (request.is_safe or not failure.sent)
    return status == 429 or (request.is_safe and status in PASSING_STATUSES)


def retry_after(outcome: Outcome) -> float | None:
    """Seconds that Retry-After asks for, a number or an HTTP date; None without a readable one."""
    value = outcome.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, when.replace(tzinfo=when.tzinfo or UTC).timestamp() - outcome.now)
