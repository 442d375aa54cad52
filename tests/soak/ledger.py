"""What a soak notes of each call, and lays beside the server's database."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import sys
import threading
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from atomscale_target_materials import AtomscaleError, ConflictError
from atomscale_target_materials.sandbox._store import SEEDED_AT

from .calls import SEEDED, Call, Claim, Finding, Layer, claimed, judged, may_raise

Place = tuple[int | None, int]


def open_files() -> dict[str, str]:
    """Those of this process: number -> what it is."""
    found = {}
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - it is done after every call
        with contextlib.suppress(FileNotFoundError):  # the folder itself
            found[number] = str(Path(f"/proc/self/fd/{number}").readlink())
    return found


def open_sockets() -> int:
    return sum(link.startswith("socket:") for link in open_files().values())


@attrs.define
class Record:
    """What came of one call."""

    call: Call
    outcome: str = "a result"
    claims: dict[str, Claim] = attrs.Factory(dict)
    """The mark of a layer -> what is said of it."""
    late: float = 0.0
    """Seconds by which it outlasted its time."""


@attrs.define
class Ledger:
    """What is known in one process since the database was last looked into; all that is wrong."""

    findings: list[Finding] = attrs.Factory(list)
    records: list[Record] = attrs.Factory(list)
    listed: dict[str, Layer] = attrs.Factory(dict)
    """By their marks, those that are done and that a list has to show."""
    present: Layer = SEEDED
    """One that is done."""
    most_sockets: int = 0

    def clear(self) -> None:
        """For the next calls."""
        self.records, self.listed, self.present = [], {}, SEEDED

    @contextlib.contextmanager
    def noting(self, call: Call, values: list[Any]) -> Iterator[Layer]:
        """Notes what a call comes to; what it returns is put into `values`."""
        record, known, present = Record(call), set(self.listed), self.present
        record.claims = dict.fromkeys((layer["mp_id"] for layer in call.layers), "unknown")
        start = time.monotonic()
        try:
            yield present
            record.claims = claimed(call, None)
            self.findings += judged(call, values[0], present, known)
        except AtomscaleError as error:
            record.outcome, record.claims = type(error).__name__, claimed(call, error)
            if not may_raise(call, error):
                kind = "doubled" if isinstance(error, ConflictError) else "stray"
                self.findings.append((kind, f"{call} came to {error!r}"))
        except asyncio.CancelledError:
            record.outcome = "cancelled"
            if not call.cancelled:
                self.findings.append(("stray", f"{call} was cancelled by nobody"))
        except Exception as error:  # noqa: BLE001 - it is what should not be
            record.outcome = type(error).__name__
            self.findings.append(("stray", f"{call} came to {traceback.format_exc()}"))
        record.late = time.monotonic() - start - call.limit
        self._close(record)

    def _close(self, record: Record) -> None:
        for layer in record.call.layers:
            if record.claims[layer["mp_id"]] == "done" and "sample_id" in layer:
                self.listed[layer["mp_id"]] = self.present = layer
        self.most_sockets = max(self.most_sockets, open_sockets())
        self.records.append(record)

    def watch(self) -> None:
        """From now on warnings, and errors that nobody hears, are findings."""

        def found(*told: Any, **_: Any) -> None:
            self.findings.append(("stray", " ".join(map(str, told))))

        handler = logging.Handler()
        handler.emit = found  # type: ignore[method-assign]
        logging.getLogger("asyncio").addHandler(handler)
        sys.unraisablehook = threading.excepthook = warnings.showwarning = found
        warnings.simplefilter("always")
        # That it goes well all the same is tested here.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

    def compare(self, calls: Sequence[Call], db: Path, arrived: Counter[str]) -> None:
        """With what the server has, which then forgets it."""
        rows = taken(db)
        ends = Counter(record.call.number for record in self.records)
        for call in calls:
            if ends[call.number] != 1:
                self.findings.append(("lost", f"{call} ended {ends[call.number]} times"))
        for record in self.records:
            for layer in record.call.layers:
                mark = layer["mp_id"]
                times = arrived.pop(mark, 0)
                self.findings += contradictions(record, layer, rows.pop(mark, []), times)
        for mark in {*rows, *arrived}:
            self.findings.append(("crossed", f"{mark} is there, and nobody asked for it"))


def contradictions(
    record: Record, layer: Layer, rows: Sequence[Place], arrived: int
) -> Iterator[Finding]:
    """Between what was said of a layer, and what there is."""
    claim = record.claims[layer["mp_id"]]
    told = f"{layer}: {claim} ({record.outcome}); it arrived {arrived} times, and there is {rows}"
    if claim == "done" and not rows:
        yield "lost", told
    if max(len(rows), arrived) > 1 or (rows and claim == "not done"):
        yield "doubled", told
    if any(place != (layer.get("sample_id"), layer["layer_id"]) for place in rows):
        yield "crossed", told


def taken(db: Path) -> dict[str, list[Place]]:
    """All layers but the seed, by their marks; then they are deleted."""
    rows: dict[str, list[Place]] = defaultdict(list)
    with contextlib.closing(sqlite3.connect(db)) as database, database:
        added = "FROM layers WHERE last_updated != ?"
        found = database.execute(f"SELECT mp_id, sample_id, layer_id {added}", [SEEDED_AT])
        for mark, *place in found:
            rows[mark].append(tuple(place))
        database.execute(f"DELETE {added}", [SEEDED_AT])
    return rows
