import html
import json
import pickle
import re
from fractions import Fraction
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials import AsyncClient, Client, ConfigurationError
from atomscale_target_materials._settings import Secret, Settings

VARIABLES = ("ATOMSCALE_API_KEY", "AS_API_KEY", "ATOMSCALE_API_ENDPOINT", "AS_API_ENDPOINT")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


TRANSPORT = httpx.MockTransport(lambda _: httpx.Response(204))


def resolve(**arguments: Any) -> Settings:
    return Client(**{"api_key": "key-1", "transport": TRANSPORT, **arguments})._settings


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


ARGUMENT = "the api_key argument"
FIRST, SECOND = (f"the environment variable {name}" for name in VARIABLES[:2])


@pytest.mark.parametrize(
    ("argument", "variables", "key", "source"),
    [
        ("a", {}, "a", ARGUMENT),
        (" a\r\n", {}, "a", ARGUMENT),
        ("two words", {}, "two words", ARGUMENT),
        ("a", {"ATOMSCALE_API_KEY": "b", "AS_API_KEY": "c"}, "a", ARGUMENT),
        (None, {"ATOMSCALE_API_KEY": " b\n"}, "b", FIRST),
        (None, {"AS_API_KEY": "c"}, "c", SECOND),
        (None, {"ATOMSCALE_API_KEY": " ", "AS_API_KEY": "c"}, "c", SECOND),
        (None, {"ATOMSCALE_API_KEY": "b", "AS_API_KEY": ""}, "b", FIRST),
        (None, {"ATOMSCALE_API_KEY": "b", "AS_API_KEY": " b "}, "b", FIRST),
    ],
)
def test_where_the_key_comes_from(
    monkeypatch: pytest.MonkeyPatch,
    argument: str | None,
    variables: dict[str, str],
    key: str,
    source: str,
) -> None:
    set_all(monkeypatch, variables)
    settings = resolve(api_key=argument)
    assert (settings.key.reveal(), settings.key_source) == (key, source)


NO_KEY = (
    "no API key: pass api_key=..., or set the environment variable ATOMSCALE_API_KEY "
    "(or AS_API_KEY)"
)


@pytest.mark.parametrize("variables", [{}, {"ATOMSCALE_API_KEY": "", "AS_API_KEY": " \t"}], ids=str)
def test_without_a_key_the_error_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    set_all(monkeypatch, variables)
    with pytest.raises(ConfigurationError, match=rf"^{re.escape(NO_KEY)}$"):
        resolve(api_key=None)


ODD = "has characters that no key has (printable ASCII only): was something copied with it?"


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("NEEDLE\nx", ODD),
        ("NEEDLE\x00", ODD),
        ("NEEDLE\x7f", ODD),
        ("NEEDLE\ufeff", ODD),
        ("NEEDLEé", ODD),
        ("NEEDLE\ud800", ODD),
        (b"NEEDLE", "must be a str, not bytes"),
        (["NEEDLE"], "must be a str, not list"),
    ],
    ids=ascii,
)
def test_a_key_that_is_refused_is_not_repeated(key: Any, fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(api_key=key)
    assert str(caught.value) == f"the API key from {ARGUMENT} {fault}"
    assert "NEEDLE" not in repr(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_refused_key_of_the_environment_is_traced_to_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AS_API_KEY", "NEEDLEé")
    with pytest.raises(ConfigurationError, match="environment variable AS_API_KEY") as caught:
        resolve(api_key=None)
    assert "NEEDLE" not in str(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_two_keys_that_differ_give_a_warning_at_the_users_line(
    monkeypatch: pytest.MonkeyPatch, kind: type[Client] | type[AsyncClient]
) -> None:
    set_all(monkeypatch, {"ATOMSCALE_API_KEY": "NEEDLE1", "AS_API_KEY": "NEEDLE2"})
    told = "^ATOMSCALE_API_KEY and AS_API_KEY are set and differ: ATOMSCALE_API_KEY is used$"
    with pytest.warns(UserWarning, match=told) as caught:
        kind(transport=TRANSPORT)
    assert [each.filename for each in caught] == [__file__]
    assert "NEEDLE" not in str(caught[0].message)


DEFAULT = "https://api.atomscale.ai"


@pytest.mark.parametrize(
    ("argument", "variables", "base_url"),
    [
        (None, {}, DEFAULT),
        ("https://a.example", {"ATOMSCALE_API_ENDPOINT": "https://b"}, "https://a.example"),
        (None, {"ATOMSCALE_API_ENDPOINT": " https://b\n", "AS_API_ENDPOINT": "x"}, "https://b"),
        (None, {"ATOMSCALE_API_ENDPOINT": "", "AS_API_ENDPOINT": "https://c/"}, "https://c"),
        (None, {"ATOMSCALE_API_ENDPOINT": " ", "AS_API_ENDPOINT": "\t"}, DEFAULT),
        ("https://a.example/", {}, "https://a.example"),
        ("https://a.example/lab/v1", {}, "https://a.example/lab/v1"),
        ("https://a.example/lab/v1/", {}, "https://a.example/lab/v1"),
        ("https://a.example:8443/x@y", {}, "https://a.example:8443/x@y"),
        ("https://10.0.0.1", {}, "https://10.0.0.1"),
        ("https://[2001:db8::1]:444", {}, "https://[2001:db8::1]:444"),
        ("http://localhost:8000", {}, "http://localhost:8000"),
        ("http://LOCALHOST", {}, "http://LOCALHOST"),
        ("HTTPS://A.example/X/", {}, "https://A.example/X"),
        ("http://127.0.0.1:1/p/", {}, "http://127.0.0.1:1/p"),
        ("http://127.8.9.1", {}, "http://127.8.9.1"),
        ("http://[::1]:8000/", {}, "http://[::1]:8000"),
        ("http://[0:0:0:0:0:0:0:1]:8000", {}, "http://[0:0:0:0:0:0:0:1]:8000"),
    ],
)
def test_which_base_url_is_used(
    monkeypatch: pytest.MonkeyPatch,
    argument: str | None,
    variables: dict[str, str],
    base_url: str,
) -> None:
    set_all(monkeypatch, variables)
    assert resolve(base_url=argument).base_url == base_url


CHARACTERS = "has white space, control or non-ASCII characters, or a backslash"
SCHEME = "does not begin with https:// (or http://)"
HOST = "has no valid host or port"
USER = "has user info (a name or password before the host)"
QUERY, DOTS = "has a query or fragment", "has . or .. in its path"
PLAIN = "would send the key in plain text: http is for loopback addresses alone, use https"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", SCHEME),
        (" https://a", CHARACTERS),
        ("https://a/b c", CHARACTERS),
        ("https://a\r\nX: y", CHARACTERS),
        ("https://a\x7f", CHARACTERS),
        ("https://ä.example", CHARACTERS),
        ("https://a\\@b", CHARACTERS),
        ("api.atomscale.ai", SCHEME),
        ("ftp://a.example", SCHEME),
        ("https://", HOST),
        ("https:///path", HOST),
        ("https:a.example", SCHEME),
        ("https://a..b", HOST),
        ("https://-a.b", HOST),
        (f"https://{'a' * 64}.b", HOST),
        ("https://a*b", HOST),
        ("https://[::1", HOST),
        ("https://[v1.a]", HOST),
        ("https://a:", HOST),
        ("https://a:0", HOST),
        ("https://a:65536", HOST),
        ("https://u@a.example", USER),
        ("https://u:NEEDLE@a.example", USER),
        ("https://a/?NEEDLE=1", QUERY),
        ("https://a?", QUERY),
        ("https://a/#x", QUERY),
        ("https://a#", QUERY),
        ("https://a/../b", DOTS),
        ("https://a/./b", DOTS),
        ("http://10.0.0.1", PLAIN),
        ("http://example.com", PLAIN),
        ("http://127.0.0.1.evil.com", PLAIN),
        ("http://localhost.evil.com", PLAIN),
        ("http://0.0.0.0", PLAIN),
    ],
    ids=ascii,
)
def test_a_base_url_that_is_refused(url: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(base_url=url)
    told = f"the base URL from the base_url argument {fault}; it looks like {DEFAULT}"
    assert str(caught.value) == told
    assert "NEEDLE" not in repr(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_base_url_is_a_text() -> None:
    told = "^the base URL from the base_url argument must be a str, not int$"
    with pytest.raises(ConfigurationError, match=told):
        resolve(base_url=5)


@pytest.mark.parametrize("name", VARIABLES[2:])
def test_a_refused_base_url_is_traced_to_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://example.com")
    with pytest.raises(ConfigurationError, match=f"from the environment variable {name} would"):
        resolve()


COUNTS = ("max_tries", "max_response_bytes")


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", each) for each in (1, 0.01, 1e6, Fraction(1, 3), np.float32(2.5), np.int64(3))]
    + [(name, each) for name in COUNTS for each in (1, 10**9, np.int64(3), np.uint8(1))],
)
def test_a_limit_that_is_taken(name: str, value: Any) -> None:
    taken = getattr(resolve(**{name: value}), name)
    assert float(taken) == float(value)
    assert type(taken) is (float if name == "timeout" else int)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("timeout", each, TypeError) for each in (None, True, "5", 1j, np.True_)]
    + [
        ("timeout", each, ValueError)
        for each in (0, -1, 1e6 + 1, float("inf"), float("nan"), 10**400)
    ]
    + [(name, each, TypeError) for name in COUNTS for each in (None, True, "5", 2.0, np.True_)]
    + [(name, each, ValueError) for name in COUNTS for each in (0, -1, np.int64(0))],
    ids=lambda value: repr(value)[:20],
)
def test_a_limit_that_is_refused(name: str, value: Any, error: type[Exception]) -> None:
    seconds = "seconds above 0 and up to 1,000,000 are needed, never None"
    wanted = seconds if name == "timeout" else "an int above 0 is needed"
    got = repr(value) if error is ValueError else type(value).__name__
    with pytest.raises(error, match=f"^{name}: {wanted}, got {re.escape(got)}$"):
        resolve(**{name: value})


def test_settings_do_not_show_the_key() -> None:
    settings = resolve(api_key="NEEDLE")
    assert "NEEDLE" not in f"{settings} {settings!r}"
    assert f"{settings.key} {settings.key!r}" == "Secret(...) Secret(...)"


def test_a_key_is_never_pickled() -> None:
    for held in (Secret("NEEDLE"), resolve(api_key="NEEDLE")):
        with pytest.raises(TypeError, match=r"^an API key is never pickled$"):
            pickle.dumps(held)


keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=11)


@given(keys, st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)))
def test_a_secret_is_scrubbed_in_every_form(key: str, noise: str) -> None:
    secret = Secret(key)
    escaped = (
        json.dumps(key)[1:-1],
        json.dumps(json.dumps(key)[1:-1])[1:-1],
        repr(key.encode())[2:-1],
        html.escape(key),
    )
    coded = ["".join(form % ord(char) for char in key) for form in ("%%%02x", "%%%02X", "\\u%04x")]
    for form in (key, *escaped, *coded, quote(key, safe=""), quote(key)):
        text = f"{noise}{form}{noise}"
        for scrubbed in (secret.scrub(text), secret.scrub_bytes(text.encode()).decode()):
            # Of a run of backslashes some may be left.
            shown = re.sub(r"(?:\[redacted\]|\\)+", "[redacted]", scrubbed)
            assert shown == f"{noise}[redacted]{noise}"
    assert secret.scrub(noise) == noise


@pytest.mark.parametrize("secret", ["p\xe4ss", "p\U0001f600ss", "p\udcffss"], ids=ascii)
def test_a_secret_of_any_characters_is_scrubbed(secret: str) -> None:
    """A proxy's password may have them."""
    body = secret.encode(errors="surrogateescape")
    percent = "".join(f"%{byte:02x}" for byte in body)
    hexed = "".join(f"\\x{byte:02x}" for byte in body)
    for form in (secret, percent, hexed):
        assert Secret(secret).scrub(f"a {form} b") == "a [redacted] b"
    assert Secret(secret).scrub_bytes(b"a " + body) == b"a [redacted]"


@pytest.mark.parametrize("key", ["sk-test-0123456789abcdef" * 3, "\\" * 40, "%25" * 20])
def test_a_text_that_is_almost_the_key_is_searched_in_no_time(key: str) -> None:
    almost = f"no such key: {key[:-1]}, {json.dumps(key[:-1])}... (ask your admin)" * 9
    assert Secret(key + "!").scrub(almost) == almost


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
        ("http://proxy.example.com:3128/", "http://proxy.example.com:3128"),
        ("proxy.example.com:3128", "http://proxy.example.com:3128"),
        (" HTTP://u:p@proxy.example.com", "http://proxy.example.com"),
    ],
)
def test_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: str, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", given)
    proxy = Client("key-1")._settings.proxy
    assert proxy is not None
    assert proxy.url == url
    assert resolve().proxy is None  # a transport of one's own goes where it likes
    assert Client("key-1", base_url="http://localhost")._settings.proxy is None


def test_a_proxy_for_all_is_one_for_https(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://{name}:3128")
        proxy = Client("key-1")._settings.proxy
        assert proxy is not None
        assert proxy.url == f"http://{name}:3128"


@pytest.mark.parametrize(
    ("given", "auth", "shown"),
    [
        ("u", (b"u", b""), []),
        ("u%40x:p%3Aw", (b"u@x", b"p:w"), ["p:w", "p%3Aw", "dUB4OnA6dw=="]),
        ("u:p%FF\udcfe", (b"u", b"p\xff\xfe"), ["p\udcff\udcfe", "dTpw//4="]),
    ],
    ids=ascii,
)
def test_the_user_of_a_proxy(
    monkeypatch: pytest.MonkeyPatch, given: str, auth: tuple[bytes, bytes], shown: list[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{given}@proxy.example.com:3128")
    settings = Client("key-1")._settings
    assert settings.proxy is not None
    assert settings.proxy.auth is not None
    assert (settings.proxy.url, settings.proxy.auth.reveal()) == (
        "http://proxy.example.com:3128",
        auth,
    )
    for text in ["key-1", *shown]:
        assert settings.key.scrub(f"a {text} b") == "a [redacted] b"
    assert settings.key.scrub("a b") == "a b"


NO_ADDRESS = "has no valid host or port: it looks like http://user:password@proxy.example.com:3128"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("socks5://a", "is no http:// proxy: SOCKS, and TLS up to the proxy, are not supported"),
        ("https://a", "is no http:// proxy: SOCKS, and TLS up to the proxy, are not supported"),
        ("http://u:NEEDLE/x@a", NO_ADDRESS),
        ("http://a:0", NO_ADDRESS),
    ],
)
def test_a_proxy_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, given: str, fault: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", given)
    told = f"the proxy from the environment (HTTPS_PROXY, ALL_PROXY) {fault}"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(told)}$"):
        Client("key-1")
