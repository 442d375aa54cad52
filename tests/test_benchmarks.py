"""The benchmarks run, and their arithmetic is right. No test here looks at a clock."""

import gc
import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from benchmarks import __main__ as command
from benchmarks import counts, report
from benchmarks.figures import AXES, TARGETS, Figures, Target, judged, sentences
from benchmarks.rows import SHAPES, body
from benchmarks.sampling import OURS, Results, Spread, exponent, ratio, rounds, spread
from benchmarks.ways import DECODERS

ROOT = Path(__file__).parents[1]


def test_a_smoke_run_gives_a_whole_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "docs" / "benchmarks.md"
    page.parent.mkdir()
    page.write_text(f"# By hand\n\n{report.MARK}\nold\n", "utf-8")
    gc.freeze()  # or each sample begins with a walk through all that pytest holds
    command.main(["--setting", "smoke", "--runs", str(tmp_path / "runs"), "--page", str(page)])
    gc.unfreeze()
    assert "run 1 of at most 3" in capsys.readouterr().out
    text = page.read_text("utf-8")
    assert text.startswith(f"# By hand\n\n{report.MARK}\nSetting `smoke`, 1 run, 20")
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert {axis.title for axis in AXES} < {*titles}
    assert {"Targets", "Where it is slower", "Where it is faster", "The machine"} < {*titles}
    assert len(TARGETS) == 13
    assert [target.text for target in TARGETS if target.text not in text] == []
    plots = re.findall(r"\]\((.*\.svg)\)", text)
    assert {*plots} == {str(path.relative_to(page.parent)) for path in page.parent.glob("*/*")}
    assert len(plots) == 6
    assert "nan" not in text


@pytest.mark.parametrize("shape", SHAPES)
def test_every_way_gives_every_row_of_every_shape(shape: str) -> None:
    answer = body(10, shape)
    assert {name: len(decode(answer)) for name, decode in DECODERS.items()} == dict.fromkeys(
        DECODERS, 10
    )
    assert [row.to_dict().keys() for row in DECODERS[OURS](answer)] == [
        row.keys() for row in json.loads(answer)
    ]


def test_rows_are_the_same_every_time() -> None:
    assert body(5) == body(5)
    assert json.loads(body(5)) != json.loads(body(5, "no unknown fields"))
    late = json.loads(body(10, "unknown fields in the last fifth alone"))
    assert ["project_id" in row for row in late] == [False] * 8 + [True] * 2


def test_each_round_begins_with_another_way() -> None:
    seen: list[str] = []
    ways = {name: lambda name=name: seen.append(name) for name in "abc"}
    assert rounds(ways, 3) == {name: [None] * 3 for name in "abc"}
    assert "".join(seen) == "abcbcacab"


def test_statistics() -> None:
    assert spread([3.0]) == Spread(3, 3, 3)
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(2, 3, 4)
    # The machine was slow in the second round, for both.
    assert ratio({"a": [2.0, 20.0], "b": [1.0, 10.0]}, "a", "b") == Spread(2, 2, 2)
    assert exponent([(100, 5.0), (1000, 50.0), (10000, 500.0)]) == pytest.approx(1)
    assert exponent([(10, 1.0), (100, 100.0)]) == pytest.approx(2)


def results(ours: float, **peers: float) -> Results:
    samples = {OURS: [ours, ours], **{name: [cost, cost] for name, cost in peers.items()}}
    return {"calls": {"list": samples, "add": samples}}


def test_figures_are_medians_of_runs() -> None:
    figures = Figures([results(1.0, httpx=2.0), results(9.0, httpx=2.0), results(3.0, httpx=2.0)])
    assert figures.cost("calls", "add", OURS).median == 3
    assert figures.ratio("calls", "add", OURS, "httpx").median == 1.5
    assert figures.cases("threads") == []


def test_targets() -> None:
    figures = Figures([results(4.0, httpx=5.0, generated=12.0)])
    at_most = Target("calls", "list", "httpx", 0.8)
    assert at_most.text == "Calls: list, beside httpx"
    assert at_most.verdict(figures) == ("0.80", "met")
    assert at_most._replace(limit=0.79).verdict(figures) == ("0.80", "**not met**")
    at_least = Target("calls", "list", "generated", 3.0, faster=True)
    assert at_least.verdict(figures) == ("3.00", "met")
    assert at_least._replace(limit=3.1).verdict(figures) == ("3.00", "**not met**")
    assert at_least._replace(axis="async").verdict(figures) == ("-", "not measured")


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [(0.5, "faster"), (0.94, "faster"), (0.96, "alike"), (1.04, "alike"), (1.06, "slower")],
)
def test_what_a_ratio_means(figure: float, verdict: str) -> None:
    assert judged(figure) == verdict


def test_sentences_say_where_it_is_slower() -> None:
    figures = Figures([results(2.0, httpx=1.0, requests=4.0, generated=2.0)])
    assert sentences(figures, "slower") == ["- **Calls**, beside httpx: 2.00 (list), 2.00 (add)"]
    assert sentences(figures, "faster") == ["- **Calls**, beside requests: 0.50 (list), 0.50 (add)"]
    assert sentences(figures, "alike") == ["- **Calls**, beside generated: 1.00 (list), 1.00 (add)"]


def test_many_cases_are_told_as_a_range() -> None:
    costs = {1: 3.0, 10: 2.0, 100: 4.0, 1000: 5.0, 10000: 1.0}
    decode = {str(rows): {OURS: [cost], "json.loads": [1.0]} for rows, cost in costs.items()}
    figures = Figures([{"decode": decode}])
    assert sentences(figures, "slower") == [
        "- **Decoding**, beside json.loads: 2.00 (10 rows) to 5.00 (1,000 rows), in 4 of 5 cases"
    ]


@pytest.mark.parametrize(
    ("now", "budget", "verdict"),
    [
        (1.02, 1.0, "kept"),
        (1.04, 1.0, "OVER BUDGET"),
        (0.91, 1.0, "kept"),
        (0.89, 1.0, "far below: renew the budget"),
        (1.0, None, "no budget"),
    ],
)
def test_the_verdict_on_a_budget(now: float, budget: float | None, verdict: str) -> None:
    assert counts.verdict(now, budget) == verdict


@pytest.mark.parametrize(("now", "code"), [(1.0, 0), (1.1, 1)])
def test_the_check_fails_over_budget(
    now: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    budgets = tomllib.loads((ROOT / "benchmarks" / "budget.toml").read_text("utf-8"))
    known = next(iter(budgets))
    monkeypatch.setattr(counts, "minor", lambda: known)
    monkeypatch.setattr(shutil, "which", lambda _: "valgrind")
    scaled = {name: now * budget for name, budget in budgets[known].items()}
    monkeypatch.setattr(counts, "ratios", lambda: scaled)
    assert counts.main() == code
    assert ("OVER BUDGET" in capsys.readouterr().out) is bool(code)


def test_without_valgrind_the_check_says_that_it_did_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert counts.main() == 0
    assert "NOT run" in capsys.readouterr().out


def test_what_is_counted_is_budgeted() -> None:
    budgets = tomllib.loads((ROOT / "benchmarks" / "budget.toml").read_text("utf-8"))
    assert {frozenset(each) for each in budgets.values()} == {frozenset(counts.PAIRS)}
    counted = {*counts.works(), *counts.IMPORTS}
    assert counted == {name for pair in counts.PAIRS.values() for name in pair}
    assert all(work() for work in counts.works().values())


def test_the_page_is_whole() -> None:
    page = ROOT / "docs" / "benchmarks.md"
    text = page.read_text("utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    assert text.count(report.MARK) == 1
