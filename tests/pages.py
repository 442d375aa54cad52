"""What verbs of the Makefile write into docs/reliability.md, each between two lines of its own."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"


def part(verb: str) -> re.Pattern[str]:
    """What stands between the lines of a verb."""
    begin, end = (f"<!-- {each} `make {verb}`. -->\n" for each in ("Made by", "End of"))
    return re.compile(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", re.DOTALL)


def write(verb: str, text: str) -> None:
    """Puts `text` between the lines of a verb, which must be there."""
    page = PAGE.read_text("utf-8")
    assert part(verb).search(page), f"{PAGE.name} has no place for what `make {verb}` writes"
    PAGE.write_text(part(verb).sub(lambda _: f"\n{text.strip()}\n\n", page), "utf-8")
