"""All rows of the fault table, and all mechanisms that they name."""

from . import rows_answers, rows_client, rows_network, rows_surroundings, rows_writes
from .mechanisms import MECHANISMS as SHARED
from .mechanisms import Mechanism
from .table import Fault

MODULES = [rows_network, rows_answers, rows_surroundings, rows_client, rows_writes]
ROWS: list[Fault] = sorted(
    (row for module in MODULES for row in module.ROWS), key=lambda row: row.promise
)
MECHANISMS: dict[str, Mechanism] = {
    name: mechanism
    for mechanisms in (SHARED, *(module.MECHANISMS for module in MODULES))
    for name, mechanism in mechanisms.items()
}
