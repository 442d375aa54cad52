import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright


# For the package, not the session: Playwright's event loop is in the way of other tests' own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not here: `make browser` installs it")
    with sync_playwright() as playwright:
        # As root, and in most containers, chromium cannot have its own sandbox.
        yield playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page. The test fails if it asks for anything, opens a dialog, or complains."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    noise: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        noise.append(dialog.message)
        dialog.dismiss()

    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(error.message))
    page.on("request", lambda request: noise.append(request.url))
    page.on("dialog", dismiss)
    yield page
    page.close()
    assert noise == []
