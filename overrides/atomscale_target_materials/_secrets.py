"""The one scrubber of secrets: of texts, and of what httpcore logs."""

import html
import logging
import re
from typing import Any, NoReturn


class Secret:
    """A value that shows itself only on request: not in a repr, nor in a pickle.

    Args:
        value: The value.
        *others: What is scrubbed along with it.
    """

    __slots__ = ("_all",)

    def __init__(self, value: Any, *others: str) -> None:
        self._all = (value, *others)

    def reveal(self) -> Any:
        """The value itself."""
        return self._all[0]

    def scrub(self, text: str) -> str:
        """`text` without the secrets, be they plain, escaped or percent-encoded."""
        return re.sub(self._pattern(), "[redacted]", text)

    def scrub_bytes(self, body: bytes) -> bytes:
        """As `scrub`, of bytes."""
        return re.sub(self._pattern().encode(errors="surrogateescape"), b"[redacted]", body)

    def _pattern(self) -> str:
        # A text in UTF-16 or UTF-32 has zeros between its characters.
        units = (re.findall(r"\\+|[^\\]", each) for each in self._all)
        escaped = (r"\0{0,3}".join(map(_forms_of, each)) for each in units)
        return "|".join((*escaped, *map(re.escape, self._all)))

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is never pickled")


def _forms_of(unit: str) -> str:
    """A pattern for a character or a run of backslashes: plain, or as any encoder escapes it."""
    if unit[0] == "\\":
        count = len(unit)
        return rf"(?:(?:%5[cC]|\\{{1,4}}[ux](?:00)?5[cC]){{{count}}}|\\{{{count},{4 * count}}})"
    data, plain = unit.encode(errors="surrogateescape"), re.escape(unit)
    percent = "".join(f"%(?i:{byte:02x})" for byte in data)
    hexed = r"\\{1,4}".join(f"x(?i:{byte:02x})" for byte in data)
    escaped = f"u(?i:{ord(unit):04x})", hexed, plain
    entity = re.escape(html.escape(unit))
    # Each branch begins with a literal, so that the search is fast, and is final, so that it ends.
    return rf"(?>{percent}|\\\\{{0,3}}(?:{'|'.join(escaped)})|{entity}|{plain})"


def _without_answers(record: logging.LogRecord) -> bool:
    """At DEBUG httpcore logs what a server sends, which may be the key: the event is enough."""
    event, _, _ = record.getMessage().partition(" ")
    if event.startswith("receive_response"):
        record.msg, record.args = event, ()
    return True


logging.getLogger("httpcore.http11").addFilter(_without_answers)
