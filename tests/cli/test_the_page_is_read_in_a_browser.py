"""The analyst's page in a real browser: on a laptop and a phone, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from lakehouse.cli.page.document import page
from lakehouse.cli.page.numbers import Answer
from lakehouse.cli.page.sections import SECTIONS
from tests.cli.browser import LAPTOP, PHONE, Scheme, chromium, opened
from tests.cli.pages import no_numbers, some_numbers

_MEGABYTE = 1_000_000
_INK = "getComputedStyle(document.querySelector('.plot text')).fill"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all of this file."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on which every section has numbers."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(some_numbers()), "utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_it_is_readable_everywhere_and_asks_nobody(
    browser: Browser, file: Path, size: tuple[int, int], scheme: Scheme
) -> None:
    with opened(browser, file, size, scheme) as seen:
        assert seen.errors == []
        assert [url for url in seen.requests if not url.startswith("data:")] == [file.as_uri()]
        drawn = seen.ask("[...document.querySelectorAll('.plot')].map(p => p.querySelectorAll("
                         "'.point path, .scatterlayer .point').length)")  # fmt: skip
        assert len(drawn) == len(SECTIONS) and all(drawn), "each plot has marks"
        assert seen.ask("document.documentElement.scrollWidth") <= size[0]
        wide = seen.ask("[...document.querySelectorAll('.plot svg')].some("
                        "s => s.getBoundingClientRect().right > innerWidth)")  # fmt: skip
        assert not wide
        page_is = _brightness(seen.ask("getComputedStyle(document.body).backgroundColor"))
        ink_is = _brightness(seen.ask(_INK))
        dark, bright = (page_is, ink_is) if scheme == "dark" else (ink_is, page_is)
        assert dark < 60 and bright > 180


def test_plots_follow_the_reader_into_the_dark(browser: Browser, file: Path) -> None:
    with opened(browser, file) as seen:
        assert _brightness(seen.ask(_INK)) < 60
        seen.page.emulate_media(color_scheme="dark")
        seen.page.wait_for_timeout(200)
        assert _brightness(seen.ask(_INK)) > 180


def test_a_script_that_is_not_the_pages_own_does_not_run(browser: Browser, tmp_path: Path) -> None:
    forged = page(some_numbers()).replace("</body>", "<script>document.title = 'forged'</script>")
    path = tmp_path / "forged.html"
    path.write_text(forged, "utf-8")
    with opened(browser, path) as seen:
        assert seen.page.title() != "forged"
        assert any("Content Security Policy" in error for error in seen.errors)


def test_what_was_delivered_is_text_in_tables_and_plots(browser: Browser, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)><a href='https://example.com'>x</a></script>"
    columns = ("source_table", "rule_id", "reason", "records", "open", "newest")
    rows = [["bronze.transactions", evil, evil, 9, 8, date(2026, 3, 2)]]
    path = tmp_path / "evil.html"
    path.write_text(page(some_numbers(silver_quarantine=Answer(columns, rows))), "utf-8")
    with opened(browser, path) as seen:
        assert seen.errors == []
        assert seen.table("silver.quarantine") == [
            ["bronze.transactions", evil, evil, "9", "8", "2026-03-02"]
        ]
        assert seen.ask("document.querySelectorAll('img, .plot a').length") == 0


def test_without_numbers_it_says_so_and_draws_nothing(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "nothing.html"
    path.write_text(page(no_numbers()), "utf-8")
    with opened(browser, path, PHONE) as seen:
        assert seen.errors == []
        assert seen.ask("document.querySelectorAll('.plot, table').length") == 0
        said = seen.ask("[...document.querySelectorAll('section .nothing')].map(p => p.innerText)")
        assert said == ["gold.transactions does not exist yet"] * len(SECTIONS)
        assert seen.ask("document.documentElement.scrollWidth") <= PHONE[0]


def test_a_table_stands_beneath_each_plot_under_its_heading(browser: Browser, file: Path) -> None:
    with opened(browser, file) as seen:
        sections = seen.ask(
            "[...document.querySelectorAll('main section')].map(s => [s.querySelector('h2').id ==="
            " s.getAttribute('aria-labelledby'), !!s.querySelector('.plot[aria-label]'),"
            " !!s.querySelector('details table th[scope=col]')])"
        )
        assert sections == [[True, True, True]] * len(SECTIONS)
        assert seen.page.title() and seen.ask("document.querySelectorAll('h1').length") == 1
        assert seen.ask("document.documentElement.lang") == "en"


def test_it_is_one_file_that_a_letter_can_carry(file: Path) -> None:
    assert file.stat().st_size < 6 * _MEGABYTE


def _brightness(colour: str) -> float:
    parts = [float(part) for part in re.findall(r"[\d.]+", colour)[:3]]
    assert len(parts) == 3, colour
    return sum(parts) / 3
