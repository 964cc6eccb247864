"""
Look at reports in a browser as a reader would: ``python report_page.py AXE_JS DIRECTORY...``, of results.

It fails if the console has an error, anything is asked of a network, a table does not sort, the page scrolls
sideways on a telephone, or axe-core finds contrasts that are too weak, or anything without a label.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from browser import accessibility, chromium, sideways, watch

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTHS = {"telephone": 360, "desk": 1280}


def look_at(page: Page, report: Path, axe: str, scheme: str, width: int, shots: str | None) -> list[str]:
    """Return what is wrong with a report at a width, light or dark."""
    wrong = watch(page)
    page.goto(report.resolve().as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    wrong += sideways(page)
    if shots:
        page.screenshot(path=f"{shots}-{scheme}-{width}.png", full_page=True)
    if not page.locator("table.sortable").count():
        wrong.append("no table can be sorted")
    wrong += sorting(page)
    wrong += accessibility(page, axe)
    return wrong


def sorting(page: Page) -> list[str]:
    """Sort each table by each of its columns, with the keyboard."""
    wrong = []
    for table in page.locator("table.sortable").all():
        for head in table.locator("thead th").all():
            for order in ("ascending", "descending"):
                head.locator("button").press("Enter")
                if head.get_attribute("aria-sort") != order or table.locator("th[aria-sort]").count() != 1:
                    wrong.append(f"{head.inner_text()!r} is not sorted {order}")
            column = head.evaluate("head => head.cellIndex")
            values = table.evaluate(
                "(table, column) => [...table.tBodies[0].rows].map(row => row.cells[column].dataset.v)", column
            )
            numbers = [float(value) for value in values if value is not None]
            if numbers != sorted(numbers, reverse=True):
                wrong.append(f"{head.inner_text()!r} is said to be sorted, and is not: {numbers}")
    return wrong


def main(axe: str, directories: list[str]) -> int:
    """Look at all reports, light and dark, at both widths; return the exit status."""
    script = Path(axe).read_text(encoding="utf-8")
    shots = os.environ.get("SHOTS")
    looked = failed = 0
    with chromium() as browser:
        for number, directory in enumerate(directories):
            for scheme in ("light", "dark"):
                for name, width in WIDTHS.items():
                    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
                    report = Path(directory) / "report.html"
                    shot = f"{shots}-{number}" if shots else None
                    wrong = look_at(context.new_page(), report, script, scheme, width, shot)
                    context.close()
                    looked += 1
                    failed += bool(wrong)
                    sys.stdout.write("".join(f"{report}, {scheme}, {name}: {one}\n" for one in wrong))
    sys.stdout.write(f"{looked - failed} passed, {failed} failed\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
