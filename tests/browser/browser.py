"""What the checks of pages in a browser share: Debian's Chromium, driven by Playwright, with axe-core."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# Chromium refuses its sandbox to root; the pages are our own.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, and close it at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def watch(page: Page) -> list[str]:
    """Return a list that fills with what goes wrong on a page: errors, dialogs, and requests to a network."""
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(f"asks {request.url}"),
    )
    return wrong


def sideways(page: Page) -> list[str]:
    """Say by how much the page can be scrolled sideways."""
    beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"scrolls sideways by {beyond} pixels"] if beyond > 0 else []


def accessibility(page: Page, axe: str, impacts: tuple[str, ...] = ()) -> list[str]:
    """Return what axe-core finds, or only findings of these impacts, with the first three places of each."""
    # A page's policy may let no other script in; the protocol of the browser runs one nevertheless.
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'], preload: false })")
    return [
        f"{one['id']}: {one['help']}: {node['html'][:160]}"
        for one in found["violations"]
        if not impacts or one["impact"] in impacts
        for node in one["nodes"][:3]
    ]
