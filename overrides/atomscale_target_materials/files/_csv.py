"""A CSV file: a header of field names, then a line for each layer, from the substrate up.

An element's amount has a column of its own, for example `element_dict.Ba`. `substrate` is a column
like the others: it says the same in each line, or nothing; a line with nothing else is no layer.
"""

import csv
import io

import attrs

from . import Cell, Layer


def parse(text: str) -> tuple[Cell | None, list[Layer]]:
    """Substrate and layers of the file; ValueError where it has something else, and where."""
    header, *rows = _rows(text)
    known: set[str] = set()
    for name in header:
        if set(name.text) & {";", "\t"}:
            raise name.wrong("the columns are separated by commas, and 0.3 has a point: save it so")
        if name.text in known:
            raise name.wrong(f"a second column {name.text!r}")
        known |= {name.text} - {""}
    substrate, layers = None, []
    for row in rows:
        layer, said = _layer(header, row)
        if substrate and said and said.text != substrate.text:
            raise said.wrong(f"another substrate than the {substrate.text!r} above")
        substrate = substrate or said
        layers += [layer] if any(cell.text for _, _, cell in layer.values) else []
    return substrate, layers


def _rows(text: str) -> list[list[Cell]]:
    """The cells of each line that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[Cell]] = []
    line, fault = 1, "the file is empty"
    try:
        for texts in reader:
            rows.append([Cell(each.strip(), line, n) for n, each in enumerate(texts, 1)])
            line = reader.line_num + 1
    except csv.Error as error:
        fault, rows = str(error), []
    rows = [row for row in rows if any(cell.text for cell in row)]
    if not rows:
        raise Cell("", line, 1).wrong(fault)
    return rows


def _layer(header: list[Cell], row: list[Cell]) -> tuple[Layer, Cell | None]:
    """The layer of a line, and what the line says of the substrate."""
    for cell in row[len(header) :]:
        if cell.text:
            raise cell.wrong("the header has no name for this column")
    layer, substrate = Layer(row[0], []), None
    for name, cell in zip(header, row, strict=False):
        field, _, symbol = name.text.partition(".")
        if name.text == "substrate":
            substrate = cell if cell.text else None
        elif cell.text or (field and not symbol):
            layer.values.append((attrs.evolve(name, text=field), symbol, cell))
    return layer, substrate
