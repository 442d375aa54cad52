"""The documentation site, built as `make docs` builds it, and opened in a browser."""

import functools
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]


def pages_of(nav: Any) -> Iterator[str]:
    for entry in nav:
        for target in entry.values():
            yield from pages_of(target) if isinstance(target, list) else [target]


CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))
PAGES = [name.replace(".md", ".html") for name in pages_of(CONFIG["project"]["nav"])]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, also where several workers share the tests."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "documentation"
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / "lock", timeout=300, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        if not (folder / "site").exists():
            done = subprocess.run(
                [sys.executable, ROOT / "tools" / "build_docs.py", folder],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    return folder / "site"


class Parts(HTMLParser):
    """What a page leads to, what can be led to, and its images and titles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors = {"", "__skip"}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        self.anchors |= {values.get("id") or "", values.get("name") or ""}
        self.links += filter(None, (values.get("href"), values.get("src")))


@pytest.fixture(scope="module")
def parts(site: Path) -> dict[str, Parts]:
    return {page.name: Parts(page.read_text("utf-8")) for page in site.glob("*.html")}


def test_every_page_of_the_navigation_is_there(parts: dict[str, Parts]) -> None:
    assert set(parts) == {*PAGES, "404.html"}


def test_the_page_of_the_api_has_all_of_the_spec(site: Path) -> None:
    spec = json.loads((ROOT / "generated/atomscale_target_materials_api/openapi.json").read_bytes())
    schemas = spec["components"]["schemas"]
    fields = {field for schema in schemas.values() for field in schema.get("properties", {})}
    page = (site / "api.html").read_text("utf-8")
    assert [name for name in {*spec["paths"], *schemas, *fields} if name not in page] == []


def test_links_and_images_lead_somewhere(site: Path, parts: dict[str, Parts]) -> None:
    broken = []
    for name, page in parts.items():
        for link in page.links:
            target = urlsplit(urljoin(f"/{name}", link))
            if target.netloc or target.scheme not in ("", "http", "https"):
                continue
            file = unquote(target.path).lstrip("/") or "index.html"
            anchors = parts[file].anchors if file in parts else {""}
            if not (site / file).is_file() or unquote(target.fragment) not in anchors:
                broken.append(f"{name}: {link}")
    assert broken == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_title_and_a_text_for_each_image(name: str, parts: dict[str, Parts]) -> None:
    tags = parts[name].tags
    assert [tag for tag, _ in tags].count("h1") == 1
    assert [values for tag, values in tags if tag == "img" and not values.get("alt")] == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=os.fspath(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Watched:
    """A page of a browser, and everything it does that a page of ours should not do."""

    def __init__(self, page: Page, home: str) -> None:
        self.page, self.home = page, home
        self.faults: list[str] = []
        page.on("console", lambda told: self._unless(told.type != "error", told.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda sent: self._unless(self._near(sent.url), sent.url))

    def _unless(self, fine: bool, fault: str) -> None:
        if not fine:
            self.faults.append(fault)

    def _near(self, url: str) -> bool:
        return url.startswith((self.home, "data:", "blob:"))


TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
NOT_LOADED = "Array.from(document.images).filter(i => !i.complete || !i.naturalWidth).length"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_works_on_a_phone(name: str, browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 800})
    watched = Watched(page, address)
    page.goto(address + name, wait_until="networkidle")
    assert page.evaluate(NOT_LOADED) == 0
    assert page.evaluate(TOO_WIDE) is False
    page.close()
    assert watched.faults == []


@pytest.mark.parametrize("wanted", ["light", "dark"])
def test_it_is_as_light_or_dark_as_the_system(wanted: Any, browser: Browser, address: str) -> None:
    page = browser.new_page(color_scheme=wanted)
    page.goto(address)
    shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"[0-9]+", shown)[:3])) / 3
    page.close()
    assert (brightness > 128) is (wanted == "light")


@pytest.mark.parametrize("opened_as", ["file", "http"])
def test_the_search_finds_a_name(
    opened_as: str, browser: Browser, site: Path, address: str
) -> None:
    home = {"file": f"{site.as_uri()}/", "http": address}[opened_as]
    page = browser.new_page()
    watched = Watched(page, home)
    page.goto(f"{home}index.html")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("combobox", name="Search").fill("ensure_stack")
    page.get_by_role("option", name="ensure_stack").first.click()
    page.wait_for_url("**/reference.html**ensure_stack**")
    page.close()
    assert watched.faults == []
