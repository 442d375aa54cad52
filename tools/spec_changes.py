"""What a change of the OpenAPI spec means for people whose code uses the client.

Pure: two documents in, a list of changes out.
"""

from dataclasses import dataclass
from typing import Any

from schema_changes import TEXTS, Change, Changes, Comparison
from spec_document import ANYTHING, Invalid, Node, Spec

__all__ = ["spec_changes"]

# Words that no call depends on, or that hand-written code answers for.
ASIDE = TEXTS | {
    "callbacks", "headers", "info", "links", "security", "securitySchemes", "servers", "webhooks",
}  # fmt: skip
# Their keys are names, not words of OpenAPI: a field may be called `description`.
NAMED = {"$defs", "parameters", "paths", "properties", "requestBodies", "responses", "schemas"}


def spec_changes(old: Spec, new: Spec) -> list[Change]:
    """All that changed from one spec to the other."""
    if old.tree == new.tree:
        return []
    try:
        found = [*_operations(old, new), *_asides(old.tree, new.tree, "")]
    except RecursionError:
        raise Invalid("openapi.yaml: a $ref or allOf leads back to itself") from None
    return found or [
        Change("other", "openapi.yaml", "changed, but nothing that is sent or answered")
    ]


def _operations(old: Spec, new: Spec) -> Changes:
    before, after = old.operations(), new.operations()
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            what = "the operation is gone: code that calls it fails"
            yield Change("breaking", name, what)
        elif name not in before:
            what = "a new operation, callable at once through `client.call`"
            yield Change("additive", name, what)
        else:
            yield from _Operation(old, new, name, before[name], after[name]).changes()


def _asides(old: Any, new: Any, place: str, *, named: bool = False) -> Changes:
    """Texts, examples and the like that changed where both specs have them."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        old, new = dict(enumerate(old)), dict(enumerate(new))
    if not isinstance(old, dict) or not isinstance(new, dict):
        return
    for key in dict.fromkeys([*old, *new]):
        below = f"{place} > {key}" if place else str(key)
        was, now = old.get(key), new.get(key)
        if key not in ASIDE or named:
            yield from _asides(was, now, below, named=key in NAMED and not named)
        elif was != now:
            yield Change("other", below, "changed: no code of users depends on it")


@dataclass(frozen=True)
class _Operation:
    """One operation, before and after."""

    old: Spec
    new: Spec
    name: str
    before: Node
    after: Node

    def changes(self) -> Changes:
        was, now = self.before["call"], self.after["call"]
        if was != now:
            yield Change("other", self.name, f"{was} became {now}: the client sends what is right")
        # The generator makes a package of the first tag.
        was, now = ((each.get("tags") or ["default"])[0] for each in (self.before, self.after))
        if was != now:
            what = f"the first tag {was} became {now}: its module moves, so its import fails"
            yield Change("breaking", self.name, what)
        yield from self._parameters()
        yield from self._body()
        yield from self._successes()
        yield from self._errors()

    def _at(self, where: str, *, sent: bool) -> Comparison:
        return Comparison(self.old, self.new, where, sent)

    def _parameters(self) -> Changes:
        before, after = _parameters(self.old, self.before), _parameters(self.new, self.after)
        for place in dict.fromkeys([*before, *after]):
            at = self._at(f"{self.name} > {place}", sent=True)
            was, now = before.get(place), after.get(place)
            yield from at.presence("", "argument", _required(was), _required(now))
            if was is not None and now is not None:
                yield from at.schema(_schema_of(was), _schema_of(now))

    def _body(self) -> Changes:
        was = self.old.part(self.before, "requestBody")
        now = self.new.part(self.after, "requestBody")
        at = self._at(f"{self.name} > body", sent=True)
        yield from at.presence("", "body", _required(was), _required(now))
        if was and now:
            yield from _content(at, was, now)

    def _successes(self) -> Changes:
        before, _ = _answers(self.old, self.before)
        after, _ = _answers(self.new, self.after)
        for status in dict.fromkeys([*before, *after]):
            at = self._at(f"{self.name} > {status}", sent=False)
            if status not in after:
                what = "no longer answered" if after else "gone, and no success is left"
                yield at.change("additive" if after else "breaking", "", what)
            elif status in before:
                yield from _content(at, before[status], after[status])
            elif any(_fits(at, known, after[status]) for known in before.values()):
                yield at.change("additive", "", "a new success with a known answer")
            else:
                yield at.change("breaking", "", "a new success with an answer of another type")

    def _errors(self) -> Changes:
        """Errors are typed by their status, not by a schema: so nobody's code depends on it."""
        _, before = _answers(self.old, self.before)
        _, after = _answers(self.new, self.after)
        found: dict[Change, list[str]] = {}
        for status in dict.fromkeys([*before, *after]):
            if status not in before or status not in after:
                what = "a new error answer" if status in after else "an error answer less"
                changes = [Change("other", "", what)]
            else:
                changes = [*_content(self._at("", sent=False), before[status], after[status])]
            for change in changes:
                found.setdefault(change._replace(kind="other"), []).append(status)
        for change, statuses in found.items():
            where = [self.name, ", ".join(statuses), *filter(None, [change.where])]
            yield change._replace(where=" > ".join(where))


def _content(at: Comparison, old: Node, new: Node) -> Changes:
    """What changed in a body: its media types, and the schema of each."""
    before, after = at.old.part(old, "content"), at.new.part(new, "content")
    if not at.sent and bool(before) != bool(after):
        what = "it has a body now" if after else "it has no body any more"
        yield at.change("breaking", "", f"{what}: what a call returns is another thing")
        return
    for media in dict.fromkeys([*before, *after]):
        if media not in after:
            yield at.narrower("", f"no longer {media}")
        elif media not in before:
            yield at.wider("", f"{media} too from now on")
        else:
            yield from at.schema(_schema_of(before[media]), _schema_of(after[media]))


def _parameters(spec: Spec, operation: Node) -> dict[str, Node]:
    """The parameters of an operation by place and name."""
    parameters = map(spec.resolved, operation["parameters"])
    return {f"{each.get('in')} > {each.get('name')}": each for each in parameters}


def _answers(spec: Spec, operation: Node) -> tuple[dict[str, Node], dict[str, Node]]:
    """The answers that mean success, and the others, by their status."""
    found: tuple[dict[str, Node], dict[str, Node]] = ({}, {})
    for status, answer in spec.part(operation, "responses").items():
        found[not str(status).startswith("2")][str(status)] = spec.resolved(answer)
    return found


def _fits(at: Comparison, known: Node, answer: Node) -> bool:
    """Does code that reads the one answer read the other?"""
    return all(change.kind != "breaking" for change in _content(at, known, answer))


def _required(node: Node | None) -> bool | None:
    return bool(node.get("required")) if node else None


def _schema_of(node: Node) -> Any:
    """The schema of a parameter or of a media type; a parameter may hide it in its content."""
    holders = [node, *(node.get("content") or {}).values()]
    return next((each["schema"] for each in holders if "schema" in each), ANYTHING)
