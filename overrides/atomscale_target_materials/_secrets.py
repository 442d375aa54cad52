"""The one scrubber of secrets: of texts, and of what httpcore logs."""

import json
import logging
from typing import NoReturn
from urllib.parse import quote
from weakref import WeakSet


class Secret:
    """A text that shows itself only on request: not in a repr, a pickle or a log."""

    __slots__ = ("__weakref__", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        _SECRETS.add(self)

    @classmethod
    def of(cls, text: str | None) -> "Secret | None":
        """`text` as a secret, or None."""
        return None if text is None else cls(text)

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def scrub(self, text: str) -> str:
        """`text` without this secret, be it plain, escaped or percent-encoded."""
        for form in self._forms():
            text = text.replace(form, "[redacted]")
        return text

    def scrub_bytes(self, body: bytes) -> bytes:
        """As `scrub`, of bytes."""
        for form in self._forms():
            body = body.replace(form.encode(), b"[redacted]")
        return body

    def _forms(self) -> list[str]:
        plain = self._text
        escaped = json.dumps(plain)[1:-1], repr(plain.encode())[2:-1]
        return [plain, *escaped, quote(plain, safe=""), quote(plain)]

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is never pickled")


_SECRETS: WeakSet[Secret] = WeakSet()


class _LogFilter(logging.Filter):
    """At DEBUG httpcore logs the headers of an answer, in which a server may send the key back."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        for secret in tuple(_SECRETS):
            message = secret.scrub(message)
        record.msg, record.args = message, ()
        return True


for _name in ("httpcore.connection", "httpcore.http11", "httpcore.proxy"):
    logging.getLogger(_name).addFilter(_LogFilter())
