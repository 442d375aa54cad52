"""The one scrubber of secrets: of texts, and of what httpcore logs."""

import json
import logging
import re
from typing import Any, NoReturn
from urllib.parse import quote


class Secret:
    """A value that shows itself only on request: not in a repr, nor in a pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """The value itself."""
        return self._value

    def scrub(self, text: str) -> str:
        """`text` without this secret, be it plain, escaped or percent-encoded."""
        return re.sub("|".join(map(re.escape, self._forms())), "[redacted]", text)

    def scrub_bytes(self, body: bytes) -> bytes:
        """As `scrub`, of bytes."""
        forms = (re.escape(form.encode()) for form in self._forms())
        return re.sub(b"|".join(forms), b"[redacted]", body)

    def _forms(self) -> list[str]:
        """The longest first, so that none leaves a part of another behind."""
        plain = self._value
        quoted = {quote(plain, safe=""), quote(plain)}
        quoted |= {re.sub("%..", lambda code: code[0].lower(), form) for form in quoted}
        escaped = json.dumps(plain)[1:-1]
        slashed = escaped.replace("/", "\\/")
        # A repr escapes the quotes that it is written in.
        shown = {
            repr(plain.encode() + more)[2:-1].removesuffix(more.decode()) for more in (b"", b'"')
        }
        forms = {plain, escaped, slashed, *shown, *quoted}
        return sorted(forms, key=len, reverse=True)

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is never pickled")


class _WithoutAnswers(logging.Filter):
    """At DEBUG httpcore logs what a server sends, which may be the key: the event is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        event, _, _ = record.getMessage().partition(" ")
        if event.startswith("receive_response"):
            record.msg, record.args = event, ()
        return True


logging.getLogger("httpcore.http11").addFilter(_WithoutAnswers())
