import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from atomscale_target_materials import LayerStack

FIELDS = (
    "layer_id, sample_id, composition_string, element_dict, orientation, space_group, mp_id, id"
)
INAS = {
    "layer_id": 1,
    "composition_string": "InAs",
    "orientation": "001",
    "element_dict": {"In": 1, "As": 1.5},
}
YAML = """\
# planned for May
substrate: GaSb
layers:
  - composition_string: InAs
    orientation: 001
    element_dict: {In: 1, As: 1.5}
  - composition_string: NO
    orientation:
    space_group: ~
    element_dict:
      No: 1
  - layer_id: 7
    composition_string: "AlSb"
    mp_id: &id mp-2624
    id: 0012
"""
CSV = """\
layer_id,composition_string,orientation,element_dict.In,element_dict.As,substrate,id
1,InAs,001,1,1.5,GaSb,,
,,,,,,

, NO ,,,,,
7,"Al
Sb",,,,GaSb,12
"""


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bodies(stack: LayerStack) -> list[dict[str, Any]]:
    return [layer.row.to_dict() for layer in stack.layers]


def test_yaml(tmp_path: Path) -> None:
    stack = LayerStack.from_file(written(tmp_path, "a.yaml", YAML))
    assert stack.substrate == "GaSb"
    assert bodies(stack) == [
        INAS,
        {"layer_id": 2, "composition_string": "NO", "element_dict": {"No": 1}},
        {"layer_id": 7, "composition_string": "AlSb", "mp_id": "mp-2624", "id": 12},
    ]


def test_csv(tmp_path: Path) -> None:
    stack = LayerStack.from_file(str(written(tmp_path, "A.CSV", CSV)))
    assert stack.substrate == "GaSb"
    assert bodies(stack) == [
        INAS,
        {"layer_id": 2, "composition_string": "NO"},
        {"layer_id": 7, "composition_string": "Al\nSb", "id": 12},
    ]


def test_a_line_with_the_substrate_alone_is_no_layer(tmp_path: Path) -> None:
    text = "substrate,composition_string,,\nGaSb,,,\n,InAs,,\n"
    assert str(LayerStack.from_file(written(tmp_path, "a.csv", text))) == "InAs/GaSb"


@pytest.mark.parametrize("encode", [str.encode, lambda text: b"\xef\xbb\xbf" + text.encode()])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(("name", "text"), [("a.yml", YAML), ("a.csv", CSV.replace('"', ""))])
def test_as_other_programs_write_it(
    tmp_path: Path, name: str, text: str, newline: str, encode: Any
) -> None:
    text = text.replace("Al\nSb", "AlSb")
    path = written(tmp_path, name, encode(text.replace("\n", newline)))
    assert str(LayerStack.from_file(path)) == "AlSb/NO/InAs(001)/GaSb"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1: the file is empty"),
        ("# only a comment\n", "line 1, column 1: the file is empty"),
        ("- InAs", "line 1, column 1: names and values are needed here, like `orientation: 001`"),
        ("layers: 3", "line 1, column 9: `layers` is a list: each layer begins with a dash"),
        ("layers:\n  - InAs", "line 2, column 5: names and values are needed here"),
        ("layers:\n  -\n", "line 2, column 4: names and values are needed here"),
        ("layer: []", "line 1, column 1: 'layer' is neither `substrate` nor `layers`"),
        ("substrate: [Si]", "line 1, column 12: a single value is needed here"),
        ("substrate: Si\nsubstrate: Si", "line 2, column 1: 'substrate' stands here twice"),
        ("layers:\n- mp_id: 1\n  mp_id: 2", "line 3, column 3: 'mp_id' stands here twice"),
        ("layers:\n- mp_id: 1", "line 2, column 3: the layer has neither `composition_string` nor"),
        ("layers:\n- orientation: [0, 0, 1]", "line 2, column 16: a single value is needed"),
        ("layers:\n- colour: red", f"line 2, column 3: 'colour' is none of the fields {FIELDS}"),
        ("layers: [{composition_string: a, colour: {}}]", "line 1, column 34: 'colour' is none of"),
        ("layers:\n- orientaton:", "line 2, column 3: 'orientaton' is none of the fields"),
        ("layers: [{mp_id: a, orientation 001}]", "line 1, column 21: 'orientation 001' is none"),
        ("layers: [{composition_string: Al0,3Ga0,7Sb}]", "line 1, column 35: '3Ga0' is none of"),
        ("layers:\n- layer_id: one", "line 2, column 13: 'one' is no number; decimals are written"),
        ("layers:\n- layer_id: 1.5", "line 2, column 13: layer_id: Expected `int`, got `float`"),
        (
            "layers:\n- &a {composition_string: a, layer_id: 2}\n- *a",
            "line 2, column 3: there is a layer at position 2 already",
        ),
        (
            f"layers:\n- {{composition_string: a, layer_id: {2**63 - 1}}}\n- composition_string: b",
            "line 3, column 3: layer_id: Expected `int` <= 9223372036854775807",
        ),
        ('substrate: "\\UFFFFFFFF"', "line 1, column 1: "),
        ("layers: [{element_dict: Ba}]", "line 1, column 25: 'Ba' is no number"),
        (
            "layers:\n- element_dict: {Ba: 1, Qq: 1}",
            'line 2, column 29: element_dict: "Qq" is not one of the 118 names',
        ),
        (
            "layers:\n- element_dict:\n    Ba: 1\n    Ti: lots",
            "line 4, column 9: 'lots' is no number; decimals are written 0.3",
        ),
        (
            "layers: [{element_dict: {Ba: nan}}]",
            "line 1, column 30: element_dict.Ba: Expected a",
        ),
        ("layers: [{element_dict: {Ba: 0,3}}]", "line 1, column 33: '' is no number; decimals"),
        ("layers: [{element_dict: {Ba, O: 1}}]", "line 1, column 28: '' is no number; decimals"),
        ("layers: [{mp_id: {a: 1}}]", "line 1, column 22: mp_id: Expected `str`, got"),
        ("layers: [", "line 1, column 10: expected the node content, but found '<stream end>'"),
        ("layers: *all", "line 1, column 9: found undefined alias 'all'"),
        ("layers: []\n---\nlayers: []", "line 2, column 1: but found another document"),
        ("substrate: |\n  a\n  \x07", "line 3, column 3: the character '\\x07' is not allowed"),
        ("[" * 3000, "line 1, column 1: nested too deeply"),
    ],
)
def test_errors_of_yaml_name_the_place(folder: Path, text: str, said: str) -> None:
    path = written(folder, "stack.yaml", text).name
    with pytest.raises(ValueError, match="^" + re.escape(f"stack.yaml, {said}")):
        LayerStack.from_file(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1: the file is empty"),
        (" , \n,\n", "line 3, column 1: the file is empty"),
        (
            "layer_id;mp_id\n1;mp-1",
            "line 1, column 1: the columns are separated by commas",
        ),
        ("mp_id\tid\na\t1", "line 1, column 1: the columns are separated by commas"),
        ("layer_id,\n1,2", "line 1, column 2: '' is none of the fields"),
        ("orientaton,mp_id\n,a", "line 1, column 1: 'orientaton' is none of the fields"),
        ("layer_id\n1,2", "line 2, column 2: the header has no name for this column"),
        ("mp_id,id, mp_id\n", "line 1, column 3: a second column 'mp_id'"),
        ("composition_string,id\n\na,1\nb,x", "line 4, column 2: 'x' is no number"),
        (
            'composition_string,layer_id\n"a\nb",1\n"c",1',
            "line 4, column 1: there is a layer at position 1 already",
        ),
        ('mp_id,layer_id\n"a\nb",1.5', "line 2, column 2: layer_id: Expected `int`, got `float`"),
        ('mp_id\n"a', "line 2, column 1: unexpected end of data"),
        ('mp_id\nb\n"a"b', "line 3, column 1: ',' expected after '\"'"),
        ("mp_id\nb", "line 2, column 1: the layer has neither `composition_string` nor"),
        ("element_dict.Qq\n1", 'line 2, column 1: element_dict: "Qq" is not one of the 118'),
        ("element_dict.Ba\n0;3", "line 2, column 1: '0;3' is no number; decimals are written 0.3"),
        ("element_dict\n1", "line 2, column 1: element_dict: Expected `object"),
        ("layer_id.x\n1", "line 2, column 1: layer_id: Expected `int`, got `object`"),
        ("substrate,id\nSi,\n,\nGe,", "line 4, column 1: another substrate than the 'Si' above"),
    ],
)
def test_errors_of_csv_name_the_place(folder: Path, text: str, said: str) -> None:
    path = written(folder, "stack.csv", text).name
    with pytest.raises(ValueError, match="^" + re.escape(f"stack.csv, {said}")):
        LayerStack.from_file(path)


@pytest.mark.parametrize("name", ["a.yaml", "a.csv"])
def test_bytes_that_are_no_utf_8(folder: Path, name: str) -> None:
    path = written(folder, name, b"substrate:\xb5").name
    with pytest.raises(ValueError, match=rf"^{name}, byte 11: it is not UTF-8; save it so$"):
        LayerStack.from_file(path)


@pytest.mark.usefixtures("folder")
def test_other_files() -> None:
    with pytest.raises(ValueError, match=r"^b/a.json: a file is needed that ends in .csv, .yaml"):
        LayerStack.from_file("b/a.json")
    with pytest.raises(FileNotFoundError):
        LayerStack.from_file("a.csv")


def test_without_the_extra(tmp_path: Path) -> None:
    written(tmp_path, "a.csv", CSV)
    written(tmp_path, "a.yaml", YAML)
    script = (
        "import sys; sys.modules['yaml'] = None\n"
        "from atomscale_target_materials import LayerStack\n"
        "LayerStack.from_file('a.csv')\n"
        "try: LayerStack.from_file('a.yaml')\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    needed = "YAML files need an extra: pip install 'atomscale-target-materials[yaml]'"
    assert done.stdout == f"{needed}, or PyYAML itself\n"


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1).filter(
    lambda text: text == text.strip()
)
amounts = st.dictionaries(
    st.sampled_from(["Ba", "No", "Y", "O"]), st.integers(0, 9) | st.floats(0, 9), min_size=1
)
layers = st.fixed_dictionaries(
    {"composition_string": texts},
    optional={
        "orientation": texts,
        "element_dict": amounts,
        "id": st.integers(-9, 9),
    },
)
declarations = st.lists(layers, min_size=1, max_size=5)


@given(declarations, st.none() | texts)
def test_a_declaration_survives_yaml(
    tmp_path_factory: pytest.TempPathFactory, layers: list[dict[str, Any]], substrate: str | None
) -> None:
    content = yaml.safe_dump({"substrate": substrate, "layers": layers}, allow_unicode=True)
    path = written(tmp_path_factory.getbasetemp(), "a.yaml", content)
    assert LayerStack.from_file(path) == LayerStack.declare(substrate=substrate, layers=layers)
    path.write_text(
        json.dumps({"substrate": substrate, "layers": layers}, ensure_ascii=False), "utf-8"
    )
    assert LayerStack.from_file(path) == LayerStack.declare(substrate=substrate, layers=layers)


@given(declarations, st.none() | texts)
def test_a_declaration_survives_csv(
    tmp_path_factory: pytest.TempPathFactory, layers: list[dict[str, Any]], substrate: str | None
) -> None:
    rows = []
    for number, layer in enumerate(layers, 1):
        flat = {f"element_dict.{symbol}": n for symbol, n in layer.get("element_dict", {}).items()}
        plain = {name: value for name, value in layer.items() if name != "element_dict"}
        rows.append({"layer_id": number, "substrate": substrate, **plain, **flat})
    path = tmp_path_factory.getbasetemp() / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        names = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(file, [*names])
        writer.writeheader()
        writer.writerows(rows)
    assert LayerStack.from_file(path) == LayerStack.declare(substrate=substrate, layers=layers)
