// Live updates, forms without a reload, copy buttons. Everything else works without this file.
"use strict";

document.documentElement.classList.add("js");

const live = document.getElementById("live");
const announcer = document.getElementById("announcer");
const REFRESH_INTERVAL = 400; // minimum milliseconds between two updates

// Morphing: change the page into a newly rendered one. Elements are kept rather than replaced, which
// preserves focus, selection, typed text and open details.

function morph(from, to) {
  if (from.isEqualNode(to)) return;
  if (from.nodeType !== Node.ELEMENT_NODE) {
    from.nodeValue = to.nodeValue;
    return;
  }
  if (from.hasAttribute("data-keep")) return;
  morphAttributes(from, to);
  morphChildren(from, to);
}

function morphAttributes(from, to) {
  const preserved = from.localName === "details" ? "open" : null; // set by the user
  for (const { name, value } of [...to.attributes]) {
    if (name !== preserved && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (name !== preserved && !to.hasAttribute(name)) from.removeAttribute(name);
  }
}

function morphChildren(from, to) {
  const ids = new Map();
  for (const child of from.children) if (child.id) ids.set(child.id, child);
  const kept = new Set();
  for (const child of to.children) if (ids.has(child.id)) kept.add(ids.get(child.id));
  let next = from.firstChild;
  for (const child of [...to.childNodes]) {
    const known = child.id ? ids.get(child.id) : null;
    if (known && known.localName === child.localName) {
      while (next && next !== known && !kept.has(next)) next = remove(next);
      if (next === known) next = next.nextSibling;
      else from.insertBefore(known, next);
      morph(known, child);
    } else if (next && !child.id && !next.id && next.nodeName === child.nodeName) {
      const current = next;
      next = next.nextSibling;
      morph(current, child);
    } else {
      const added = document.importNode(child, true);
      from.insertBefore(added, next);
      if (added.localName === "tr" || added.localName === "details") added.classList.add("new");
    }
  }
  while (next) next = remove(next);
}

function remove(node) {
  const following = node.nextSibling;
  node.remove();
  return following;
}

// Keep the visible part of the page in place while content above it changes.

function keepScrollPosition(change) {
  const focused = document.activeElement;
  const rows = document.querySelectorAll("main tr[id], main details[id], main section[id]");
  const inView = (element) => {
    const box = element.getBoundingClientRect();
    return box.height > 0 && box.bottom > 0 && box.top < innerHeight;
  };
  const anchor =
    scrollY === 0
      ? null
      : focused && focused.id && focused !== document.body && inView(focused)
        ? focused
        : [...rows].find((row) => inView(row) && row.getBoundingClientRect().top >= 0) ||
          [...rows].reverse().find(inView);
  const before = anchor?.getBoundingClientRect().top;
  change();
  if (anchor?.isConnected) scrollBy({ top: anchor.getBoundingClientRect().top - before, behavior: "instant" });
}

function updatePage(html, { keepNotice }) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const before = totals();
  const shownNotice = document.querySelector("[data-notice]");
  const focused = document.activeElement;
  const focusedId = focused?.id;
  keepScrollPosition(() => {
    // A notice stays until the next action, which brings its own.
    if (keepNotice && shownNotice) {
      page.querySelector("[data-notice]")?.replaceWith(shownNotice.cloneNode(true));
    }
    document.title = page.title;
    morph(document.body, page.body);
  });
  if (focused && !focused.isConnected) {
    // The focused element was removed, such as a row that no longer matches the filters.
    const target = (focusedId && document.getElementById(focusedId)) || document.getElementById("main");
    target.focus({ preventScroll: true });
  }
  announce(before, totals());
  syncClock();
}

function totals() {
  const { delivered, failed } = document.getElementById("totals")?.dataset ?? {};
  return { delivered: Number(delivered ?? 0), failed: Number(failed ?? 0) };
}

function announce(before, after) {
  const parts = [];
  const events = (count) => `${count} ${count === 1 ? "event" : "events"}`;
  if (after.failed !== before.failed) parts.push(`${events(after.failed)} failed`);
  if (after.delivered !== before.delivered) parts.push(`${events(after.delivered)} delivered`);
  if (parts.length) announcer.textContent = `Updated: ${parts.join(", ")}.`;
}

// Updates

let refreshing = false;
let latestVersion = null;
let timer = 0;

async function refresh() {
  if (refreshing || document.hidden || latestVersion === document.body.dataset.version) return;
  refreshing = true;
  try {
    const requestedVersion = latestVersion;
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.ok) updatePage(await response.text(), { keepNotice: true });
    // A page that no longer exists stays on the screen; do not fetch it again for this version.
    else document.body.dataset.version = requestedVersion;
    setLiveState("on", "Live");
  } catch {
    setLiveState("off", "Not connected");
  } finally {
    refreshing = false;
    clearTimeout(timer);
    if (latestVersion !== document.body.dataset.version) timer = setTimeout(refresh, REFRESH_INTERVAL);
  }
}

function setLiveState(state, text) {
  if (live.dataset.state === state) return;
  live.dataset.state = state;
  live.textContent = text;
}

let source = null;

function connect() {
  if (source || document.hidden || !document.body.dataset.live) return;
  source = new EventSource(document.body.dataset.live);
  source.onmessage = (event) => {
    latestVersion = event.data;
    setLiveState("on", "Live");
    clearTimeout(timer);
    timer = setTimeout(refresh, 50);
  };
  source.onerror = () => {
    setLiveState("off", "Not connected");
    if (source?.readyState === EventSource.CLOSED) {
      disconnect();
      setTimeout(connect, 3000);
    }
  };
}

function disconnect() {
  source?.close();
  source = null;
}

// Browsers limit the connections to a host, so hidden pages give theirs up.
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
addEventListener("pagehide", disconnect);
addEventListener("pageshow", connect);

// Forms

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-enhance]")) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button");
  if (button.getAttribute("aria-busy")) return;
  button.setAttribute("aria-busy", "true");
  try {
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch(form.action, { method: "POST", body });
    updatePage(await response.text(), { keepNotice: false });
    if (!response.ok) document.querySelector('[aria-invalid="true"]')?.focus();
  } catch {
    showError("The sandbox did not respond. Is it still running?");
  } finally {
    button.removeAttribute("aria-busy");
  }
});

function showError(text) {
  const paragraph = document.createElement("p");
  paragraph.className = "notice bad";
  paragraph.textContent = text;
  document.querySelector("[data-notice]")?.replaceChildren(paragraph);
}

// Dismiss and copy buttons

document.addEventListener("click", async (event) => {
  if (event.target.closest?.("[data-dismiss]")) {
    document.querySelector("[data-notice]").replaceChildren();
    document.getElementById("main").focus({ preventScroll: true });
    return;
  }
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    announcer.textContent = "Copied.";
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1200);
  } catch {
    getSelection().selectAllChildren(source);
    announcer.textContent = "Text selected. Copy it with the keyboard.";
  }
});

// The clock

let clockOffset = 0; // milliseconds between the sandbox's clock and the browser's

function syncClock() {
  const clock = document.querySelector("[data-now]");
  if (clock) clockOffset = Number(clock.dataset.now) - Date.now();
}

setInterval(() => {
  const clock = document.querySelector("[data-now]");
  if (!clock || document.hidden) return;
  const now = new Date(Date.now() + clockOffset);
  const day = now.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  clock.textContent = `${day}, ${now.toISOString().slice(11, 19)}`;
}, 1000);

// Remove the notice from the address, so that a reload or a bookmark does not repeat it.
const address = new URL(location.href);
if (address.searchParams.has("notice")) {
  for (const name of ["notice", "delivered", "failed", "finished"]) address.searchParams.delete(name);
  history.replaceState(null, "", address);
}

syncClock();
connect();
