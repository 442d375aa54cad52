"""`make generate` and `make check-generated`: whole or not at all, the same bytes everywhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .project import Project

ERRORS = "generated/atomscale_target_materials_api/errors.py"
JSON_BODY = """\
          application/json:
            schema:
              $ref: "#/components/schemas/LayerCreate"
"""
ADD = "operationId: add_target_material_layer"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.copy_to(tmp_path / "copy")


def test_it_gives_what_is_committed_and_then_nothing_is_to_be_done(project: Project) -> None:
    committed = project.generated()
    shutil.rmtree(project.home / "generated")
    assert project.make().returncode == 0
    assert project.generated() == committed
    assert "Nothing to be done" in project.make().stdout


@pytest.mark.parametrize(
    "name",
    ["openapi.yaml", "generator-config.yml", "overrides/templates/types.py.jinja", "dev.lock"],
)
def test_what_makes_it_run_again(project: Project, name: str) -> None:
    project.make()
    os.utime(project.home / name, (2**31, 2**31))
    assert "Nothing to be done" not in project.make("-n", "generate").stdout


def test_a_hand_edit_a_lost_and_a_stray_file(project: Project) -> None:
    project.make()
    made = project.generated()
    edited, stray = project.home / ERRORS, project.home / "generated" / "stray.py"
    lost = edited.with_name("types.py")
    edited.write_text("# mine\n")
    stray.write_text("")
    lost.unlink()
    done = project.make("check-generated")
    assert done.returncode != 0
    assert f"{ERRORS} was changed by hand" in done.stderr
    assert "generated/stray.py does not belong there" in done.stderr
    assert "types.py is missing" in done.stderr
    assert "type 'make generate'" in done.stderr
    assert project.make().returncode == 0
    assert project.generated() == made
    assert project.make("check-generated").returncode == 0


def test_a_hand_edit_is_undone_without_a_check_too(project: Project) -> None:
    project.make()
    made = project.generated()
    (project.home / ERRORS).write_text("# mine\n")
    project.make()
    assert project.generated() == made
    (project.home / ERRORS).unlink()
    project.make()
    assert project.generated() == made


def test_a_forgotten_regeneration(project: Project) -> None:
    project.edit(("        user_name:\n", "        owner_name:\n"))
    done = project.make("check-generated")
    assert done.returncode != 0
    assert "models/target_material.py is not what openapi.yaml gives now" in done.stderr


FAILURES = {
    "invalid YAML": (
        ("openapi: 3.1.0\n", "openapi: 3.1.0\n  info: [\n"),
        "openapi.yaml line 4, column",
    ),
    "a key that stands twice": (
        ("servers:\n", "servers: []\nservers:\n"),
        'found duplicate key "servers"',
    ),
    "no mapping": (("openapi: 3.1.0\n", "- a\n---\n"), "openapi.yaml"),
    "an unresolvable $ref": (
        ('"#/components/schemas/Layer"', '"#/components/schemas/Lair"'),
        "/content/application~1json/schema/$ref: nothing is at '#/components/schemas/Lair'",
    ),
    "an unknown type": (
        ("          type: integer\n", "          type: intteger\n"),
        "#/components/schemas/TargetMaterial/properties/id/type: 'intteger' is not valid",
    ),
    "an unquoted timestamp": (
        ('last_updated: "2024-01-15T11:00:00Z"', "last_updated: 2024-01-15T11:00:00Z"),
        "/example/0/last_updated: datetime.datetime(2024, 1, 15, 11, 0, tzinfo=",
    ),
    "an unquoted status": (
        ('        "200":', "        200:"),
        "#/paths/~1target-materials~1/get/responses/200: a key that is no text: put it into",
    ),
    "an infinity": (("maximum: 1.0e+300", "maximum: .inf"), "/maximum: inf is no JSON value"),
    "a name that the generated models need": (
        ("        sample_name:\n", "        to_dict:\n"),
        "/properties/to_dict: a property cannot be called 'to_dict'",
    ),
    "a path item by $ref": (
        ("paths:\n", "paths:\n  /x/: {$ref: '#/paths/~1target-materials~1'}\n"),
        "#/paths/~1x~1: the generator leaves out what a path item has by $ref",
    ),
    "two media types of one answer": (
        ("          description: One entry for each layer.\n          content:\n",
         ("          description: One entry for each layer.\n          content:\n"
         "            text/plain: {schema: {type: string}}\n")),
        "/responses/200: the generator reads one media type of an answer alone",
    ),
    "a parameter's style": (
        ("      responses:\n", ("      parameters: [{name: a, in: query, explode: false}]\n"
         "      responses:\n")),
        "/parameters/0: the generator knows no other style or explode",
    ),
    "an anchor that holds itself": (
        ("openapi: 3.1.0\n", "openapi: 3.1.0\nx-a: &a {b: *a}\n"), "an anchor holds itself",
    ),
    "a duplicate operationId": (
        (ADD, "operationId: list_target_materials"),
        "Operation ID 'list_target_materials' for 'post' in '/target-materials/layers/' is not",
    ),
    "an operation that the generator would silently leave out": (
        (ADD, "operationId: listTargetMaterials"),
        "#/paths/~1target-materials~1/get: the generator left 'list_target_materials' out",
    ),
    "a body that the generator does not know": (
        (JSON_BODY, JSON_BODY.replace("application/json", "text/csv")),
        "the generator cannot make all of openapi.yaml",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "says"), FAILURES.values(), ids=FAILURES.keys())
def test_what_fails_leaves_the_tree_as_it_was(
    project: Project, edit: tuple[str, str], says: str
) -> None:
    before = project.generated()
    done = project.edit(edit).make()
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert project.generated() == before
    assert [path.name for path in (project.home / "build").iterdir()] == []


INTERRUPTED = """
import os, pathlib, runpy, signal, sys
rename = pathlib.Path.rename
def interrupted(self, target):
    rename(self, target)
    if self.name == "generated" and pathlib.Path(target).name == "old":
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
pathlib.Path.rename = interrupted
sys.path.insert(0, "tools")
runpy.run_path("tools/generate.py", run_name="__main__")
"""


@pytest.mark.parametrize("signum", ["SIGINT", "SIGTERM"])
def test_what_interrupts_the_swap_leaves_the_old(project: Project, signum: str) -> None:
    before = project.generated()
    script = INTERRUPTED.replace("sys.argv[1]", repr(signum))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.home, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert project.generated() == before


def test_tools_of_another_version_are_refused(project: Project) -> None:
    pins = project.home / "pyproject.toml"
    text = pins.read_text("utf-8")
    pins.write_text(re.sub(r'"ruff==[\d.]+"', '"ruff==0.0.1"', text), "utf-8")
    done = subprocess.run(
        [sys.executable, "tools/generate.py"],
        cwd=project.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "0.0.1 is pinned: type 'make env'" in done.stderr


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_the_same_bytes_for_each_hash_seed_and_folder(tmp_path: Path, seed: str) -> None:
    project = Project.copy_to(tmp_path / "deep" / seed / "er")
    committed = project.generated()
    shutil.rmtree(project.home / "generated")
    assert project.make(PYTHONHASHSEED=seed).returncode == 0
    assert project.generated() == committed


def other_pythons() -> list[str]:
    """The interpreters of other versions on this machine, those of a version manager too."""
    found = {}
    for minor in range(11, 15):
        name = f"python3.{minor}"
        managed = sorted(Path.home().glob(f".pyenv/versions/*/bin/{name}"))
        for path in [*filter(None, [shutil.which(name)]), *map(str, managed)]:
            done = subprocess.run([path, "-V"], capture_output=True, text=True, check=False)
            if done.returncode == 0 and f" 3.{minor}." in done.stdout:
                found[minor] = path
    found.pop(sys.version_info.minor, None)
    return list(found.values())


def test_the_same_bytes_on_the_other_pythons_of_this_machine(project: Project) -> None:
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python is on this machine")
    committed = project.generated()
    (project.home / ".venv").unlink()
    for python in pythons:
        shutil.rmtree(project.home / "generated")
        shutil.rmtree(project.home / ".venv", ignore_errors=True)
        done = project.make("generate", f"PYTHON={python}")
        assert done.returncode == 0, done.stderr
        assert project.generated() == committed, python
