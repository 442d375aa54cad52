"""What a client was told: argument, else environment, else default. Checked before any I/O."""

import ipaddress
import numbers
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from ._secrets import Secret
from .errors import ConfigurationError

DEFAULT_BASE_URL = "https://api.atomscale.ai"
DEFAULT_TIMEOUT = 30.0
LONGEST_TIMEOUT = 1_000_000
DEFAULT_MAX_TRIES = 4
DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024

KEY_VARIABLES = ("ATOMSCALE_API_KEY", "AS_API_KEY")
BASE_URL_VARIABLES = ("ATOMSCALE_API_ENDPOINT", "AS_API_ENDPOINT")


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
    def resolve(cls, key: Secret, base_url: str | None, **limits: Any) -> "Settings":
        """From a client's arguments and the environment."""
        key, key_source = _find_key(key, os.environ)
        return cls(
            key=_checked_key(key, key_source),
            key_source=key_source,
            base_url=_checked_base_url(*_find_base_url(base_url, os.environ)),
            **limits,
        )


def _find_key(argument: Secret, environ: Mapping[str, str]) -> tuple[Secret, str]:
    if argument.reveal() is not None:
        return argument, "the api_key argument"
    found = {name: Secret(environ[name]) for name in KEY_VARIABLES if environ.get(name, "").strip()}
    if not found:
        raise ConfigurationError(
            "no API key: pass api_key=..., or set the environment variable ATOMSCALE_API_KEY "
            "(or AS_API_KEY)"
        )
    if len({key.reveal().strip() for key in found.values()}) > 1:
        warnings.warn(
            "ATOMSCALE_API_KEY and AS_API_KEY are both set and differ: ATOMSCALE_API_KEY is used",
            stacklevel=4,
        )
    source = next(iter(found))
    return found[source], f"the environment variable {source}"


def _checked_key(key: Secret, source: str) -> Secret:
    fault = _fault_of_key(key.reveal())
    if fault:
        raise ConfigurationError(f"the API key from {source} {fault}")
    return Secret(key.reveal().strip()).watched()


def _fault_of_key(key: object) -> str | None:
    """It returns what it finds: were it to raise, its frame would show the key."""
    if not isinstance(key, str):
        return f"must be a str, not {type(key).__name__}"
    if not key.strip():
        return "is empty"
    if not (key.strip().isascii() and key.strip().isprintable()):
        return (
            "has characters that no key has (printable ASCII only): copy it again, perhaps "
            "something came along with it"
        )
    return None


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
