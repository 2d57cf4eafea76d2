"""What the README and ARCHITECTURE promise exists, and what exists is in them."""

from __future__ import annotations

import re
from importlib.metadata import entry_points

import pytest
import typer

from lakehouse.cli import app
from lakehouse.tables import TABLES
from lakehouse.views import load_views
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()


def test_the_two_commands_stand_on_the_first_screen() -> None:
    first_screen = "\n".join(README.splitlines()[:14])
    assert "make demo" in first_screen and "make test" in first_screen


@pytest.mark.parametrize("point", entry_points(group="lakehouse.jobs"), ids=lambda p: p.name)
def test_each_job_is_in_the_readme(point) -> None:  # type: ignore[no-untyped-def]
    file = point.module.replace(".", "/") + ".py"
    assert f"`{file}`" in README
    assert (ROOT / file).is_file()


@pytest.mark.parametrize("name", [*TABLES, *load_views(ROOT / "conf" / "athena")])
def test_each_table_is_in_the_readme(name: str) -> None:
    wanted = "bronze.drops_*" if name.startswith("bronze.drops_") else name
    assert wanted in README


def test_each_command_is_in_the_readme_and_each_in_the_readme_exists() -> None:
    group = typer.main.get_command(app)
    commands = set(group.commands)  # type: ignore[attr-defined]
    documented = set(re.findall(r"^\| `lakehouse (\w+)", README, flags=re.MULTILINE))
    assert documented == commands


@pytest.mark.parametrize("text", [README, ARCHITECTURE], ids=["README", "ARCHITECTURE"])
def test_each_link_and_file_that_is_named_exists(text: str) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    files = re.findall(
        r"`((?:lakehouse|bronze|silver|gold|conf|docs)/[\w./-]+\.(?:py|yaml|md))`", text
    )
    missing = [name for name in (*links, *files) if not (ROOT / name).exists()]
    assert not missing


def test_every_module_of_the_shared_package_has_its_line_in_the_architecture() -> None:
    modules = {
        path.stem
        for path in (ROOT / "lakehouse").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
    }
    named = set(re.findall(r"`(\w+)/?`", ARCHITECTURE))
    assert modules <= named


def test_every_make_target_of_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    docs = README + ARCHITECTURE + (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", docs, flags=re.MULTILINE)) <= targets


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=lambda p: p.stem
)
def test_each_decision_record_has_its_four_parts(path) -> None:  # type: ignore[no-untyped-def]
    text = path.read_text()
    assert "Status:" in text
    assert all(f"\n## {part}\n" in text for part in ("Context", "Decision", "Consequences"))
