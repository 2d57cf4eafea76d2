"""A real Chromium without a window, and what a page does in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

LAPTOP, PHONE = (1366, 768), (390, 844)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ABSENT = "no Chromium is installed (on Debian: .ci/browser; README, Development)"
Scheme = Literal["light", "dark"]


@dataclass
class Seen:
    """A page as its reader has it; what went wrong, and what it asked the network for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def table(self, answer: str) -> list[list[str]]:
        """The cells of the table of an answer, as they were answered."""
        rows = self.page.eval_on_selector_all(
            f'table[data-answer="{answer}"] tbody tr',
            "rows => rows.map(row => [...row.cells].map(cell => cell.dataset.value))",
        )
        return [list(row) for row in rows]

    def ask(self, script: str) -> Any:
        """What an expression of JavaScript gives in the page."""
        return self.page.evaluate(script)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The installed browser. Without one the test is skipped, and fails where CI=true."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(_ABSENT)
        pytest.skip(_ABSENT)
    with sync_playwright() as driver:
        # root, as in a container, has no sandbox; the page is our own
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, file: Path, size: tuple[int, int] = LAPTOP, scheme: Scheme = "light"
) -> Iterator[Seen]:
    """A page of a file, with all its plots drawn."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale="en-GB"
    )
    page = context.new_page()
    seen = Seen(page)
    page.on("console", lambda said: seen.errors.append(said.text))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda asked: seen.requests.append(asked.url))
    page.goto(file.as_uri(), wait_until="load")
    yield seen
    context.close()
