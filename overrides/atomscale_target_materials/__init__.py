"""Unofficial Python client of the Atomscale target-materials API.

    from atomscale_target_materials import Client

    with Client() as client:
        for stack in client.list_target_materials().stacks():
            print(stack)

The names below are loaded when they are first used: importing the package alone is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atomscale_target_materials_api.models import Layer, LayerCreate, TargetMaterial
    from atomscale_target_materials_api.types import UNSET, Unset

    from ._operations import EnsureResult, StackResult
    from .chemistry import Misfit
    from .client import AsyncClient, Client
    from .errors import *
    from .frames import layers_from_frame
    from .stacks import LayerStack, LayerStatus, StackDiff, StackLayer, TargetMaterials

__version__ = "0.1.0"

# Where the names below are looked for, the cheapest module first.
_HOMES = (".errors", ".stacks", "._operations", ".client", ".frames", ".chemistry")

__all__ = [
    "UNSET", "APIConnectionError", "APIResponseValidationError", "APIStatusError",
    "APITimeoutError", "AsyncClient", "AtomscaleError", "AuthenticationError",
    "BadRequestError", "Client", "ClientClosedError", "ConfigurationError", "ConflictError",
    "EnsureResult", "InternalServerError", "Layer", "LayerCreate", "LayerStack", "LayerStatus",
    "Misfit", "NotFoundError", "PermissionDeniedError", "RateLimitError", "StackDiff", "StackLayer",
    "StackResult", "TargetMaterial", "TargetMaterials", "UnprocessableEntityError", "Unset",
    "layers_from_frame",
]  # fmt: skip


if not TYPE_CHECKING:  # pragma: no branch - or a misspelt name would pass as Any

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        modules = (import_module(home, __name__) for home in _HOMES)
        found = next(getattr(module, name) for module in modules if hasattr(module, name))
        return globals().setdefault(name, found)

    def __dir__() -> list[str]:
        return [*__all__, "__version__"]
