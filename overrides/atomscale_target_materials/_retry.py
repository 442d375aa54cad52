"""What may be tried again, and when: pure functions.

A request that has no effect is tried again after a failure that may pass. A write is tried again
only when it certainly never arrived (no connection was made) or was refused with 429: the API
offers no idempotency keys.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime

from ._steps import Outcome, Request

PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504, *range(520, 530)})
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0


def pause(request: Request, outcome: Outcome, tries: int) -> float | None:
    """Seconds to wait before `request` is sent again after try number `tries` came to `outcome`.

    Args:
        request: What was sent.
        outcome: What came of it.
        tries: How often it was sent so far, from 1.

    Returns:
        What Retry-After asks for, else a pause drawn at random up to a bound that doubles ("full
        jitter": clients do not come back together). None when it may not be sent again, or when the
        pause would outlast the call.
    """
    if not _may_repeat(request, outcome):
        return None
    seconds = retry_after(outcome)
    if seconds is None:
        seconds = outcome.jitter * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries - 1, 10))
    return seconds if seconds < outcome.left else None


def _may_repeat(request: Request, outcome: Outcome) -> bool:
    status, failure = outcome.status, outcome.failure
    if status is None or 200 <= status <= 299:
        return failure is not None and failure.passing and (request.is_safe or not failure.sent)
    return status == 429 or (request.is_safe and status in PASSING_STATUSES)


def retry_after(outcome: Outcome) -> float | None:
    """Seconds that Retry-After asks for, a number or an HTTP date; None without a readable one."""
    value = outcome.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, when.replace(tzinfo=when.tzinfo or UTC).timestamp() - outcome.now)
