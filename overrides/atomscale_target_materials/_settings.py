"""What a client was told: argument, else environment, else default. Checked before any I/O."""

import ipaddress
import numbers
import os
import re
import warnings
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import attrs

from ._secrets import Secret
from .errors import ConfigurationError

DEFAULT_BASE_URL = "https://api.atomscale.ai"
DEFAULT_TIMEOUT = 30.0
LONGEST_TIMEOUT = 1_000_000
DEFAULT_MAX_TRIES = 4
DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024

# Dotted labels of letters, digits, hyphens (underscores are seen too), or an IPv6 address.
HOST = r"(?:(?!-)[\w-]{1,63}(?<!-)(?:\.|$))+|[0-9a-f:.]*:[0-9a-f:.]*"

KEY_VARIABLES = ("ATOMSCALE_API_KEY", "AS_API_KEY")
BASE_URL_VARIABLES = ("ATOMSCALE_API_ENDPOINT", "AS_API_ENDPOINT")


def _seconds(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, numbers.Real):
        raise TypeError(
            f"timeout: a number of seconds is needed (no end is not offered), got {timeout!r}"
        )
    if not 0 < timeout <= LONGEST_TIMEOUT:
        raise ValueError(
            f"timeout: seconds above 0 and up to {LONGEST_TIMEOUT} are needed, got {timeout!r}"
        )
    return float(timeout)


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
    timeout: float = attrs.field(converter=_seconds)
    max_tries: int = attrs.field(validator=_positive)
    max_response_bytes: int = attrs.field(validator=_positive)

    @classmethod
    def resolve(
        cls,
        api_key: Secret,
        base_url: Secret,
        timeout: float,
        max_tries: int,
        max_response_bytes: int,
    ) -> "Settings":
        """From a client's arguments (a secret None: left out) and the environment."""
        key, key_source = _key(api_key)
        urls = _given(base_url, "base_url", BASE_URL_VARIABLES)
        urls.append((Secret(DEFAULT_BASE_URL), "the default"))
        url = _checked("base URL", *urls[0], _fault_of_base_url)
        scheme, colon, rest = url.reveal().partition(":")
        return cls(
            key=_checked("API key", key, key_source, _fault_of_key),
            key_source=key_source,
            base_url=(scheme.lower() + colon + rest).rstrip("/"),
            timeout=timeout,
            max_tries=max_tries,
            max_response_bytes=max_response_bytes,
        )


def _key(argument: Secret) -> tuple[Secret, str]:
    keys = _given(argument, "api_key", KEY_VARIABLES)
    if not keys:
        raise ConfigurationError(
            "no API key: pass api_key=..., or set the environment variable ATOMSCALE_API_KEY "
            "(or AS_API_KEY)"
        )
    if keys[0][0].reveal() != keys[-1][0].reveal():
        warnings.warn(
            "ATOMSCALE_API_KEY and AS_API_KEY are set and differ: ATOMSCALE_API_KEY is used",
            stacklevel=5,
        )
    key, source = keys[0]
    return Secret(key.reveal().strip()) if isinstance(key.reveal(), str) else key, source


def _given(argument: Secret, name: str, variables: Iterable[str]) -> list[tuple[Secret, str]]:
    """What was given, each with its source. An empty variable is none."""
    if argument.reveal() is not None:
        return [(argument, f"the {name} argument")]
    found = [
        (Secret(os.environ.get(variable, "").strip()), f"the environment variable {variable}")
        for variable in variables
    ]
    return [each for each in found if each[0].reveal()]


def _checked(
    what: str, value: Secret, source: str, fault_of: Callable[[str], str | None]
) -> Secret:
    """`value`, or an error that does not repeat it: it may be secret."""
    if isinstance(value.reveal(), str):
        fault = fault_of(value.reveal())
    else:
        fault = f"must be a str, not {type(value.reveal()).__name__}"
    if fault:
        raise ConfigurationError(f"the {what} from {source} {fault}")
    return value


def _fault_of_key(key: str) -> str | None:
    if not key:
        return "is empty"
    if not (key.isascii() and key.isprintable()):
        return (
            "has characters that no key has (printable ASCII only): copy it again, perhaps "
            "something came along with it"
        )
    return None


def _fault_of_base_url(url: str) -> str | None:
    if not url:
        return "is empty"
    if not re.fullmatch(r"[!-~]+", url) or "\\" in url:
        return "has white space, control or non-ASCII characters, or a backslash"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "has an invalid host or port"
    faults = {
        "does not begin with https:// (or http://)": parts.scheme not in ("http", "https"),
        "has user info (a name or password before the host)": "@" in parts.netloc,
        "has no valid host": not re.fullmatch(HOST, host),
        "has an invalid port": port == 0 or parts.netloc.endswith(":"),
        "has a query or fragment": "?" in url or "#" in url,
        "has . or .. in its path": bool({".", ".."} & set(parts.path.split("/"))),
        "would send the key in plain text: http is for loopback addresses alone, use https": (
            parts.scheme == "http" and not _is_loopback(host)
        ),
    }
    fault = next((fault for fault, found in faults.items() if found), None)
    return fault and f"{fault}; it looks like {DEFAULT_BASE_URL}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
