// Live updates, forms without a reload, copy buttons. Everything else works without this file.
"use strict";

document.documentElement.classList.add("js");

const live = document.getElementById("live");
const announcer = document.getElementById("announcer");
const PAUSE = 400; // milliseconds between two updates, however much happens

// The page as it is becomes the page as the server renders it now. Elements stay the same objects,
// so that focus, selection, what was typed and what was opened stay as they are.

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
  const own = from.localName === "details" ? "open" : null; // the reader's own doing
  for (const { name, value } of [...to.attributes]) {
    if (name !== own && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (name !== own && !to.hasAttribute(name)) from.removeAttribute(name);
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
      const here = next;
      next = next.nextSibling;
      morph(here, child);
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

// What the reader looks at stays where it is on the screen, whatever comes in above it.

function anchored(change) {
  const focused = document.activeElement;
  const rows = document.querySelectorAll("main tr[id], main details[id], main section[id]");
  const inView = (one) => {
    const box = one.getBoundingClientRect();
    return box.height > 0 && box.bottom > 0 && box.top < innerHeight;
  };
  const anchor =
    scrollY === 0
      ? null
      : focused && focused.id && focused !== document.body && inView(focused)
        ? focused
        : [...rows].find((one) => inView(one) && one.getBoundingClientRect().top >= 0) ||
          [...rows].reverse().find(inView);
  const before = anchor?.getBoundingClientRect().top;
  change();
  if (anchor?.isConnected) scrollBy({ top: anchor.getBoundingClientRect().top - before, behavior: "instant" });
}

function show(html, { notice }) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const before = totals();
  const shown = document.querySelector("[data-notice]");
  const focused = document.activeElement;
  const focusedId = focused?.id;
  anchored(() => {
    // A notice stays until the next action, which has another one.
    if (!notice && shown) page.querySelector("[data-notice]")?.replaceWith(shown.cloneNode(true));
    document.title = page.title;
    morph(document.body, page.body);
  });
  if (focused && !focused.isConnected) {
    // What had the focus is gone, such as a row that no longer passes the filters.
    const heir = (focusedId && document.getElementById(focusedId)) || document.getElementById("main");
    heir.focus({ preventScroll: true });
  }
  announce(before, totals());
  tick();
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

let running = false;
let wanted = null;
let timer = 0;

async function refresh() {
  if (running || document.hidden || wanted === document.body.dataset.version) return;
  running = true;
  try {
    const asked = wanted;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) show(await answer.text(), { notice: false });
    // What is gone stays on the screen, with the version that is known to be its last.
    else document.body.dataset.version = asked;
    status("on", "Live");
  } catch {
    status("off", "Not connected");
  } finally {
    running = false;
    clearTimeout(timer);
    if (wanted !== document.body.dataset.version) timer = setTimeout(refresh, PAUSE);
  }
}

function status(state, text) {
  if (live.dataset.state === state) return;
  live.dataset.state = state;
  live.textContent = text;
}

let source = null;

function connect() {
  if (source || document.hidden || !document.body.dataset.live) return;
  source = new EventSource(document.body.dataset.live);
  source.onmessage = (event) => {
    wanted = event.data;
    status("on", "Live");
    clearTimeout(timer);
    timer = setTimeout(refresh, 50);
  };
  source.onerror = () => {
    status("off", "Not connected");
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

// A browser has few connections for each host: pages that nobody sees leave theirs to others.
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
    const answer = await fetch(form.action, { method: "POST", body });
    const html = await answer.text();
    show(html, { notice: true });
    if (!answer.ok) document.querySelector('[aria-invalid="true"]')?.focus();
  } catch {
    say("The sandbox did not answer. Is it still running?");
  } finally {
    button.removeAttribute("aria-busy");
  }
});

function say(text) {
  const paragraph = document.createElement("p");
  paragraph.className = "notice bad";
  paragraph.textContent = text;
  document.querySelector("[data-notice]")?.replaceChildren(paragraph);
}

// Buttons of the page's own

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
    announcer.textContent = "Selected: copy it with the keyboard.";
  }
});

// The clock

let offset = 0;

function tick() {
  const clock = document.querySelector("[data-now]");
  if (clock) offset = Number(clock.dataset.now) - Date.now();
}

setInterval(() => {
  const clock = document.querySelector("[data-now]");
  if (!clock || document.hidden) return;
  const now = new Date(Date.now() + offset);
  const day = now.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  clock.textContent = `${day}, ${now.toISOString().slice(11, 19)}`;
}, 1000);

// The notice is of the action before: a reload or a bookmark does not repeat it.
const here = new URL(location.href);
if (here.searchParams.has("notice")) {
  for (const name of ["notice", "delivered", "failed", "ended"]) here.searchParams.delete(name);
  history.replaceState(null, "", here);
}

tick();
connect();
