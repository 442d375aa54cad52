"""A YAML file: a mapping of `substrate` and `layers`, the layers from the substrate up."""

from typing import Any

try:
    import yaml
except ImportError:
    raise ImportError(
        "YAML files need an extra: pip install 'atomscale-target-materials[yaml]', or PyYAML itself"
    ) from None

from . import Cell, Layer

NULL = "tag:yaml.org,2002:null"


def parse(text: str) -> tuple[Cell | None, list[Layer]]:
    """Substrate and layers of the file; ValueError where it has something else, and where."""
    parts = _mapping(_root(text))
    for name, _ in parts.values():
        if name.text not in ("substrate", "layers"):
            raise name.wrong(f"{name.text!r} is neither `substrate` nor `layers`")
    _, layers = parts.get("layers", (None, None))
    if not isinstance(layers, yaml.SequenceNode | None):
        raise _place(layers).wrong("`layers` is a list: each layer begins with a dash")
    substrate = _cell(parts["substrate"][1]) if "substrate" in parts else None
    return substrate, [_layer(node) for node in (layers.value if layers else ())]


def _root(text: str) -> Any:
    fault, line, column = "the file is empty", 0, 0
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        if root is not None:
            return root
    except yaml.MarkedYAMLError as error:
        fault, mark = str(error.problem), error.problem_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
    except yaml.reader.ReaderError as error:
        fault = f"the character {chr(error.character)!r} is not allowed"
        *before, last = text[: error.position].split("\n")
        line, column = len(before), len(last)
    except RecursionError:
        fault = "nested too deeply"
    except (ValueError, OverflowError) as error:
        fault = str(error)  # of an escape that is no character
    raise Cell("", line + 1, column + 1).wrong(fault)


def _layer(node: Any) -> Layer:
    layer = Layer(_place(node), [])
    for name, value in _mapping(node).values():
        if isinstance(value, yaml.MappingNode):
            # The name by itself too: it is judged, though nothing may be in the mapping.
            layer.values.append((name, "", _place(value)))
            amounts = _mapping(value).values()
            layer.values.extend((name, symbol.text, _cell(each)) for symbol, each in amounts)
        else:
            layer.values.append((name, "", _cell(value)))
    return layer


def _mapping(node: Any) -> dict[str, tuple[Cell, Any]]:
    """Names, each with its place, and values."""
    if not isinstance(node, yaml.MappingNode):
        raise _place(node).wrong("names and values are needed here, like `orientation: 001`")
    members: dict[str, tuple[Cell, Any]] = {}
    for key, value in node.value:
        name = _cell(key)
        if name.text in members:
            raise name.wrong(f"{name.text!r} stands here twice")
        members[name.text] = name, value
    return members


def _cell(node: Any) -> Cell:
    """A single value; one that is null is empty."""
    place = _place(node)
    if not isinstance(node, yaml.ScalarNode):
        raise place.wrong("a single value is needed here, like 001: no list and no mapping")
    return Cell("" if node.tag == NULL else node.value, place.line, place.column)


def _place(node: Any) -> Cell:
    return Cell("", node.start_mark.line + 1, node.start_mark.column + 1)
