/*
 * Small help for the admin's pages: copying, and the keyboard where only the mouse was thought of.
 */
(() => {
  "use strict";

  const COPIED_FOR = 2000;

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });

  async function copy(button) {
    const text = button.parentElement.querySelector("code").textContent;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C";
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    }
    setTimeout(() => { button.textContent = label; }, COPIED_FOR);
  }

  /* What reacts to a click but is neither a link with an address nor a control gets both: a place in the
     order of the Tab key, and Enter. */
  function reachable() {
    for (const element of document.querySelectorAll("[x-on\\:click]")) {
      const isReachable = element.matches("a[href], button, input, select, textarea, summary, [tabindex]");
      if (isReachable || element.id === "changelist-filter-close") continue;
      element.setAttribute("role", "button");
      element.setAttribute("tabindex", "0");
      if (!element.textContent.trim() || element.matches(".material-symbols-outlined")) {
        element.setAttribute("aria-label", element.title || element.textContent.trim().replace(/_/g, " "));
      }
      element.addEventListener("keydown", (event) => {
        if (event.target !== element || (event.key !== "Enter" && event.key !== " ")) return;
        event.preventDefault();
        element.click();
      });
    }
  }

  /* Names for controls that have a sign only. */
  function named() {
    document.getElementById("searchbar-submit")?.setAttribute("aria-label", "Search");
    const search = document.getElementById("searchbar");
    search?.setAttribute("aria-label", search.placeholder);
    name(".vDateField", "Date");
    name(".vTimeField", "Time");
    name("input[name=s]", "Search");
    for (const icon of document.querySelectorAll(".material-symbols-outlined:not([role])")) {
      icon.setAttribute("aria-hidden", "true");
    }
  }

  function name(selector, label) {
    for (const field of document.querySelectorAll(selector)) {
      if (!field.labels?.length) field.setAttribute("aria-label", label);
    }
  }

  /* What says how far some work is looks again by itself, and the page is shown anew when it is done. */
  const LOOKS_EVERY = 1500;

  async function look() {
    const part = document.querySelector("[data-live]");
    if (!part) return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Requested-With": "fetch" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-live]");
      if (!fresh) return location.reload();
      part.replaceWith(fresh);
    } catch { /* The next look may find the server again. */ }
    setTimeout(look, LOOKS_EVERY);
  }

  document.addEventListener("DOMContentLoaded", () => {
    reachable();
    named();
    setTimeout(look, LOOKS_EVERY);
  });
})();
