"""Everything that can go wrong with the network or with an answer, in one family.

    AtomscaleError
    ├── ConfigurationError            (also a ValueError) key, base URL, proxy or certificates
    ├── ClientClosedError             (also a RuntimeError) the client was used after `close()`
    ├── APIConnectionError            no connection, or one that broke
    │   └── APITimeoutError           the call did not end within its `timeout`
    ├── APIResponseValidationError    a success status with an answer that the spec does not allow
    └── APIStatusError                any status outside 2xx
        ├── BadRequestError           400
        ├── AuthenticationError       401
        ├── PermissionDeniedError     403
        ├── NotFoundError             404
        ├── ConflictError             409
        ├── UnprocessableEntityError  422
        ├── RateLimitError            429
        └── InternalServerError       5xx

Bad arguments are no part of it: they raise `TypeError` or `ValueError` before anything is sent. All
of these can be pickled. None of them holds the API key, or an exception of the libraries
underneath.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .stacks import LayerStatus


class AtomscaleError(Exception):
    """The base of every error of this client.

    Attributes:
        outcome_unknown: True when a write was sent and nobody knows whether it was carried out:
            look before you send it again. False when it certainly was not, and always for reads.
        fates: After `Client.ensure_stack`: a `LayerStatus` for each declared layer, which tells
            what became of it. Else empty.
    """

    outcome_unknown: bool = False
    fates: "tuple[LayerStatus, ...]" = ()

    def __init__(self, message: str = "", **attributes: Any) -> None:
        super().__init__(message)
        vars(self).update(attributes)


class ConfigurationError(AtomscaleError, ValueError):
    """The key, the base URL, a proxy or a certificate file cannot be used; nothing was sent."""


class ClientClosedError(AtomscaleError, RuntimeError):
    """The client was used after it was closed; nothing was sent."""


class APIConnectionError(AtomscaleError):
    """No connection could be made, or it broke before the whole answer had come."""


class APITimeoutError(APIConnectionError):
    """The call did not end within the client's `timeout` (seconds, for the whole call)."""


class APIResponseValidationError(AtomscaleError):
    """The status says success, but the answer is not what the spec allows.

    Attributes:
        path: Place of the fault as a JSON path, for example `$[3].element_dict.Ba`; None where
            there is none.
        body: The answer as it came (decompressed, the API key redacted), so that one odd row does
            not keep you from the data. Left out of pickles and copies, where it is None.
    """

    path: str | None = None
    body: bytes | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, {**vars(self), "body": None}


class APIStatusError(AtomscaleError):
    """The server answered with a status outside 2xx; a redirect too: none is ever followed.

    Attributes:
        status_code: HTTP status; None when the refusal is the client's own.
        detail: What the server says, readable: at most 2,000 characters, the API key redacted; None
            if nothing.
        request_id: The answer's `X-Request-ID`, for the provider's support; None if there is none.
    """

    status_code: int | None = None
    detail: str | None = None
    request_id: str | None = None


class BadRequestError(APIStatusError):
    """400: the server cannot make sense of the request."""


class AuthenticationError(APIStatusError):
    """401: the key is missing, unknown or revoked."""


class PermissionDeniedError(APIStatusError):
    """403: the key lacks the scope that the operation needs (API reference, B)."""


class NotFoundError(APIStatusError):
    """404: there is no such resource, for example no target material with that `sample_id`."""


class ConflictError(APIStatusError):
    """409: the request conflicts with what is stored, for example a layer at that position."""


class UnprocessableEntityError(APIStatusError):
    """422: the server's validation refused the request."""


class RateLimitError(APIStatusError):
    """429: too many requests."""


class InternalServerError(APIStatusError):
    """5xx: the server, or a proxy before it, failed."""


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError, 401: AuthenticationError, 403: PermissionDeniedError,
    404: NotFoundError, 409: ConflictError, 422: UnprocessableEntityError, 429: RateLimitError,
}  # fmt: skip


def class_for_status(status: int) -> type[APIStatusError]:
    """The error class for an HTTP status outside 2xx."""
    return _BY_STATUS.get(status, InternalServerError if 500 <= status <= 599 else APIStatusError)
