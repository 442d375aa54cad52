"""What a client was told: argument, else environment, else default. Checked before any I/O."""

import ipaddress
import json
import numbers
import os
import re
import warnings
from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import quote, urlsplit

import attrs

from .errors import ConfigurationError

DEFAULT_BASE_URL = "https://api.atomscale.ai"
DEFAULT_TIMEOUT = 30.0
LONGEST_TIMEOUT = 1_000_000
DEFAULT_MAX_TRIES = 4
DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024

KEY_VARIABLES = ("ATOMSCALE_API_KEY", "AS_API_KEY")
BASE_URL_VARIABLES = ("ATOMSCALE_API_ENDPOINT", "AS_API_ENDPOINT")


class Secret:
    """A text that shows itself only on request: not in a repr, nor in a pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def scrub(self, text: str) -> str:
        """`text` without this secret, be it plain, JSON-escaped or percent-encoded."""
        for form in self._forms():
            text = text.replace(form, "[redacted]")
        return text

    def scrub_bytes(self, body: bytes) -> bytes:
        """As `scrub`, of bytes."""
        for form in self._forms():
            body = body.replace(form.encode(), b"[redacted]")
        return body

    def _forms(self) -> list[str]:
        plain = self._text
        return [plain, json.dumps(plain)[1:-1], quote(plain, safe=""), quote(plain)]

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is never pickled")


def _finite(_: object, attribute: "attrs.Attribute[float]", seconds: float) -> None:
    name = attribute.name
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real):
        raise TypeError(
            f"{name}: a number of seconds is needed (no end is not offered), got {seconds!r}"
        )
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise ValueError(
            f"{name}: seconds above 0 and up to {LONGEST_TIMEOUT} are needed, got {seconds!r}"
        )


def _positive(_: object, attribute: "attrs.Attribute[int]", count: int) -> None:
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise TypeError(f"{attribute.name}: an int is needed, got {count!r}")
    if count < 1:
        raise ValueError(f"{attribute.name}: at least 1 is needed, got {count!r}")


@attrs.frozen(kw_only=True)
class Settings:
    """A client's settings, checked."""

    key: Secret
    key_source: str
    base_url: str
    timeout: float = attrs.field(validator=_finite)
    max_tries: int = attrs.field(validator=_positive)
    max_response_bytes: int = attrs.field(validator=_positive)

    @classmethod
    def resolve(
        cls,
        api_key: str | None,
        base_url: str | None,
        timeout: float,
        max_tries: int,
        max_response_bytes: int,
    ) -> "Settings":
        """From a client's arguments and the environment."""
        key, key_source = _find_key(api_key, os.environ)
        return cls(
            key=Secret(_checked_key(key, key_source)),
            key_source=key_source,
            base_url=_checked_base_url(*_find_base_url(base_url, os.environ)),
            timeout=timeout,
            max_tries=max_tries,
            max_response_bytes=max_response_bytes,
        )


def _find_key(argument: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    if argument is not None:
        return argument, "the api_key argument"
    found = {name: key for name in KEY_VARIABLES if (key := environ.get(name, "").strip())}
    if not found:
        raise ConfigurationError(
            "no API key: pass api_key=..., or set the environment variable ATOMSCALE_API_KEY "
            "(or AS_API_KEY)"
        )
    if len(set(found.values())) > 1:
        warnings.warn(
            "ATOMSCALE_API_KEY and AS_API_KEY are both set and differ: ATOMSCALE_API_KEY is used",
            stacklevel=5,
        )
    source = next(iter(found))
    return found[source], f"the environment variable {source}"


def _checked_key(key: str, source: str) -> str:
    if not isinstance(key, str):
        raise ConfigurationError(
            f"the API key from {source} must be a str, not {type(key).__name__}"
        )
    key = key.strip()
    if not key:
        raise ConfigurationError(f"the API key from {source} is empty")
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(
            f"the API key from {source} has characters that no key has (printable ASCII only): "
            "copy it again, perhaps something came along with it"
        )
    return key


def _find_base_url(argument: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    if argument is not None:
        return argument, "the base_url argument"
    for name in BASE_URL_VARIABLES:
        if url := environ.get(name, "").strip():
            return url, f"the environment variable {name}"
    return DEFAULT_BASE_URL, "the default"


def _checked_base_url(url: str, source: str) -> str:
    """`url` without a trailing slash. A message does not repeat it: it may hold a password."""
    if not isinstance(url, str):
        raise ConfigurationError(
            f"the base URL from {source} must be a str, not {type(url).__name__}"
        )
    fault = _fault_of_base_url(url)
    if fault:
        raise ConfigurationError(
            f"the base URL from {source} {fault}; it looks like https://api.atomscale.ai"
        )
    return url.rstrip("/")


def _fault_of_base_url(url: str) -> str | None:
    if not re.fullmatch(r"[!-~]+", url) or "\\" in url:
        return "has white space, control or non-ASCII characters, or a backslash (or is empty)"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "has an invalid host or port"
    faults = {
        "does not begin with https:// (or http://)": parts.scheme not in ("http", "https"),
        "has user info (a name or password before the host)": "@" in parts.netloc,
        "has no valid host": not re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", host),
        "has an invalid port": port == 0 or parts.netloc.endswith(":"),
        "has a query or fragment": "?" in url or "#" in url,
        "has . or .. in its path": bool({".", ".."} & set(parts.path.split("/"))),
        "would send the key in plain text: http is for loopback addresses alone, use https": (
            parts.scheme == "http" and not _is_loopback(host)
        ),
    }
    return next((fault for fault, found in faults.items() if found), None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
