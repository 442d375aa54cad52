"""What verbs of the Makefile write into the docs, each between two lines of its own."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "reliability.md"


def _part(verb: str) -> re.Pattern[str]:
    begin, end = (f"<!-- {each} `make {verb}`. -->\n" for each in ("Made by", "End of"))
    return re.compile(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", re.DOTALL)


def made(verb: str, page: Path | None = None) -> str:
    """What stands between the lines of a verb; where no page is given, in reliability.md."""
    [found] = _part(verb).findall((page or PAGE).read_text("utf-8"))
    return str(found)


def write(verb: str, text: str, page: Path | None = None) -> None:
    """Puts `text` between the lines of a verb."""
    page = page or PAGE
    whole, count = _part(verb).subn(lambda _: f"\n{text.strip()}\n\n", page.read_text("utf-8"))
    assert count == 1, f"{page.name} has no place for what `make {verb}` writes"
    page.write_text(whole, "utf-8")
    print(f"That is in docs/{page.name} now.")
