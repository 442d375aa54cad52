"""The one scrubber of secrets: of texts, and of what httpcore logs."""

import json
import logging
import re
import threading
from typing import Any, NoReturn, Self
from urllib.parse import quote
from weakref import WeakSet


class Secret:
    """A text that shows itself only on request: not in a repr, a pickle or a log."""

    __slots__ = ("__weakref__", "_text")

    def __init__(self, text: Any) -> None:
        self._text = text

    def watched(self) -> Self:
        """This secret; from now on the logs are scrubbed of it too."""
        with _LOCK:
            _SECRETS.add(self)
        return self

    def reveal(self) -> Any:
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
        """The longest first, so that none leaves a part of another behind."""
        plain = self._text
        quoted = {quote(plain, safe=""), quote(plain)}
        quoted |= {re.sub("%..", lambda code: code[0].lower(), form) for form in quoted}
        escaped = json.dumps(plain)[1:-1]
        forms = {plain, escaped, escaped.replace("/", "\\/"), repr(plain.encode())[2:-1], *quoted}
        return sorted(forms, key=len, reverse=True)

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is never pickled")


_SECRETS: WeakSet[Secret] = WeakSet()
_LOCK = threading.Lock()


class _LogFilter(logging.Filter):
    """At DEBUG httpcore logs the headers of an answer, in which a server may send the key back."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        with _LOCK:
            secrets = tuple(_SECRETS)
        for secret in secrets:
            message = secret.scrub(message)
        record.msg, record.args = message, ()
        return True


for _name in ("httpcore.connection", "httpcore.http11", "httpcore.proxy"):
    logging.getLogger(_name).addFilter(_LogFilter())
