"""What a client was told: argument, else environment, else default. Checked before any I/O."""

import ipaddress
import math
import os
import re
import warnings
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from numbers import Integral, Real
from typing import Any, Self
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from ._secrets import Secret
from .errors import ConfigurationError

DEFAULT_BASE_URL = "https://api.atomscale.ai"

# Of a limit's type: what is needed, what counts as that, and the most that is taken.
LIMITS: Any = {
    float: ("seconds above 0 and up to 1,000,000 are needed, never None", Real, 1_000_000),
    int: ("an int above 0 is needed", Integral, math.inf),
}

# Dotted labels of letters, digits, hyphens (underscores are seen too), or an IPv6 address.
HOST = r"(?a)(?:(?!-)[\w-]{1,63}(?<!-)(?:\.|$))+|[0-9a-f:.]*:[0-9a-f:.]*"

Faults = dict[str, Any]
"""What may be wrong with a setting, the first first, and whether it is."""


def _limit(settings: object, attribute: Any, value: Any) -> None:
    wanted, kind, most = LIMITS[attribute.type]
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{attribute.name}: {wanted}, got {type(value).__name__}")
    if not 0 < value <= most:
        raise ValueError(f"{attribute.name}: {wanted}, got {value!r}")
    object.__setattr__(settings, attribute.name, attribute.type(value))


@attrs.frozen
class Proxy:
    """What https requests are tunnelled through."""

    url: str
    """Without user and password."""
    auth: Secret | None
    """User and password, in bytes."""


@attrs.frozen(kw_only=True, repr=False)
class Settings:
    """A client's settings, checked."""

    key: Secret
    """It scrubs the proxy's password too."""
    key_source: str
    base_url: str
    timeout: float = attrs.field(validator=_limit)
    max_tries: int = attrs.field(validator=_limit)
    max_response_bytes: int = attrs.field(validator=_limit)
    proxy: Proxy | None

    @classmethod
    def resolve(cls, api_key: Secret, base_url: Secret, *, proxied: bool, **limits: Any) -> Self:
        """From a client's arguments (a secret None: left out) and the environment."""
        key, key_source = _key(api_key)
        urls = _given(base_url, "base_url", "ATOMSCALE_API_ENDPOINT", "AS_API_ENDPOINT")
        urls.append((Secret(DEFAULT_BASE_URL), "the default"))
        parts = urlsplit(_checked("base URL", *urls[0], _faults_of_base_url))
        url = parts.geturl().rstrip("/")
        proxy, key = _proxy(parts, key) if proxied else (None, key)
        return cls(key=key, key_source=key_source, base_url=url, proxy=proxy, **limits)


def _key(argument: Secret) -> tuple[Secret, str]:
    keys = _given(argument, "api_key", "ATOMSCALE_API_KEY", "AS_API_KEY")
    if not keys:
        wanted = "pass api_key=..., or set the environment variable ATOMSCALE_API_KEY"
        raise ConfigurationError(f"no API key: {wanted} (or AS_API_KEY)")
    if keys[0][0].reveal() != keys[-1][0].reveal():
        told = "ATOMSCALE_API_KEY and AS_API_KEY are set and differ: ATOMSCALE_API_KEY is used"
        warnings.warn(told, stacklevel=4)
    key, source = keys[0]
    if isinstance(key.reveal(), str):
        key = Secret(key.reveal().strip())
    _checked("API key", key, source, _faults_of_key)
    return key, source


def _given(argument: Secret, parameter: str, *variables: str) -> list[tuple[Secret, str]]:
    """What was given, each with its source. An empty variable is none."""
    if argument.reveal() is not None:
        return [(argument, f"the {parameter} argument")]
    found = ((name, os.environ.get(name, "").strip()) for name in variables)
    return [(Secret(value), f"the environment variable {name}") for name, value in found if value]


def _checked(what: str, value: Secret, source: str, faults_of: Callable[[str], Faults]) -> Any:
    """The value, or an error that does not repeat it: it may be secret."""
    if isinstance(value.reveal(), str):
        fault = next((fault for fault, found in faults_of(value.reveal()).items() if found), None)
    else:
        fault = f"must be a str, not {type(value.reveal()).__name__}"
    if fault:
        raise ConfigurationError(f"the {what} from {source} {fault}")
    return value.reveal()


def _faults_of_key(key: str) -> Faults:
    odd = "has characters that no key has (printable ASCII only): was something copied with it?"
    return {"is empty": not key, odd: not (key.isascii() and key.isprintable())}


def _faults_of_base_url(url: str) -> Faults:
    parts = _address(url)
    odd = re.search(r"[^!-~]|\\", url)
    plain = parts.scheme == "http" and not _is_loopback(parts.hostname or "")
    faults = {
        "is empty": not url,
        "has white space, control or non-ASCII characters, or a backslash": odd,
        "does not begin with https:// (or http://)": not re.match("(?i)https?://", url),
        "has no valid host or port": not parts.netloc or parts.netloc.endswith(":"),
        "has user info (a name or password before the host)": "@" in parts.netloc,
        "has a query or fragment": "?" in url or "#" in url,
        "has . or .. in its path": {".", ".."} & set(parts.path.split("/")),
        "would send the key in plain text: http is for loopback addresses alone, use https": plain,
    }
    return {f"{fault}; it looks like {DEFAULT_BASE_URL}": faults[fault] for fault in faults}


def _faults_of_proxy(url: str) -> Faults:
    parts = _address(url)
    other = not re.match(r"(?i)\s*http://", url)
    # A slash in the password, not percent-encoded, makes a path of it.
    odd = not parts.netloc or parts.path not in ("", "/")
    return {
        "is no http:// proxy: SOCKS, and TLS up to the proxy, are not supported": other,
        "has no valid host or port: it looks like http://user:password@proxy.example.com:3128": odd,
    }


def _address(url: str) -> SplitResult:
    """The parts of a URL; none where host or port cannot be right."""
    with suppress(ValueError):
        parts = urlsplit(url)
        host = parts.hostname or ""
        bracketed = ("[" in parts.netloc) == (":" in host)
        if re.fullmatch(HOST, host) and bracketed and parts.port != 0:
            return parts
    return urlsplit("")


def _proxy_url() -> Secret:
    found = getproxies()
    url = found.get("https") or found.get("all", "")
    return Secret(url if "://" in url or not url else f"http://{url}")


def _proxy(base_url: SplitResult, key: Secret) -> tuple[Proxy | None, Secret]:
    """The environment's proxy for https, and the key with what else is secret now."""
    url, host = _proxy_url(), base_url.hostname or ""
    bypassed = proxy_bypass(host) or proxy_bypass(f"{host}:{base_url.port or 443}")
    if base_url.scheme == "http" or not url.reveal() or bypassed:
        return None, key
    source = "the environment (HTTPS_PROXY, ALL_PROXY)"
    parts = urlsplit(_checked("proxy", url, source, _faults_of_proxy))
    address = f"http://{parts.netloc.rpartition('@')[2]}"
    if parts.username is None:
        return Proxy(address, None), key
    given = parts.username, parts.password or ""
    auth = tuple(unquote_to_bytes(each.encode(errors="surrogateescape")) for each in given)
    basic = b64encode(b":".join(auth)).decode()
    secrets = {auth[1].decode(errors="surrogateescape"), given[1], basic}
    return Proxy(address, Secret(auth)), Secret(key.reveal(), *filter(None, secrets))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
