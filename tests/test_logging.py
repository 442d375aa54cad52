"""What the package logs: a line a try at DEBUG, one a repetition at WARNING, nothing by itself."""

import logging
import re
import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from atomscale_target_materials import InternalServerError
from atomscale_target_materials_api.api.target_materials import list_target_materials

from .conftest import KEY, Caller
from .faults.table import CALLS
from .server import Server, answer, replies

LOGGER = "atomscale_target_materials"
REQUESTS = {"list": "GET /target-materials/", "add": "POST /target-materials/layers/"}
GOOD = {"list": b'[{"id": 1, "sample_id": 2}]', "add": b'{"id": 5, "layer_id": 1}'}
TRY = r"%s: %s, try %d, \d\.\d{3} s, %d bytes"
AGAIN = r"%s Try %d of 4 in \d\.\d\d s\."

Told = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """What the package has logged: level and message."""
    caplog.set_level(1)
    return lambda: [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == LOGGER
    ]


def assert_lines(told: Told, *expected: tuple[str, str]) -> None:
    lines = told()
    assert [level for level, _ in lines] == [level for level, _ in expected]
    for (_, line), (_, pattern) in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line
        assert line.isprintable()


@pytest.mark.parametrize("operation", CALLS)
def test_a_try(caller: Caller, operation: str, told: Told) -> None:
    with Server(replies(answer(200, GOOD[operation]))) as server:
        caller(CALLS[operation], base_url=f"{server.base_url}/prefix")
    assert_lines(told, ("DEBUG", TRY % (REQUESTS[operation], 200, 1, len(GOOD[operation]))))


def test_a_try_that_is_repeated(caller: Caller, told: Told) -> None:
    body = f"{KEY}\r\nsecond \x1b line".encode()
    with Server(replies(answer(503, body, x_secret=KEY), answer(200, GOOD["list"]))) as server:
        caller(CALLS["list"], base_url=server.base_url)
    request = REQUESTS["list"]
    assert_lines(
        told,
        ("DEBUG", TRY % (request, 503, 1, len(body))),
        ("WARNING", AGAIN % (f"{request} answered 503\\.", 2)),
        ("DEBUG", TRY % (request, 200, 2, len(GOOD["list"]))),
    )


def test_tries_that_are_repeated_until_there_are_no_more(caller: Caller, told: Told) -> None:
    with Server(replies(answer(500))) as server, pytest.raises(InternalServerError):
        caller(CALLS["list"], base_url=server.base_url)
    request = REQUESTS["list"]
    tries = [("DEBUG", TRY % (request, 500, number, 0)) for number in (1, 2, 3, 4)]
    again = [("WARNING", AGAIN % (f"{request} answered 500\\.", number)) for number in (2, 3, 4)]
    assert_lines(
        told, *[line for pair in zip(tries, again, strict=False) for line in pair], tries[3]
    )


@pytest.mark.parametrize("operation", CALLS)
def test_a_connection_that_fails(caller: Caller, operation: str, told: Told) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        error, errors[:] = errors[0], errors[1:]
        raise error

    errors = [httpx.ConnectError(f"no {KEY}\r\nand\x1b[31m {KEY}"), ValueError("mine")]
    with pytest.raises(ValueError, match="mine"):
        caller(CALLS[operation], transport=httpx.MockTransport(handler))
    request = REQUESTS[operation]
    url = r"https://api\.atomscale\.ai"
    says = rf"{request} to {url} failed: no \[redacted\] and ?\[31m \[redacted\]\."
    assert_lines(
        told,
        ("DEBUG", TRY % (request, "no answer", 1, 0)),
        ("WARNING", AGAIN % (rf"{says} Nothing was sent: .*\?", 2)),
    )


def test_what_is_final_is_logged_as_a_try_alone(caller: Caller, told: Told) -> None:
    for data, shown in ((answer(422), 422), (b"nonsense", "no answer")):
        with Server(replies(data)) as server, pytest.raises(Exception, match="POST"):
            caller(CALLS["add"], base_url=server.base_url)
        assert_lines(lambda: told()[-1:], ("DEBUG", TRY % (REQUESTS["add"], shown, 1, 0)))
    assert len(told()) == 2


def test_neither_query_nor_header_nor_body_is_logged(caller: Caller, told: Told) -> None:
    operation: Any = types.ModuleType("asked")
    operation._get_kwargs = lambda: {
        "method": "get", "url": "/asked", "params": {"q": "hidden-query"},
        "headers": {"X-Asked": "hidden-header"}, "content": b"hidden-request",
    }  # fmt: skip
    operation._parse_response = list_target_materials._parse_response
    body = b'[{"id": 1, "sample_id": 2, "x": "hidden-answer"}]'
    with Server(replies(answer(200, body, x_told="hidden-header"))) as server:
        caller(lambda client: client.call(operation), base_url=server.base_url)
    assert b"q=hidden-query" in server.requests[0]
    assert b"hidden-request" in server.requests[0]
    assert_lines(told, ("DEBUG", TRY % ("GET /asked", 200, 1, len(body))))


def test_nobody_hears_of_it_who_did_not_ask() -> None:
    code = (
        "import sys; from atomscale_target_materials import Client, AsyncClient; import asyncio\n"
        "Client('k', base_url=sys.argv[1]).list_target_materials()\n"
        "asyncio.run(AsyncClient('k', base_url=sys.argv[1]).list_target_materials())"
    )
    again = answer(503, retry_after="0")
    with Server(replies(again, answer(200, []), again, answer(200, [])), patience=20) as server:
        done = subprocess.run(
            [sys.executable, "-c", code, server.base_url],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(server.requests) == 4


def test_the_logger_is_the_packages_own_and_leaves_the_others_alone() -> None:
    logger = logging.getLogger(LOGGER)
    assert logger.level == logging.NOTSET
    assert logger.propagate
    assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]


def test_of_an_answer_httpcore_logs_events_alone(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "httpcore")
    with Server(replies(answer(200, GOOD["list"], x_secret=KEY))) as server:
        caller(CALLS["list"], base_url=server.base_url)
    logged = [each.getMessage() for each in caplog.records if each.name == "httpcore.http11"]
    received = [each for each in logged if each.startswith("receive_response")]
    assert "receive_response_headers.complete" in received
    assert [each for each in received if not re.fullmatch(r"\w+\.\w+", each)] == []
    assert any(each.startswith("send_request_headers.started") for each in logged)
