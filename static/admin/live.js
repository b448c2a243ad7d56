/*
 * The live debugger: asks for new events every few seconds, and for one event when it is opened.
 */
(() => {
  "use strict";

  const MOST_ROWS = 200;
  // As in apps/events/debugger.py: ids so far back may still be new.
  const OVERLAP = 500;

  document.addEventListener("DOMContentLoaded", () => {
    const list = document.querySelector("[data-stream]");
    if (list) start(list);
  });

  function start(list) {
    const state = document.querySelector("[data-stream-state]");
    const pause = document.querySelector("[data-stream-pause]");
    const empty = document.querySelector("[data-stream-empty]");
    let isPaused = false;
    let isAsking = false;

    pause.hidden = false;
    tell();
    pause.addEventListener("click", () => {
      isPaused = !isPaused;
      pause.textContent = isPaused ? "Go on" : "Pause";
      tell();
      if (!isPaused) look();
    });
    list.addEventListener("toggle", (event) => {
      if (event.target.open) fill(event.target);
    }, true);
    setInterval(() => { if (!isPaused && !document.hidden) look(); }, list.dataset.seconds * 1000);

    function tell(problem) {
      state.textContent = isPaused ? "Paused." : problem || "Updates by itself.";
    }

    async function look() {
      if (isAsking) return;
      isAsking = true;
      try {
        const answer = await fetch(address(), {headers: {Accept: "text/html"}, credentials: "same-origin"});
        if (answer.redirected || answer.status === 403) tell("You are no longer logged in: reload the page.");
        else if (!answer.ok) tell("The server can't answer right now; trying again.");
        else {
          tell();
          if (answer.status === 200 && !isPaused) add(await answer.text());
        }
      } catch {
        tell("No connection; trying again.");
      } finally {
        isAsking = false;
      }
    }

    function address() {
      const marks = [...list.querySelectorAll("[data-mark]")].map((row) => row.dataset.mark);
      const ids = marks.filter((mark) => mark[0] === "e").map((mark) => Number(mark.slice(1)));
      const last = Math.max(0, ...ids);
      const query = new URLSearchParams(location.search);
      query.set("after", last);
      query.set("known", marks.filter((mark) => mark[0] === "r" || Number(mark.slice(1)) > last - OVERLAP).join(","));
      return list.dataset.rows + "?" + query;
    }

    function add(html) {
      const box = document.createElement("template");
      box.innerHTML = html;
      const shown = new Set([...list.querySelectorAll("[data-mark]")].map((row) => row.dataset.mark));
      const fresh = [...box.content.querySelectorAll("[data-mark]")].filter((row) => !shown.has(row.dataset.mark));
      for (const row of fresh) row.classList.add("cp-fresh");
      list.prepend(...fresh);
      const rows = [...list.querySelectorAll("[data-mark]")];
      for (const row of rows.slice(MOST_ROWS)) if (!row.querySelector("details[open]")) row.remove();
      empty.hidden = rows.length > 0;
    }
  }

  async function fill(details) {
    const place = details.querySelector(".cp-live-detail");
    if (!place.childElementCount) place.textContent = "Looking it up …";
    try {
      const answer = await fetch(details.dataset.url, {credentials: "same-origin"});
      if (!answer.ok) throw new Error(answer.status);
      place.innerHTML = await answer.text();
    } catch {
      place.textContent = "It can't be shown right now. Close and open it to try again.";
    }
  }
})();
