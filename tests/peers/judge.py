"""What becomes of a row with a peer."""

import pytest

from ..faults.table import Fault, GuestError
from .guests import LATE, DoesNotApplyError, PeerCaller, Worker


def fault_of(row: Fault, operation: str, worker: Worker) -> str:
    """How the peer breaks the row's promise; "" if it keeps it."""
    # The machine may have been busy: what comes late may try once more.
    fault = _fault_of(row, operation, worker)
    return _fault_of(row, operation, worker) if fault == LATE else fault


def _fault_of(row: Fault, operation: str, worker: Worker) -> str:
    caller = PeerCaller(worker)
    try:
        row.check(caller, operation)
    except DoesNotApplyError:
        raise
    except GuestError as error:
        return f"raises {error.name}"
    except pytest.fail.Exception:
        return "no error"
    except AssertionError as error:
        return str(error).partition("\n")[0] or "another value"
    except (AttributeError, IndexError, TypeError):
        return "another value"
    if not caller.calls:
        raise DoesNotApplyError(f"{row} makes no call")
    return ""
