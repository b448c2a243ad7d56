/* cuepost-banner.js: asks visitors what they allow, remembers it, and lets them change their mind.
 *
 *   <script src="https://mail.example.com/js/cuepost.js" data-write-key="pk_…" defer></script>
 *   <script src="https://mail.example.com/js/cuepost-banner.js" defer></script>
 *
 * What it asks for are the purposes that you have chosen for the banner, in their newest wording. To
 * say yes takes as many clicks as to say no, and nothing is ticked beforehand. The choice is handed
 * to cuepost.consent(), which keeps it in a cookie, and reported to your installation as proof.
 *
 * Any element with the attribute data-cuepost-choices opens it again. A page that has none gets a
 * small button at its lower edge. Pages may also call cuepostBanner.open().
 *
 * Colors follow these properties, where the page sets them: --cuepost-accent, --cuepost-ground,
 * --cuepost-text.
 */
(() => {
  "use strict";

  const own = document.currentScript;
  if (window.cuepostBanner) return;
  const address = new URL("../v1/banner", own.src).href;
  const SALE = "sale_or_sharing";
  const hasSignal = navigator.globalPrivacyControl === true;

  const TEXTS = {
    accept: "Accept all",
    reject: "Reject all",
    choose: "Choose one by one",
    save: "Save my choice",
    legend: "What you allow",
    policy: "More about this",
    reopen: "Privacy choices",
    signal: "Your browser sends Global Privacy Control. We honor it: we don’t sell or share your data.",
  };

  const STYLE = `
    :host { all: initial; }
    * { box-sizing: border-box; }
    [hidden] { display: none !important; }
    .banner, .reopen {
      --ground: var(--cuepost-ground, #fff);
      --text: var(--cuepost-text, #1f2430);
      --accent: var(--cuepost-accent, #1f4fd8);
      --edge: #868d9c;
      position: fixed;
      z-index: 2147483000;
      background: var(--ground);
      color: var(--text);
      border: 1px solid var(--edge);
      font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
    }
    .banner {
      right: 16px;
      bottom: 16px;
      left: 16px;
      max-width: 640px;
      max-height: calc(100vh - 32px);
      margin: 0 auto;
      padding: 20px 24px;
      overflow: auto;
      border-radius: 14px;
      box-shadow: 0 8px 40px rgb(0 0 0 / 22%);
    }
    .reopen { bottom: 12px; left: 12px; min-height: 40px; padding: 6px 14px; border-radius: 20px;
      font-size: 14px; }
    h2 { margin: 0 0 8px; font-size: 19px; line-height: 1.3; }
    p { margin: 0 0 14px; }
    a { color: inherit; }
    fieldset { margin: 0 0 14px; padding: 0; border: 0; min-width: 0; }
    legend { padding: 0; font-weight: 600; }
    label { display: grid; grid-template-columns: 22px 1fr; gap: 2px 12px; padding: 10px 0; }
    label span { grid-column: 2; font-size: 15px; }
    label strong { font-weight: 600; }
    input { width: 22px; height: 22px; margin: 1px 0 0; accent-color: var(--accent); }
    .signal { padding: 10px 14px; border-left: 4px solid var(--accent); font-size: 15px;
      border-radius: 4px; box-shadow: inset 0 0 0 1px var(--edge); }
    .buttons { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
    button { font: inherit; cursor: pointer; }
    .banner button { min-height: 46px; padding: 8px 16px; border-radius: 10px;
      border: 2px solid var(--accent); background: var(--ground); color: var(--text);
      font-weight: 600; }
    .banner .wide { grid-column: 1 / -1; }
    .banner button.quiet { border-color: transparent; text-decoration: underline; }
    button:focus-visible, input:focus-visible, a:focus-visible, .banner:focus-visible {
      outline: 3px solid var(--accent); outline-offset: 2px; }
    @media (prefers-color-scheme: dark) {
      .banner, .reopen {
        --ground: var(--cuepost-ground, #1e2128);
        --text: var(--cuepost-text, #eceef2);
        --accent: var(--cuepost-accent, #8fb0ff);
      }
    }
    @media (max-width: 480px) {
      .banner { right: 8px; bottom: 8px; left: 8px; max-height: 60vh;
        padding: 16px; }
      .buttons { grid-template-columns: 1fr; }
    }
  `;

  let config = null;
  let root = null;
  let parts = {};
  let opener = null; // Where the focus goes back to.

  function make(tag, attributes, children) {
    const element = document.createElement(tag);
    Object.assign(element, attributes);
    (children || []).forEach((child) => element.append(child));
    return element;
  }

  /** What was chosen, purpose by purpose; undefined where nothing was. */
  function chosen() {
    return window.cuepost.consent() || {};
  }

  function isAnswered() {
    const choice = chosen();
    return config.purposes.every((purpose) => purpose.key in choice);
  }

  /** What follows from the browser's own signal, whatever is clicked. */
  function withSignal(choice) {
    if (hasSignal && SALE in choice) choice[SALE] = false;
    return choice;
  }

  function build() {
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    const host = make("div");
    root = host.attachShadow({mode: "open"});
    root.adoptedStyleSheets = [style];

    const boxes = config.purposes.map((purpose) => {
      const isFixed = hasSignal && purpose.key === SALE;
      const box = make("input", {type: "checkbox", name: purpose.key, disabled: isFixed});
      const told = [make("strong", {textContent: purpose.name})];
      if (purpose.text) told.push(make("br"), purpose.text);
      return {box, label: make("label", {}, [box, make("span", {}, told)])};
    });
    const answer = (text, act, className) => {
      const button = make("button", {type: "button", textContent: text, className: className || ""});
      button.addEventListener("click", act);
      return button;
    };
    const all = (value) => withSignal(
      Object.fromEntries(config.purposes.map((purpose) => [purpose.key, value])),
    );
    const ticked = () => withSignal(
      Object.fromEntries(boxes.map(({box}) => [box.name, box.checked])),
    );
    parts = {
      boxes: boxes.map(({box}) => box),
      choices: make("fieldset", {hidden: true}, [
        make("legend", {textContent: TEXTS.legend}),
        ...boxes.map(({label}) => label),
      ]),
      save: answer(TEXTS.save, () => settle(ticked(), "custom"), "wide"),
      choose: answer(TEXTS.choose, unfold, "wide quiet"),
    };
    parts.save.hidden = true;
    parts.choose.setAttribute("aria-expanded", "false");
    const text = make("p", {textContent: config.text + " "});
    if (config.policyUrl) {
      text.append(make("a", {href: config.policyUrl, textContent: TEXTS.policy}));
    }
    const signal = make("p", {className: "signal", textContent: TEXTS.signal});
    signal.hidden = !hasSignal;
    parts.banner = make("section", {className: "banner", tabIndex: -1, hidden: true}, [
      make("h2", {id: "title", textContent: config.title}),
      text,
      signal,
      parts.choices,
      make("div", {className: "buttons"}, [
        answer(TEXTS.reject, () => settle(all(false), "reject_all")),
        answer(TEXTS.accept, () => settle(all(true), "accept_all")),
        parts.save,
        parts.choose,
      ]),
    ]);
    parts.banner.setAttribute("aria-labelledby", "title");
    parts.banner.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && isAnswered()) close();
    });
    parts.reopen = answer(TEXTS.reopen, open, "reopen");
    parts.reopen.hidden = true;
    root.append(parts.banner, parts.reopen);
    // First of all, so that the keyboard comes to it first.
    document.body.prepend(host);
  }

  function unfold() {
    parts.choices.hidden = parts.save.hidden = false;
    parts.choose.hidden = true;
    parts.choose.setAttribute("aria-expanded", "true");
    const first = parts.boxes.find((box) => !box.disabled);
    if (first) first.focus();
  }

  function open(event) {
    if (!config) return;
    opener = event && event.currentTarget;
    const choice = chosen();
    parts.boxes.forEach((box) => {
      box.checked = choice[box.name] === true && !box.disabled;
    });
    parts.banner.hidden = false;
    parts.reopen.hidden = true;
    if (isAnswered()) unfold();
    if (opener) parts.banner.focus();
  }

  function close() {
    parts.banner.hidden = true;
    parts.reopen.hidden = document.querySelector("[data-cuepost-choices]") !== null;
    const target = opener === parts.reopen || !opener ? parts.reopen : opener;
    if (opener && !target.hidden) target.focus();
    opener = null;
  }

  function settle(choice, action) {
    // A "no" makes the tracker forget the visitor's ID; what it was belongs to the proof.
    const before = window.cuepost.anonymousId();
    window.cuepost.consent(choice, {method: "banner", wordingVersion: config.wording});
    report(choice, action, window.cuepost.anonymousId() || before);
    close();
  }

  function report(choice, action, anonymousId) {
    const told = {choice, action, anonymousId, gpc: hasSignal, wording: config.wording};
    fetch(address + "/answers", {
      method: "POST",
      // Plain text and no credentials: no preflight, no cookies.
      headers: {"Content-Type": "text/plain"},
      body: JSON.stringify(Object.assign(told, {url: location.href.split(/[?#]/)[0]})),
      credentials: "omit",
      keepalive: true,
    }).catch(() => {
      // The choice holds all the same.
    });
  }

  async function start() {
    try {
      const response = await fetch(address, {credentials: "omit"});
      if (!response.ok) return;
      config = await response.json();
      if (!config.purposes.length) return (config = null);
      build();
    } catch (problem) {
      // Without an answer nobody has allowed anything.
      return console.error("cuepost: the banner could not be loaded.", problem);
    }
    document.addEventListener("click", (event) => {
      const link = event.target.closest && event.target.closest("[data-cuepost-choices]");
      if (!link) return;
      event.preventDefault();
      open({currentTarget: link});
    });
    if (isAnswered()) close();
    else open();
  }

  window.cuepostBanner = {open: () => open({currentTarget: document.activeElement})};
  if (window.cuepost && window.cuepost.loaded) start();
  else addEventListener("load", () => window.cuepost && window.cuepost.loaded && start());
})();
