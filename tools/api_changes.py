"""What changed in the public names and arguments of the two Python packages, as griffe reads them.

The sources are read, not imported. Left aside are private names and the generated runtime, which
nobody is meant to use: the generated clients, and the `sync` and `asyncio` functions.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import griffe
from schema_changes import Change

__all__ = ["Unreadable", "add_layer_lacks", "api_changes", "packages_of"]

Packages: TypeAlias = list[griffe.Module]
Member: TypeAlias = griffe.Object | griffe.Alias

FOLDERS = ("generated", "overrides")
RUNTIME = {"AuthenticatedClient", "Client", "asyncio", "asyncio_detailed", "sync", "sync_detailed"}


class Unreadable(Exception):  # noqa: N818 - a message to who typed make
    """Why a package cannot be read."""


def packages_of(home: Path) -> Packages:
    """The generated and the hand-written package of a folder, the runtime marked as not public."""
    for path in sorted(path for folder in FOLDERS for path in home.joinpath(folder).rglob("*.py")):
        try:
            ast.parse(path.read_bytes())
        except SyntaxError as error:
            # griffe would leave the module out, and its names would seem to be gone.
            raise Unreadable(f"{path.relative_to(home)}, line {error.lineno}: {error.msg}") from None
    loader = griffe.GriffeLoader(
        search_paths=[home / folder for folder in FOLDERS], allow_inspection=False
    )
    names = ("atomscale_target_materials_api", "atomscale_target_materials")
    try:
        generated, ours = (loader.load(name, try_relative_path=False) for name in names)
    except ImportError as error:
        raise Unreadable(f"a package is missing: {error}") from None
    _hide_runtime(generated)
    return [generated, ours]


def _hide_runtime(generated):
    ...
