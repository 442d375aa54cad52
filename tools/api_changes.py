"""What changed in the public names and arguments of the two Python packages, as griffe reads them.

The sources are read, not imported. Left aside are private names and the generated runtime, which
nobody is meant to use: the generated clients, and the `sync` and `asyncio` functions.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import griffe

from schema_changes import Change

__all__ = ["FOLDERS", "Loaded", "Unreadable", "api_changes", "arguments_of", "packages_of"]

Loaded: TypeAlias = griffe.Object | griffe.Alias

FOLDERS = ("generated", "overrides")
RUNTIME = {"asyncio", "asyncio_detailed", "sync", "sync_detailed"}


class Unreadable(Exception):  # noqa: N818 - a message to who typed make
    """Why a package cannot be read."""


def packages_of(home: Path) -> list[Loaded]:
    """The generated and the hand-written package of a folder, the runtime marked as not public."""
    for path in sorted(path for folder in FOLDERS for path in home.joinpath(folder).rglob("*.py")):
        try:
            ast.parse(path.read_bytes())
        except SyntaxError as error:
            # griffe would leave the module out, and its names would seem to be gone.
            raise Unreadable(
                f"{path.relative_to(home)}, line {error.lineno}: {error.msg}"
            ) from None
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


def _hide_runtime(generated: Loaded) -> None:
    hidden: list[Any] = [
        generated.members.get(name) for name in ("client", "AuthenticatedClient", "Client")
    ]
    for folder in generated["api"].modules.values():
        for operation in folder.modules.values():
            hidden += [operation.members.get(name) for name in RUNTIME]
    # What they define is exported by `models` itself.
    hidden += generated["models"].modules.values()
    for member in filter(None, hidden):
        member.public = False


def api_changes(before: list[Loaded], after: list[Loaded]) -> Iterator[Change]:
    """What breaks, as griffe finds it, and the public names and arguments that came or went."""
    for old, new in zip(before, after, strict=True):
        was, now = dict(_public(old, old.name)), dict(_public(new, new.name))
        # Of what came or went as a whole, the parts are not told.
        for name, kind in was.items():
            if kind == "name" and name not in now and _owner(name) in {*now, new.name}:
                yield Change("breaking", name, "the name is gone: code that uses it fails")
        for breakage in griffe.find_breaking_changes(old, new):
            known = breakage.kind is griffe.BreakageKind.OBJECT_REMOVED
            if not known and not _is_private(breakage.obj.name):
                yield _as_change(breakage)
        for name, kind in now.items():
            if name not in was and _owner(name) in {*was, old.name}:
                yield Change("additive", name, f"a new {kind}")


def _public(scope: Loaded, path: str) -> Iterator[tuple[str, str]]:
    """Paths of public names, and of arguments that may be left out, with what each is."""
    for name, member in scope.all_members.items():
        elsewhere = _is_described_elsewhere(member)
        if not member.is_public or _is_private(name) or (member.inherited and elsewhere):
            continue
        yield f"{path}.{name}", "name"
        if elsewhere:
            continue
        here = member.final_target if isinstance(member, griffe.Alias) else member
        if isinstance(here, griffe.Function):
            given = (each.name for each in here.parameters if not each.required)
            yield from ((f"{path}.{name}({each})", "optional argument") for each in given)
        else:
            yield from _public(here, f"{path}.{name}")


def _is_private(name: str) -> bool:
    return name.startswith("_") and name != "__init__"


def _is_described_elsewhere(member: Loaded) -> bool:
    """Is it brought here from a public home, or from another distribution?"""
    if not isinstance(member, griffe.Alias):
        return False
    try:
        home = member.target.parent
    except griffe.AliasResolutionError:
        return True
    return home is None or home.is_public


def _owner(path: str) -> str:
    return path.partition("(")[0] if "(" in path else path.rpartition(".")[0]


def _as_change(breakage: griffe.Breakage) -> Change:
    told = breakage.explain(griffe.ExplanationStyle.MARKDOWN)
    # As in: - `Client.add_layer(mp_id)`: *Parameter was removed*
    name, _, what = told.removeprefix("- `").partition("`: ")
    what = what[1:2].lower() + what[2:].replace("*", "", 1)
    return Change("breaking", f"{breakage.obj.module.path}.{name}", what)


def arguments_of(packages: list[Loaded], method: str) -> set[str]:
    """The arguments of a method of `Client`; none at all where it has no such method."""
    try:
        found = packages[-1]["client.Client"].all_members[method]
    except KeyError:
        return set()
    return {each.name for each in found.parameters}
