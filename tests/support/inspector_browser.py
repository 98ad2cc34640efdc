"""A real Chromium for the inspector's tests, and what a page must keep to be accessible."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CONTROLS = frozenset({"button", "link", "textbox", "combobox", "checkbox", "DisclosureTriangle"})


@contextmanager
def chromium() -> Generator[Browser]:
    """Yield the system's Chromium, with a new profile.

    While it runs, no asyncio loop can be run in this thread: Playwright's own is there.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise RuntimeError(f"These tests need one of {', '.join(NAMES)}: install Chromium.")
    # Its sandbox needs privileges that it does not take from root.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if is_root else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def unnamed_controls(page: Page) -> list[str]:
    """Return the roles of controls that a screen reader could not name, as Chromium reckons it."""
    session = page.context.new_cdp_session(page)
    answer = cast(
        "dict[str, list[dict[str, Any]]]",
        session.send("Accessibility.getFullAXTree"),  # pyright: ignore[reportUnknownMemberType] - a bare dict is what it is annotated with
    )
    session.detach()
    controls = [one for one in answer["nodes"] if one.get("role", {}).get("value") in CONTROLS]
    assert controls
    return [
        one["role"]["value"]
        for one in controls
        if not one["ignored"] and not str(one.get("name", {}).get("value", "")).strip()
    ]


def structure_faults(page: Page) -> list[str]:
    """Return what is wrong with headings, landmarks, labels, ids and tables of a page."""
    faults: list[str] = page.evaluate(_STRUCTURE)
    return faults


def contrast_faults(page: Page) -> list[str]:
    """Return the texts that stand out from their ground by less than WCAG's AA asks."""
    faults: list[str] = page.evaluate(_CONTRAST)
    return faults


_STRUCTURE = """() => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (selector) => { if (all(selector).length !== 1) faults.push(`not one ${selector}`); };
  one("h1"); one("main"); one("body > header"); one("head > title");
  if (!document.documentElement.lang) faults.push("no lang");
  let level = 1;
  for (const heading of all("h1,h2,h3,h4")) {
    const own = Number(heading.localName[1]);
    if (own > level + 1) faults.push(`heading level: ${heading.textContent}`);
    level = own;
  }
  const ids = all("[id]").map((element) => element.id);
  for (const id of new Set(ids)) {
    if (ids.filter((other) => other === id).length > 1) faults.push(`id twice: ${id}`);
  }
  for (const element of all("[aria-labelledby],[aria-describedby]")) {
    for (const name of ["aria-labelledby", "aria-describedby"]) {
      const id = element.getAttribute(name);
      if (id && !document.getElementById(id)) faults.push(`${name} leads nowhere: ${id}`);
    }
  }
  for (const field of all("input:not([type=hidden]),select,textarea")) {
    if (!field.labels.length && !field.ariaLabel) faults.push(`no label: ${field.name}`);
  }
  for (const table of all("table")) {
    if (!table.querySelector("thead th[scope=col]")) faults.push("table without headers");
  }
  for (const landmark of all("nav,section,form[class]")) {
    if (!landmark.ariaLabel && !landmark.getAttribute("aria-labelledby") &&
        landmark.localName !== "form") faults.push(`no name: ${landmark.outerHTML.slice(0, 60)}`);
  }
  for (const hidden of all("[aria-hidden=true]")) {
    const inside = [...hidden.querySelectorAll("a,button,input")].filter((e) => e.tabIndex >= 0);
    if (inside.length) faults.push("hidden, but takes the focus");
  }
  for (const element of all("[tabindex]")) {
    if (element.tabIndex > 0) faults.push("tabindex above 0");
  }
  return faults;
}"""

_CONTRAST = """() => {
  const faults = new Set();
  const rgba = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return numbers.length < 4 ? [...numbers, 1] : numbers;
  };
  const light = ([r, g, b]) => {
    const part = (value) => {
      const c = value / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] === 1) return colour;
      if (colour[3] > 0) throw new Error("half-transparent ground");
    }
    return [255, 255, 255, 1];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("svg,script,option,datalist,.visually-hidden,[disabled]")) continue;
    seen += 1;
    const style = getComputedStyle(element);
    if (Number(style.opacity) !== 1) faults.add(`opacity: ${walker.currentNode.data.trim()}`);
    const [a, b] = [light(rgba(style.color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const text = walker.currentNode.data.trim().slice(0, 40);
    if (ratio < 4.5) faults.add(`${ratio.toFixed(2)}: ${text}`);
  }
  if (seen < 5) faults.add("nothing was looked at");
  return [...faults];
}"""
