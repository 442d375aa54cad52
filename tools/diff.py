"""What has changed for users since a commit, and the version bump that this asks for.

    python tools/diff.py BASE           compare the working tree with BASE
    python tools/diff.py BASE --strict  exit 1 when users break and the version does not say so

Compared are the spec (what can be sent, what is answered) and the public names and arguments of
both Python packages. The findings go to the terminal and, for CI, to `build/diff.json`.
"""

import argparse
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from api_changes import FOLDERS, Loaded, Unreadable, api_changes, arguments_of, packages_of
from spec_changes import spec_changes
from spec_document import Invalid, Spec

SPEC = "openapi.yaml"
VERSION = "overrides/atomscale_target_materials/__init__.py"
ROOT = Path(__file__).resolve().parents[1]
BUMPS = {"breaking": "major", "additive": "minor", "other": "patch"}


class Refusal(Exception):  # noqa: N818 - a message to who typed make
    """Why nothing can be compared."""


def main() -> None:
    """Compares and reports; exit status 2 when it cannot, 1 when --strict is not met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", metavar="BASE", help="a commit, a branch or a tag")
    parser.add_argument("--strict", action="store_true", help="the version must match")
    options = parser.parse_args()
    try:
        bump = report(options.base)
        fault = version_fault(options.base) if options.strict and bump == "major" else None
    except (Refusal, Invalid, Unreadable, OSError) as refusal:
        print(f"make diff: {refusal}", file=sys.stderr)
        sys.exit(2)
    sys.exit(fault)


def report(base: str) -> str:
    """Prints what changed since `base`, writes it to build/diff.json, and returns the bump."""
    commit = commit_of(base)
    old, new = spec_at(commit, base), spec_of((ROOT / SPEC).read_bytes(), SPEC)
    packages = packages_of(ROOT)
    found = [*spec_changes(old, new), *api_changes(packages_at(commit, base), packages)]
    found.sort(key=lambda change: [*BUMPS].index(change.kind))
    bump = BUMPS[found[0].kind] if found else "none"
    reminders = [*lacking(old, new, packages)]
    for kind, where, what in found:
        print(f"{kind:9} {where}: {what}")
    for reminder in reminders:
        print(f"reminder  {reminder}")
    print(f"version bump: {bump}")
    changes = [change._asdict() for change in found]
    told = {"base": base, "changes": changes, "reminders": reminders, "bump": bump}
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "diff.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return bump


def commit_of(base: str) -> str:
    """The commit that a name stands for."""
    try:
        found = git("rev-parse", "--verify", "--end-of-options", f"{base}^{{commit}}")
    except Refusal:
        raise Refusal(f"git knows no commit {base!r}: BASE is a commit, branch or tag") from None
    return found.decode().strip()


def git(*words: str) -> bytes:
    """What git prints; a Refusal with its own message when it fails."""
    command = ["git", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise Refusal(done.stderr.decode(errors="replace").strip())
    return done.stdout


def spec_at(commit: str, base: str) -> Spec:
    """The spec as it was at a commit."""
    try:
        content = git("show", f"{commit}:./{SPEC}")
    except Refusal:
        raise Refusal(f"there is no {SPEC} at {base}") from None
    return spec_of(content, f"{SPEC} at {base}")


def spec_of(content: bytes, name: str) -> Spec:
    """A parsed spec; a Refusal with the line where it is no YAML."""
    place = ""
    try:
        tree = YAML(typ="safe").load(content)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = str(error.problem or error.context)
    except (YAMLError, ValueError) as error:
        problem = str(error)
    else:
        if isinstance(tree, dict):
            return Spec(tree, name)
        problem = "a mapping is needed"
    raise Refusal(f"{name}{place}: {problem.splitlines()[0]}")


def packages_at(commit: str, base: str) -> list[Loaded]:
    """Both packages as they were at a commit."""
    try:
        archive = git("archive", "--format=tar", commit, *FOLDERS)
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(folder, filter="data")
            return packages_of(Path(folder))
    except (Refusal, Unreadable) as fault:
        raise Refusal(f"at {base}: {fault}") from None


def lacking(old: Spec, new: Spec, packages: list[Loaded]) -> Iterator[str]:
    """New fields of LayerCreate that the hand-written methods have no argument for."""
    before = sendable(old)
    for field in (each for each in sendable(new) if each not in before):
        lack = [
            method
            for method in ("add_layer", "ensure_layer")
            if (arguments := arguments_of(packages, method))
            and _plain(field) not in map(_plain, arguments)
        ]
        if lack:
            yield (
                f"LayerCreate.{field} is reachable at once through `client.call`; "
                f"there is no argument for it in {' and '.join(lack)}"
            )


def sendable(spec: Spec) -> list[str]:
    """The fields of LayerCreate."""
    schemas = spec.part(spec.part(spec.tree, "components"), "schemas")
    return [*spec.part(spec.merged(schemas.get("LayerCreate") or {}), "properties")]


def _plain(name: str) -> str:
    """A name without what the generator changes: `latticeType` is `lattice_type` in Python."""
    return name.replace("_", "").lower()


def version_fault(base: str) -> str | None:
    """Why the version does not say that users break; None when it does."""
    was = version_of(git("show", f"{base}:./{VERSION}"), f" at {base}")
    now = version_of((ROOT / VERSION).read_bytes(), "")
    major, minor = breaking_version(was)
    if now >= (major, minor):
        return None
    return (
        f"make diff: users break, so version {major}.{minor}.0 would do; "
        f"it is {now[0]}.{now[1]}, at {base} it was {was[0]}.{was[1]}"
    )


def breaking_version(was: tuple[int, int]) -> tuple[int, int]:
    """The first version that may break users: below 1.0 the minor part grows, then the major."""
    major, minor = was
    return (major + 1, 0) if major else (0, minor + 1)


def version_of(module: bytes, place: str) -> tuple[int, int]:
    """The major and the minor part of a package's version."""
    found = re.search(rb'(?m)^__version__ = "(\d+)(?:\.(\d+))?', module)
    if not found:
        raise Refusal(f"{VERSION}{place} has no version that can be read")
    return int(found[1]), int(found[2] or 0)


if __name__ == "__main__":
    main()
