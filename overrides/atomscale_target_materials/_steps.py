"""What the operations ask of a driver, and what comes back. Values only."""

from collections.abc import Generator, Mapping
from typing import Any, TypeVar

import attrs

from ._settings import Settings
from .errors import APIConnectionError, AtomscaleError


@attrs.frozen
class Request:
    """One HTTP request as the generated code has it; the driver adds base URL, key and limits."""

    method: str
    url: str
    options: Mapping[str, Any] = attrs.field(factory=dict)
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
    pause: float = 0.0
    end: float | None = None
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
    jitter: float = 0.0
    """A random number in [0, 1), to spread what is tried again."""
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Names in lower case."""
    content: bytes | bytearray = attrs.field(default=b"", repr=False)
    failure: Failure | None = None
    end: float | None = None
    """As of `Send`, for the next try."""


T = TypeVar("T")
Flow = Generator[Send, Outcome, T]
