"""The chapters of the guide, and the first page, are run where `astro-calib demo` has been."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parent / "guide"
#: What each chapter shows at its beginning; examples in an included file are not collected with the page.
SETUP = GUIDE / "setup.inc"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the chapters as long: a night is simulated and reduced for them."""
    for item in items:
        if item.path.parent == GUIDE:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which `astro-calib demo` was run."""
    from click.testing import CliRunner

    from astro_calib.cli import main

    directory = tmp_path_factory.mktemp("guide")
    result = CliRunner().invoke(main, ["demo", "--quiet", str(directory / "astro-calib-demo")])
    assert result.exit_code == 0, result.output
    return directory


@pytest.fixture(autouse=True)
def chapter(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Begin a chapter as its reader does: beside the demo, after the lines that each chapter begins with."""
    if request.node.path.parent != GUIDE:
        return
    directory = request.getfixturevalue("demo")
    request.getfixturevalue("monkeypatch").chdir(directory)
    text = SETUP.read_text(encoding="utf-8")
    lines = doctest.DocTestParser().get_doctest(text, doctest_namespace, SETUP.name, str(SETUP), 0)
    doctest.DocTestRunner().run(lines, clear_globs=False)
    doctest_namespace.update(lines.globs)
