"""What a client was told: argument, else environment, else default. Checked before any I/O.

The key and a proxy's password are secrets: they show themselves on request alone, and are scrubbed
from texts, and from what httpcore logs.
"""

import html
import ipaddress
import logging
import os
import re
import warnings
from base64 import b64encode
from contextlib import suppress
from numbers import Integral, Real
from typing import Any, NamedTuple, NoReturn, Self
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from .errors import ConfigurationError


class Secret:
    """A value that shows itself only on request: not in a repr, nor in a pickle.

    Args:
        value: The value.
        *others: What is scrubbed along with it.
    """

    __slots__ = ("_all",)

    def __init__(self, value: Any, *others: str) -> None:
        self._all = (value, *others)

    def reveal(self) -> Any:
        """The value itself."""
        return self._all[0]

    def scrub(self, text: str) -> str:
        """`text` without the secrets, be they plain, escaped or percent-encoded."""
        return re.sub(self._pattern(), "[redacted]", text)

    def scrub_bytes(self, body: bytes) -> bytes:
        """As `scrub`, of bytes."""
        return re.sub(self._pattern().encode(errors="surrogateescape"), b"[redacted]", body)

    def _pattern(self) -> str:
        # A text in UTF-16 or UTF-32 has zeros between its characters.
        units = (re.findall(r"\\+|[^\\]", each) for each in self._all)
        escaped = (r"\0{0,3}".join(map(_forms_of, each)) for each in units)
        return "|".join((*escaped, *map(re.escape, self._all)))

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is never pickled")


def _forms_of(unit: str) -> str:
    """A pattern for a character or a run of backslashes: plain, or as any encoder escapes it."""
    if unit[0] == "\\":
        count = len(unit)
        return rf"(?:(?:%5[cC]|\\{{1,4}}[ux](?:00)?5[cC]){{{count}}}|\\{{{count},{4 * count}}})"
    data, plain = unit.encode(errors="surrogateescape"), re.escape(unit)
    percent = "".join(f"%(?i:{byte:02x})" for byte in data)
    hexed = r"\\{1,4}".join(f"x(?i:{byte:02x})" for byte in data)
    escaped = rf"\\\\{{0,3}}(?:u(?i:{ord(unit):04x})|{hexed}|{plain})"
    entity = re.escape(html.escape(unit))
    # Each branch begins with a literal, so that the search is fast, and is final, so that it ends.
    return rf"(?>{percent}|{escaped}|{entity}|{plain})"


def _event_alone(record: logging.LogRecord) -> bool:
    """At DEBUG httpcore logs what a server sends, which may be the key: the event is enough."""
    if (event := record.getMessage().partition(" ")[0]).startswith("receive_response"):
        record.msg, record.args = event, ()
    return True


logging.getLogger("httpcore.http11").addFilter(_event_alone)

DEFAULT_BASE_URL = "https://api.atomscale.ai"

# Of a limit's type: what is needed, what counts as that, and the most that is taken.
LIMITS: Any = {
    float: ("seconds above 0 and up to 1,000,000 are needed, never None", Real, 1_000_000),
    int: ("an int above 0 is needed", Integral, float("inf")),
}

# Dotted labels of letters, digits, hyphens (underscores are seen too), or an IPv6 address.
HOST = r"(?a)(?:(?!-)[\w-]{1,63}(?<!-)(?:\.|$))+|[0-9a-f:.]*:[0-9a-f:.]*"


def _limit(settings: object, attribute: Any, value: Any) -> None:
    wanted, kind, most = LIMITS[attribute.type]
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{attribute.name}: {wanted}, got {type(value).__name__}")
    if not 0 < value <= most:
        raise ValueError(f"{attribute.name}: {wanted}, got {value!r}")
    object.__setattr__(settings, attribute.name, attribute.type(value))


class Proxy(NamedTuple):
    """What https requests are tunnelled through."""

    url: str
    """Without user and password."""
    auth: Secret | None
    """User and password, in bytes."""


@attrs.frozen(repr=False)
class Settings:
    """A client's settings, checked."""

    key: Secret
    """It scrubs the proxy's password too."""
    key_source: str
    base_url: str
    proxy: Proxy | None
    timeout: float = attrs.field(validator=_limit)
    max_tries: int = attrs.field(validator=_limit)
    max_response_bytes: int = attrs.field(validator=_limit)

    def __str__(self) -> str:
        told = f"base_url={self.base_url!r} timeout={self.timeout:g} max_tries={self.max_tries}"
        return self.key.scrub(told)

    @classmethod
    def resolve(cls, api_key: Secret, base_url: Secret, *limits: Any, proxied: bool) -> Self:
        """From a client's arguments (a secret None: left out) and the environment."""
        key, key_source = _key(api_key)
        urls = _given(base_url, "base_url", "ATOMSCALE_API_ENDPOINT", "AS_API_ENDPOINT")
        urls.append((Secret(DEFAULT_BASE_URL), "the default"))
        url = urlsplit(_checked("base URL", *urls[0], _faults_of_base_url))
        proxy, key = _proxy(url, key) if proxied else (None, key)
        return cls(key, key_source, url.geturl().rstrip("/"), proxy, *limits)


def _key(argument: Secret) -> tuple[Secret, str]:
    keys = _given(argument, "api_key", "ATOMSCALE_API_KEY", "AS_API_KEY")
    if not keys:
        wanted = "pass api_key=..., or set the environment variable ATOMSCALE_API_KEY"
        raise ConfigurationError(f"no API key: {wanted} (or AS_API_KEY)")
    if keys[0][0].reveal() != keys[-1][0].reveal():
        told = "ATOMSCALE_API_KEY and AS_API_KEY are set and differ: ATOMSCALE_API_KEY is used"
        warnings.warn(told, stacklevel=4)
    key, source = keys[0]
    return Secret(_checked("API key", key, source, _faults_of_key).strip()), source


def _given(argument: Secret, parameter: str, *variables: str) -> list[tuple[Secret, str]]:
    """What was given, each with its source. An empty variable is none."""
    if argument.reveal() is not None:
        return [(argument, f"the {parameter} argument")]
    found = ((name, os.environ.get(name, "").strip()) for name in variables)
    return [(Secret(value), f"the environment variable {name}") for name, value in found if value]


def _checked(what: str, value: Secret, source: str, faults_of: Any) -> Any:
    """The value, or an error that does not repeat it: it may be secret.

    `faults_of` tells what may be wrong with it, the first first, and whether it is.
    """
    faults = {f"must be a str, not {type(value.reveal()).__name__}": True}
    if isinstance(value.reveal(), str):
        faults = faults_of(value.reveal())
    for fault, found in faults.items():
        if found:
            raise ConfigurationError(f"the {what} from {source} {fault}")
    return value.reveal()


def _faults_of_key(key: str) -> dict[str, bool]:
    key = key.strip()
    odd = "has characters that no key has (printable ASCII only): was something copied with it?"
    return {"is empty": not key, odd: not (key.isascii() and key.isprintable())}


def _faults_of_base_url(url: str) -> dict[str, bool]:
    parts = _address(url)
    odd = bool(re.search(r"[^!-~]|\\", url))
    plain = parts.scheme == "http" and not _is_loopback(parts.hostname or "")
    faults = {
        "has white space, control or non-ASCII characters, or a backslash": odd,
        "does not begin with https:// (or http://)": not re.match("(?i)https?://", url),
        "has no valid host or port": not parts.netloc or parts.netloc.endswith(":"),
        "has user info (a name or password before the host)": "@" in parts.netloc,
        "has a query or fragment": "?" in url or "#" in url,
        "has . or .. in its path": bool({".", ".."} & set(parts.path.split("/"))),
        "would send the key in plain text: http is for loopback addresses alone, use https": plain,
    }
    return {f"{fault}; it looks like {DEFAULT_BASE_URL}": faults[fault] for fault in faults}


def _faults_of_proxy(url: str) -> dict[str, bool]:
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
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
