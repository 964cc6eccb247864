"""
Look at the pages of the documentation in a browser as a reader would.

``python site_pages.py AXE_JS HTML [PAGE...]`` opens all pages below the directory HTML, or only those named, at the
widths of a telephone, a tablet and a desk. It fails if anything is asked of a network, the console has an error, a page
scrolls sideways, text lies beyond the right edge, code is cut on a desk, or axe-core has a serious finding.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from browser import accessibility, chromium, sideways, watch

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTHS = {"telephone": 390, "tablet": 768, "desk": 1280}
SERIOUS = ("serious", "critical")

# Text that lies beyond the right edge, and in nothing that a reader can scroll.
BEYOND = """() => {
    const edge = document.documentElement.clientWidth + 1, found = [];
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const scrolls = part => part && part !== document.body &&
        (["auto", "scroll"].includes(getComputedStyle(part).overflowX) || scrolls(part.parentElement));
    while (words.nextNode()) {
        const word = words.currentNode, part = word.parentElement;
        if (!word.data.trim() || !part.checkVisibility({ visibilityProperty: true })) continue;
        const range = document.createRange();
        range.selectNodeContents(word);
        if (range.getBoundingClientRect().right > edge && !scrolls(part)) found.push(word.data.trim().slice(0, 60));
    }
    return found;
}"""
# The longest line of each block of code that is wider than its block.
CUT = """() => [...document.querySelectorAll("article pre")].filter(block => block.scrollWidth > block.clientWidth + 1)
    .map(block => block.textContent.split("\\n").sort((one, other) => other.length - one.length)[0])"""
# Log lines in what an example printed.
LOGGED = """() => [...document.querySelectorAll(".sphx-glr-script-out pre")]
    .flatMap(block => block.textContent.split("\\n")).filter(line => /^(DEBUG|INFO|WARNING|ERROR): /.test(line))"""


def look_at(page: Page, axe: str, width: int, *, is_source: bool) -> list[str]:
    """Return what is wrong with an open page at a width."""
    page.set_viewport_size({"width": width, "height": 800})
    wrong = sideways(page)
    wrong += [f"beyond the right edge: {text!r}" for text in page.evaluate(BEYOND)]
    if width == WIDTHS["desk"] and not is_source:
        wrong += [f"code is cut: {line!r}" for line in page.evaluate(CUT)]
        wrong += [f"a log line: {line!r}" for line in page.evaluate(LOGGED)]
    return wrong + accessibility(page, axe, SERIOUS)


def main(axe: str, directory: str, names: list[str]) -> int:
    """Look at the pages, at all widths in light colours and at the desk's in dark ones; return the exit status."""
    script = Path(axe).read_text(encoding="utf-8")
    shots = os.environ.get("SHOTS")
    html = Path(directory).resolve()
    pages = [html / f"{name}.html" for name in names] or sorted(
        page for page in html.rglob("*.html") if "_static" not in page.parts
    )
    failed = 0
    with chromium() as browser:
        context = browser.new_context()
        for path in pages:
            name = path.relative_to(html).with_suffix("").as_posix()
            page = context.new_page()
            wrong = watch(page)
            page.emulate_media(color_scheme="light")
            page.goto(path.as_uri())
            for scheme, width in [*(("light", width) for width in WIDTHS.values()), ("dark", WIDTHS["desk"])]:
                page.emulate_media(color_scheme=scheme)
                found = look_at(page, script, width, is_source=name.startswith("_modules"))
                wrong += [f"{scheme}, {width} pixels: {one}" for one in found]
                if shots:
                    shot = Path(shots) / f"{name.replace('/', '-')}-{scheme}-{width}.png"
                    page.screenshot(path=shot, full_page=True)
            page.close()
            failed += bool(wrong)
            sys.stdout.write("".join(f"{name}: {one}\n" for one in wrong))
    sys.stdout.write(f"{len(pages) - failed} pages passed, {failed} failed\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
