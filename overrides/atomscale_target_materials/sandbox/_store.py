"""The sandbox's database: SQLite, in memory or in a file."""

import datetime
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any

from ._materials import KNOWN_MATERIALS, elements_of, seeds

_SCHEMA = """
CREATE TABLE IF NOT EXISTS samples (
    sample_id INTEGER PRIMARY KEY,
    id INTEGER UNIQUE NOT NULL,
    sample_name TEXT,
    substrate TEXT,
    growth_method TEXT
);
CREATE TABLE IF NOT EXISTS layers (
    number INTEGER PRIMARY KEY,
    id INTEGER UNIQUE NOT NULL,
    sample_id INTEGER REFERENCES samples (sample_id),
    layer_id INTEGER NOT NULL,
    composition_string TEXT,
    element_dict TEXT,
    orientation TEXT,
    space_group TEXT,
    mp_id TEXT,
    last_updated TEXT NOT NULL,
    more TEXT NOT NULL DEFAULT '{}',  -- fields that the spec has got since
    UNIQUE (sample_id, layer_id)
);
"""
_LIST = """
SELECT samples.*, layer_id, composition_string, element_dict, orientation, space_group, mp_id,
       last_updated, more
FROM samples LEFT JOIN layers USING (sample_id) ORDER BY sample_id, layers.number
"""
FIRST_SAMPLE_RECORD = 7001
FIRST_LAYER_RECORD = 100_001
SEEDED_AT = "2024-01-15T11:00:00Z"
BUSY_SECONDS = 10.0
"""How long to wait for others that use the database."""

LAYER_FIELDS = (
    "id", "layer_id", "sample_id", "composition_string", "element_dict", "orientation",
    "space_group", "mp_id",
)  # fmt: skip


class Refusal(Exception):  # noqa: N818 - an answer of the sandbox
    """The request cannot be carried out: an HTTP status and why."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class Store:
    """Samples and layers. One connection, used by one thread at a time."""

    def __init__(self, path: str | PathLike[str] | None, symbols: frozenset[str]) -> None:
        database = ":memory:" if path is None else fspath(path)
        self._db = sqlite3.connect(
            database, check_same_thread=False, isolation_level=None, timeout=BUSY_SECONDS
        )
        self._db.row_factory = sqlite3.Row
        self._lock = threading.Lock()
        self._symbols = symbols
        try:
            self._prepare()
        except sqlite3.Error:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.executescript(_SCHEMA)
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if not self._db.execute("SELECT 1 FROM samples").fetchone():
                self._seed()

    def _seed(self) -> None:
        for record_id, (sample, layers) in enumerate(seeds(), FIRST_SAMPLE_RECORD):
            self._insert("samples", {"id": record_id, **sample})
            for layer in layers:
                known = self._known_of(layer["composition_string"])
                added = {"id": self._free_id(), "last_updated": SEEDED_AT}
                self._insert("layers", {**known, **layer, **added})

    def rows(self) -> list[dict[str, Any]]:
        """The list's entries, in the order in which they were added to their sample."""
        with self._turn():
            rows = self._db.execute(_LIST).fetchall()
        return [_entry(dict(row)) for row in rows]

    def add(self, layer: dict[str, Any]) -> dict[str, Any]:
        """Adds a layer, completed from its composition; as it is stored, or Refusal."""
        now = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
        given: dict[str, Any] = {
            # JSON's 1.0 is an integer too.
            name: int(value) if isinstance(value, float) and name in LAYER_FIELDS else value
            for name, value in layer.items()
            if value is not None
        }
        layer = {"last_updated": now, **self._known_of(given.get("composition_string")), **given}
        with self._turn():
            self._db.execute("BEGIN IMMEDIATE")
            self._refuse(layer)
            layer.setdefault("id", self._free_id())
            known = {name: layer.get(name) for name in (*LAYER_FIELDS, "last_updated")}
            more = {name: value for name, value in layer.items() if name not in known}
            self._insert("layers", {**known, "more": more})
        return {name: layer.get(name) for name in LAYER_FIELDS} | more

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=BUSY_SECONDS):
            raise Refusal(503, "the database is busy")
        try:
            with self._db:
                yield
        except sqlite3.OperationalError as error:
            raise Refusal(503, f"the database cannot be used now: {error}") from None
        finally:
            self._lock.release()

    def _known_of(self, formula: str | None) -> dict[str, Any]:
        elements = elements_of(formula or "", self._symbols)
        space_group, mp_id = KNOWN_MATERIALS.get(formula or "", (None, None))
        return {"element_dict": elements, "space_group": space_group, "mp_id": mp_id}

    def _refuse(self, layer: dict[str, Any]) -> None:
        sample_id, layer_id, record_id = (layer.get(x) for x in ("sample_id", "layer_id", "id"))
        if sample_id is not None and not self._found("samples", sample_id=sample_id):
            raise Refusal(404, f"there is no target material with sample_id {sample_id}")
        if self._found("layers", sample_id=sample_id, layer_id=layer_id):
            raise Refusal(409, f"sample {sample_id} has a layer at position {layer_id} already")
        if record_id is not None and self._is_taken(record_id):
            raise Refusal(409, f"the record ID {record_id} is taken")

    def _is_taken(self, record_id: int) -> bool:
        return (
            self._found("layers", id=record_id)
            or self._found("samples", id=record_id)
            or self._found("samples", sample_id=record_id)
        )

    def _free_id(self) -> int:
        count: int = self._db.execute("SELECT count(*) FROM layers").fetchone()[0]
        record_id = FIRST_LAYER_RECORD + count
        while self._is_taken(record_id):
            record_id += 1
        return record_id

    def _found(self, table: str, **key: Any) -> bool:
        where = " AND ".join(f"{name} = :{name}" for name in key)
        query = f"SELECT 1 FROM {table} WHERE {where}"  # noqa: S608 - our own names
        return self._db.execute(query, key).fetchone() is not None

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        values = {
            name: json.dumps(value) if isinstance(value, dict) else value
            for name, value in row.items()
        }
        columns, places = ", ".join(values), ", ".join(f":{name}" for name in values)
        query = f"INSERT INTO {table} ({columns}) VALUES ({places})"  # noqa: S608 - our own names
        self._db.execute(query, values)


def _entry(row: dict[str, Any]) -> dict[str, Any]:
    elements, more = row["element_dict"], row.pop("more")
    return {
        **json.loads(more or "{}"),
        **row,
        "element_dict": None if elements is None else json.loads(elements),
        "detail_notes_id": None,
        "detail_note_content": None,
        "sample_metadata": {"growth_method": row["growth_method"]},
        "user_id": "user_sandbox",
        "user_name": "Sandbox Researcher",
        "version": "0.269.1",
        # Undocumented fields, as the reference announces them.
        "organization_id": "org_sandbox",
        "layer_count_is_final": False,
    }
