from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials._steps import Failure, Outcome, Request, pause, retry_after

GET, HEAD, POST = (Request(method, "/x", {}) for method in ("GET", "HEAD", "POST"))
PASSING = {408, 429, 500, 502, 503, 504, *range(520, 530)}
NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)

UNSENT = Failure("refused", sent=False)
BROKE = Failure("reset")
TIMED_OUT = Failure("too slow", passing=False)
BAD_CERTIFICATE = Failure("certificate", sent=False, passing=False)


def outcome(*, left: float = 30, jitter: float = 0.5, after: str = "", **rest: Any) -> Outcome:
    headers = {"retry-after": after} if after else {}
    rest = {"status": None, "headers": headers, "content": b"", "failure": None, **rest}
    return Outcome(left, NOON.timestamp(), jitter, end=None, **rest)


def test_a_repr_has_nothing_that_a_server_sent() -> None:
    came = outcome(status=200, failure=Failure("sent"), content=b"sent", after="sent")
    assert "sent" not in repr(came).replace("sent=", "")


def test_which_statuses_are_tried_again() -> None:
    def repeated(request: Request) -> set[int]:
        refusals = [*range(100, 200), *range(300, 1000)]
        return {each for each in refusals if pause(request, outcome(status=each), 1) is not None}

    assert repeated(GET) == repeated(HEAD) == PASSING
    assert repeated(POST) == {429}


@pytest.mark.parametrize(
    ("status", "failure", "get", "post"),
    [
        (None, UNSENT, True, True),
        (None, BROKE, True, False),
        (None, TIMED_OUT, False, False),
        (None, BAD_CERTIFICATE, False, False),
        (200, BROKE, True, False),
        (201, BROKE, True, False),
        (299, BROKE, True, False),
        (300, BROKE, False, False),
        (200, TIMED_OUT, False, False),
        (302, BROKE, False, False),
        (404, BROKE, False, False),
        (503, BROKE, True, False),
        (503, TIMED_OUT, True, False),
        (429, BROKE, True, True),
    ],
)
def test_which_failures_are_tried_again(
    status: int | None, failure: Failure, get: bool, post: bool
) -> None:
    came = outcome(status=status, failure=failure)
    assert (pause(GET, came, 1) is not None, pause(POST, came, 1) is not None) == (get, post)


def test_what_asks_for_a_repeat_in_other_headers_is_ignored() -> None:
    headers = {"x-should-retry": "true", "retry-after-ms": "1"}
    assert pause(POST, outcome(status=503, headers=headers), 1) is None
    assert pause(GET, outcome(status=400, headers=headers), 1) is None


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_full_jitter(tries: int, jitter: float) -> None:
    bound = 8.0 if tries > 4 else 0.5 * 2 ** (tries - 1)
    seconds = pause(GET, outcome(status=503, jitter=jitter), tries)
    assert seconds == jitter * bound
    assert 0 <= seconds <= bound


def date(second: int, zone: str = "GMT") -> str:
    return f"Mon, 15 Jan 2024 12:00:{second:02} {zone}"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("007", 7),
        ("29", 29),
        ("30", None),
        ("86400", None),
        pytest.param("9" * 18, None, id="18 digits"),
        pytest.param("9" * 400, None, id="400 digits"),
        (date(9), 9),
        (date(9, "-0000"), 9),
        (date(9, "+0100"), 0),
        (date(9, "-0100"), None),
        ("Monday, 15-Jan-24 12:00:09 GMT", 9),
        ("Mon Jan 15 12:00:09 2024", 9),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
        ("Mon, 01 Jan 9999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_honoured_or_the_call_is_over(value: str, seconds: float | None) -> None:
    assert pause(GET, outcome(status=503, after=value), 1) == seconds
    assert pause(POST, outcome(status=429, after=value), 1) == seconds


GARBAGE = """
    soon | -5 | +5 | 1.5 | 1e3 | 0x10 | ٣ | nan | inf | 1, 2 | 5s | , | Mon, | 15 Jan , 12:00:09 GMT
    | Mon, 99 Jan 2024 12:00:00 GMT | Mon, 15 Jan 99999999999 12:00:00 GMT
    | Mon, 15 Jan 2024 12:00:09 +9999 | Mon, 15 Jan 2024 25:00:00 GMT
"""


@pytest.mark.parametrize("value", [each.strip() for each in GARBAGE.split("|")])
def test_a_retry_after_that_is_garbage_is_ignored(value: str) -> None:
    assert pause(GET, outcome(status=503, after=value), 1) == 0.25


words = st.sampled_from(
    ["Mon,", "15", "Jan", ",", "2024", "12:00:00", ":", "-", "+0000", "GMT", ""]
)


@given(st.one_of(st.text(), st.lists(words).map(" ".join), st.lists(words).map("".join)))
def test_no_retry_after_is_an_error(value: str) -> None:
    seconds = retry_after(outcome(after=value))
    assert seconds is None or seconds >= 0


@given(st.timedeltas(timedelta(0), timedelta(days=10**6)).map(lambda delta: NOON + delta))
def test_any_date_is_read_to_the_second(when: datetime) -> None:
    whole = when.replace(microsecond=0)
    seconds = retry_after(outcome(after=format_datetime(when, usegmt=True)))
    assert seconds == (whole - NOON).total_seconds()


@pytest.mark.parametrize("left", [0, -1, 0.25], ids=str)
def test_a_pause_that_does_not_fit_is_none(left: float) -> None:
    assert pause(GET, outcome(status=503, left=left), 1) is None


def test_a_pause_that_just_fits_is_taken() -> None:
    assert pause(GET, outcome(status=503, left=0.26), 1) == 0.25
