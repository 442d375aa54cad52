"""The rows of the fault table that say nothing about other clients, and why."""

from ..faults.rows import ROWS
from ..faults.table import Fault

OURS = "is about what only this client has"
PAUSES = "is about pauses, or ages, that only the clock of our tests can show"
PROCESS = "is about a fork, or a signal, in the process of the caller"
TYPES = "is about values that another process does not get whole"
TASTE = "is about a choice of ours that others make otherwise with good reason"

APART: dict[str, tuple[str, ...]] = {
    OURS: (
        "all connections are in use",
        "all turns are taken",
        "nests its refusal as deep as can be",
        "sends the key back in UTF-16",
        "larger than allowed",
        "a gzip bomb",
        "one byte too many",
        "one byte too many inside gzip",
        "an unreadable answer is pickled, without its body",
        "an own transport loses the connection",
        "an own transport does not connect",
        "a client is unpickled without a key",
        "a client is unpickled with another key",
        "a client is printed",
        "a client's settings are pickled",
        "the environment names another server and key",
        "white space around the key of the environment",
        "a bad key in the environment",
        "a key that is no text",
        "a base URL that is no text",
        "a client meets a second event loop",
        "an event loop ends before its client",
        "a client's twin is closed",
        "a client is entered again",
        "a client is closed while it waits to try again",
        "a body that holds itself",
        "an argument without its name",
        "an unknown parameter",
        "a timeout that is no number",
        "a timeout out of range",
        "fewer than one try",
        "tries that are no int",
        *(row.name for row in ROWS if row.promise == 15),
    ),
    PAUSES: (
        "refuses for long",
        "refuses many clients at once",
        "a connection is idle for over a second",
        "a connection grows old when it was chosen",
    ),
    PROCESS: (
        "a process forks",
        "a call is interrupted before its answer comes",
        "a call is interrupted within its answer",
    ),
    TYPES: (
        "a bool of numpy for an int",
        "an infinite amount",
        "numbers of numpy and fractions",
        "an object for a symbol",
        "a mapping that cannot be read",
    ),
    TASTE: (
        "a second gzip member",
        "gzip of gzip",
        "deflate",
        "plain http beside a proxy",
        "cookies",
    ),
}
"""Reason -> names of rows."""

SHARED: list[Fault] = [
    row for row in ROWS if not any(row.name in names for names in APART.values())
]
"""The rows that peers are judged by."""
