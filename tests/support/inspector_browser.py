"""Chromium for the inspector's tests, and accessibility checks for pages."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser, Page

EXECUTABLES = ("chromium", "chromium-browser", "google-chrome")
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

    Playwright runs an asyncio event loop in this thread, so the block cannot start another.
    """
    executable = next(filter(None, map(shutil.which, EXECUTABLES)), None)
    if executable is None:
        raise RuntimeError(
            f"No browser found: looked for {', '.join(EXECUTABLES)}. Install Chromium."
        )
    # Chromium refuses to run its sandbox as root.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if is_root else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def unnamed_controls(page: Page) -> list[str]:
    """Return the roles of controls without an accessible name, as computed by Chromium."""
    session = page.context.new_cdp_session(page)
    tree = cast(
        "dict[str, list[dict[str, Any]]]",
        session.send("Accessibility.getFullAXTree"),  # pyright: ignore[reportUnknownMemberType] - annotated as a bare dict
    )
    session.detach()
    controls = [one for one in tree["nodes"] if one.get("role", {}).get("value") in CONTROLS]
    assert controls
    return [
        one["role"]["value"]
        for one in controls
        if not one["ignored"] and not str(one.get("name", {}).get("value", "")).strip()
    ]


def structure_problems(page: Page) -> list[str]:
    """Return the problems with the headings, landmarks, labels, ids and tables of a page."""
    problems: list[str] = page.evaluate(_STRUCTURE)
    return problems


def contrast_problems(page: Page) -> list[str]:
    """Return the texts with a contrast below 4.5, the minimum of WCAG 2 level AA."""
    problems: list[str] = page.evaluate(_CONTRAST)
    return problems


_STRUCTURE = """() => {
  const problems = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const exactlyOne = (selector) => {
    if (all(selector).length !== 1) problems.push(`not exactly one ${selector}`);
  };
  for (const selector of ["h1", "main", "body > header", "head > title"]) exactlyOne(selector);
  if (!document.documentElement.lang) problems.push("no lang");
  let level = 1;
  for (const heading of all("h1,h2,h3,h4")) {
    const current = Number(heading.localName[1]);
    if (current > level + 1) problems.push(`skipped heading level: ${heading.textContent}`);
    level = current;
  }
  const ids = all("[id]").map((element) => element.id);
  for (const id of new Set(ids)) {
    if (ids.filter((other) => other === id).length > 1) problems.push(`duplicate id: ${id}`);
  }
  for (const element of all("[aria-labelledby],[aria-describedby]")) {
    for (const name of ["aria-labelledby", "aria-describedby"]) {
      const id = element.getAttribute(name);
      if (id && !document.getElementById(id)) problems.push(`${name}: missing id ${id}`);
    }
  }
  for (const field of all("input:not([type=hidden]),select,textarea")) {
    if (!field.labels.length && !field.ariaLabel) problems.push(`no label: ${field.name}`);
  }
  for (const table of all("table")) {
    if (!table.querySelector("thead th[scope=col]")) problems.push("table without headers");
  }
  for (const landmark of all("nav,section,form[class]")) {
    if (!landmark.ariaLabel && !landmark.getAttribute("aria-labelledby") &&
        landmark.localName !== "form") problems.push(`no name: ${landmark.outerHTML.slice(0, 60)}`);
  }
  for (const hidden of all("[aria-hidden=true]")) {
    const inside = [...hidden.querySelectorAll("a,button,input")].filter((e) => e.tabIndex >= 0);
    if (inside.length) problems.push("hidden, but focusable");
  }
  for (const element of all("[tabindex]")) {
    if (element.tabIndex > 0) problems.push("tabindex above 0");
  }
  return problems;
}"""

_CONTRAST = """() => {
  const problems = new Set();
  const rgba = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return numbers.length < 4 ? [...numbers, 1] : numbers;
  };
  const luminance = ([r, g, b]) => {
    const channel = (value) => {
      const c = value / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  };
  const background = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const colour = rgba(getComputedStyle(node).backgroundColor);
      if (colour[3] === 1) return colour;
      if (colour[3] > 0) throw new Error("semi-transparent background");
    }
    return [255, 255, 255, 1];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("svg,script,option,datalist,.visually-hidden,[disabled]")) continue;
    checked += 1;
    const style = getComputedStyle(element);
    if (Number(style.opacity) !== 1) problems.add(`opacity: ${walker.currentNode.data.trim()}`);
    const colours = [rgba(style.color), background(element)];
    const [lighter, darker] = colours.map(luminance).sort((a, b) => b - a);
    const ratio = (lighter + 0.05) / (darker + 0.05);
    const text = walker.currentNode.data.trim().slice(0, 40);
    if (ratio < 4.5) problems.add(`${ratio.toFixed(2)}: ${text}`);
  }
  if (checked < 5) problems.add("too few texts were checked");
  return [...problems];
}"""
