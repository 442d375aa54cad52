import gzip
from contextlib import suppress

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials._transport import INFLATE_AT_ONCE, Body, Unreadable

SIZES = st.sampled_from([0, 1, INFLATE_AT_ONCE - 1, INFLATE_AT_ONCE, INFLATE_AT_ONCE + 1, 300_000])
STEPS = st.integers(1, 40_000)


def fed(data: bytes, step: int) -> Body:
    body = Body("gzip", 10**6)
    for start in range(0, len(data), step):
        body.feed(data[start : start + step])
    body.end()
    return body


@given(SIZES, st.binary(max_size=99), STEPS)
def test_a_gzip_body_is_read_however_it_comes(size: int, more: bytes, step: int) -> None:
    content = b" " * size + more
    assert fed(gzip.compress(content), step).content == content


@given(SIZES, st.binary(min_size=1, max_size=99), STEPS)
def test_whatever_follows_a_gzip_body_is_refused(size: int, more: bytes, step: int) -> None:
    for after in (more, gzip.compress(more), bytes(len(more))):
        with pytest.raises(Unreadable, match="bytes follow the gzip body"):
            fed(gzip.compress(b" " * size) + after, step)


@given(SIZES, st.integers(1, 30), STEPS)
def test_a_gzip_body_that_breaks_off_is_not_complete(size: int, cut: int, step: int) -> None:
    data = gzip.compress(b" " * size)[:-cut]
    with pytest.raises(httpcore.RemoteProtocolError, match="not complete"):
        fed(data or b"\x1f", step)


@given(st.binary(max_size=200_000), STEPS)
def test_any_bytes_end_in_a_body_or_in_an_error_of_ours(data: bytes, step: int) -> None:
    with suppress(Unreadable, httpcore.RemoteProtocolError):
        fed(data, step)
