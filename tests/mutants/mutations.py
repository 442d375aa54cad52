"""The mutants of a module: mutmut's operators, applied to all of its code.

mutmut's own runner leaves out what has a decorator, constants, and the bodies of classes: a fifth
of the core. It also tries each mutant where caches are warm and modules imported, so that nobody
notices what has changed. So only its operators are used, each on the text of the whole module.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs
import libcst
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import Mutation, MutationVisitor, deep_replace
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

ROOT = Path(__file__).parents[2]
CORE = Path("overrides", "atomscale_target_materials")
ROOMS = ("chemistry", "frames", "notebook", "plotting")
MODULES = sorted({path.stem for path in (ROOT / CORE).glob("*.py")} - {*ROOMS})


@attrs.frozen
class Mutant:
    """A module with one change."""

    module: str
    name: str
    """Where, and the lines as they are then: it outlives changes elsewhere in the module."""
    line: int
    """The first line that changes, from 1."""
    code: str = attrs.field(repr=False)


class _Visitor(MutationVisitor):
    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, libcst.FunctionDef):
            return any("overload" in libcst.Module([]).code_for_node(x) for x in node.decorators)
        if isinstance(node, libcst.If) and isinstance(node.test, libcst.Name):
            return node.test.value == "TYPE_CHECKING"
        return super()._skip_node_and_children(node)


def mutants_of(module: str) -> list[Mutant]:
    """All mutants of a module of the core."""
    code = (ROOT / CORE / f"{module}.py").read_text("utf-8")
    wrapper = MetadataWrapper(libcst.parse_module(code))
    visitor = _Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    texts = dict.fromkeys(_texts(wrapper.visit(visitor), visitor.mutations))
    texts.pop(code, None)
    return list(_named(module, code, texts))


def _texts(tree: libcst.Module, mutations: list[Mutation]) -> Iterator[str]:
    """The module with each change; only the statement that changes is written anew."""
    parts = [tree.code_for_node(each) for each in tree.body]
    head, _, tail = tree.code.partition("".join(parts))
    owners = {node: place for place, each in enumerate(tree.body) for node in _nodes(each)}
    for each in mutations:
        place = owners[each.original_node]
        changed = deep_replace(tree.body[place], each.original_node, each.mutated_node)
        text = tree.code_for_node(changed)  # type: ignore[arg-type]
        yield "".join([head, *parts[:place], text, *parts[place + 1 :], tail])


def _nodes(node: libcst.CSTNode) -> Iterator[libcst.CSTNode]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _named(module: str, code: str, texts: dict[str, None]) -> Iterator[Mutant]:
    seen: Counter[str] = Counter()
    scopes = list(_scopes(ast.parse(code)))
    for text in texts:
        line, changed = _change(code.splitlines(), text.splitlines())
        inside = [name for name, span in scopes if line in span]
        name = f"{'.'.join([module, *inside])}: {changed}"
        seen[name] += 1
        yield Mutant(module, name + f" ({seen[name]})" * (seen[name] > 1), line, text)


def _change(old: list[str], new: list[str]) -> tuple[int, str]:
    """The first line that differs, from 1, and what stands there now."""
    rest = min(len(old), len(new))
    same = next(n for n in range(rest) if old[n] != new[n])
    rest -= same
    tail = next((n for n in range(rest) if old[-1 - n] != new[-1 - n]), rest)
    return same + 1, " ".join(line.strip() for line in new[same : len(new) - tail])


def _scopes(tree: ast.AST) -> Iterator[tuple[str, range]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            assert node.end_lineno is not None
            yield node.name, range(node.lineno, node.end_lineno + 1)


def statement_at(module: str, line: int) -> tuple[range, set[str]]:
    """The lines of the innermost statement (of a loop and the like the head), and what it names.

    That is for a constant or a field: it is run when it is imported, and used where it is named.
    """
    spans: list[tuple[int, range, set[str]]] = [(0, range(line, line + 1), set())]
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.stmt):
            # The head of a function has its defaults: whoever calls it uses them.
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            body = None if is_function else getattr(node, "body", None)
            end = body[0].lineno - 1 if body else node.end_lineno
            span = range(node.lineno, max(node.lineno, end or 0) + 1)
            stored = (x for x in ast.walk(node) if isinstance(getattr(x, "ctx", None), ast.Store))
            names = {x.id for x in stored if isinstance(x, ast.Name)}
            spans += [(node.lineno, span, names)] * (line in span)
    return max(spans, key=lambda each: each[0])[1:]


@cache
def tree_of(module: str) -> ast.Module:
    """Of a module of the core."""
    return ast.parse((ROOT / CORE / f"{module}.py").read_text("utf-8"))


@cache
def uses() -> dict[str, set[tuple[str, int]]]:
    """By each name of the core the modules and lines that have it."""
    found: dict[str, set[tuple[str, int]]] = {}
    for module in (*MODULES, *ROOMS):
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                found.setdefault(name, set()).add((module, node.lineno))
    return found
