"""Any answer at all: a valid value, or an `AtomscaleError`; and the corpus of `make fuzz`."""

from pathlib import Path

import pytest
from hypothesis import given

from atomscale_target_materials._wire import reader

from ..strategies import answers
from . import bounded
from .judge import Answer, judge

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@given(answers)
@bounded
def test_whatever_comes_is_a_valid_value_or_an_error_of_ours(answer: Answer) -> None:
    judge(answer)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_is_judged_afresh(path: Path) -> None:
    reader.cache_clear()
    judge(Answer.of(path.read_bytes()))


def test_the_corpus_is_judged_in_a_row() -> None:
    for path in CORPUS:
        judge(Answer.of(path.read_bytes()))
