// The console's own small script: shortcuts and live counts. Every page works without it.
"use strict";

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Shortcuts: an element with data-key is focused (fields), opened (details) or clicked (the rest) by that key.
  // Keys typed into a field are text; Escape leaves the field; what was typed stays.
  const typing = (target) =>
    target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit"].includes(target.type));
  const rows = () => $$("[data-row]");
  let current = -1;
  let first = "";
  let firstAt = 0;

  const select = (index) => {
    const all = rows();
    if (!all.length) return;
    current = Math.max(0, Math.min(index, all.length - 1));
    all.forEach((row, n) => row.classList.toggle("here", n === current));
    const link = $("a[data-open]", all[current]);
    if (link) link.focus({ preventScroll: true });
    all[current].scrollIntoView({ block: "nearest" });
  };

  const activate = (element) => {
    if (element instanceof HTMLDetailsElement) {
      element.open = true;
      const field = $("textarea, select, input:not([type=hidden])", element);
      (field || $("summary", element)).focus();
    } else if (typing(element)) {
      element.focus();
      if (element.select) element.select();
    } else {
      element.click();
    }
    element.scrollIntoView({ block: "nearest" });
  };

  const help = () => {
    const dialog = $("#keys");
    if (dialog && !dialog.open) dialog.showModal();
  };

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey && event.key !== "Enter" || event.metaKey && event.key !== "Enter" || event.altKey) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) {
      event.preventDefault();
      event.target.form.requestSubmit();
      return;
    }
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if ($("dialog[open]")) return;
    const key = event.key;
    if (Date.now() - firstAt > 1500) first = "";
    const sequence = first ? `${first} ${key}` : key;
    first = "";
    if (key === "?") { event.preventDefault(); help(); return; }
    if (key === "g" && sequence === "g") { first = "g"; firstAt = Date.now(); return; }
    if (key === "j" || key === "k") {
      if (rows().length) { event.preventDefault(); select(current + (key === "j" ? 1 : -1)); }
      return;
    }
    if (key === "x" && current >= 0) {
      const box = $("input[type=checkbox]", rows()[current]);
      if (box) { event.preventDefault(); box.click(); }
      return;
    }
    const element = $$("[data-key]").find((one) => one.dataset.key === sequence && !one.disabled && one.offsetParent !== null);
    if (element) { event.preventDefault(); activate(element); }
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target.closest && event.target.closest("[data-row]");
    if (!row) return;
    const index = rows().indexOf(row);
    if (index !== current) { current = index; rows().forEach((one, n) => one.classList.toggle("here", n === index)); }
  });

  $$("[data-help]").forEach((link) => link.addEventListener("click", (event) => { event.preventDefault(); help(); }));
  $$("[data-close]").forEach((button) => button.addEventListener("click", () => button.closest("dialog").close()));

  // "All on this page", and how many are ticked.
  const all = $("[data-all]");
  const boxes = () => $$("input[name=ticket]");
  const ticked = () => {
    const count = boxes().filter((box) => box.checked).length;
    $$("[data-ticked]").forEach((place) => { place.textContent = count; });
    if (all) all.checked = count > 0 && count === boxes().length;
  };
  if (all) {
    all.closest("[hidden]") && (all.closest("[hidden]").hidden = false);
    all.addEventListener("change", () => { boxes().forEach((box) => { box.checked = all.checked; }); ticked(); });
    document.addEventListener("change", (event) => { if (event.target.name === "ticket") ticked(); });
    ticked();
  }

  // A form is sent once: a second press of a slow button does nothing.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    event.target.dataset.sent = "1";
    setTimeout(() => { delete event.target.dataset.sent; }, 4000);
  });

  // What was typed outlives a mistaken step back, a reload, an ended session or a failed connection: it is kept in this
  // tab, by the address it is sent to, until a page that came of that form says no failure.
  const sent = "liucun:sent";
  const kept = (field) => `liucun:${field.form.getAttribute("action")}:${field.dataset.keep}`;
  const arrived = performance.getEntriesByType("navigation")[0];
  const waiting = JSON.parse(sessionStorage.getItem(sent) || "null");
  if (waiting && arrived && arrived.type === "navigate" && document.referrer === waiting.from && !$("[data-failed]")) {
    waiting.names.forEach((name) => sessionStorage.removeItem(name));
  }
  sessionStorage.removeItem(sent);
  window.addEventListener("pageshow", (event) => { if (event.persisted) sessionStorage.removeItem(sent); });
  $$("[data-keep]").filter((field) => field.form).forEach((field) => {
    const draft = sessionStorage.getItem(kept(field));
    if (draft && !field.value) {
      field.value = draft;
      if (field.closest("details")) field.closest("details").open = true;
    }
    field.addEventListener("input", () => {
      if (field.value) sessionStorage.setItem(kept(field), field.value);
      else sessionStorage.removeItem(kept(field));
    });
  });
  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("action") === "/sign-out") { sessionStorage.clear(); return; }
    const names = $$("[data-keep]", event.target).map(kept);
    if (names.length) sessionStorage.setItem(sent, JSON.stringify({ from: location.href.split("#")[0], names }));
  });

  // On a phone the menu scrolls sideways: the page one is on is in sight.
  const here = $(".side nav [aria-current]");
  if (here) {
    const menu = here.closest("nav");
    menu.scrollLeft = here.offsetLeft - (menu.clientWidth - here.offsetWidth) / 2;
  }

  // Live counts in the menu. The page itself never moves under the reader.
  const counts = $$("[data-count]");
  if (counts.length) {
    const refresh = async () => {
      if (document.hidden) return;
      try {
        const answer = await fetch("/live", { headers: { Accept: "application/json" }, credentials: "same-origin" });
        if (!answer.ok) return;
        const found = await answer.json();
        counts.forEach((place) => {
          const value = found[place.dataset.count];
          if (value === undefined) return;
          place.textContent = value.toLocaleString("en-US");
          place.hidden = value === 0;
        });
        const changed = $("#changed");
        if (changed && changed.dataset.mark && found.mark !== changed.dataset.mark) changed.hidden = false;
      } catch { /* offline for a moment: the next round tries again */ }
    };
    refresh();
    setInterval(refresh, 20000);
    document.addEventListener("visibilitychange", refresh);
  }
})();
