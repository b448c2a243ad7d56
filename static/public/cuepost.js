/*
 * cuepost.js: tells your Cuepost what visitors do, once they have agreed to it.
 *
 *   <script src="https://cuepost.example/js/cuepost.js" data-write-key="pk_..." defer></script>
 *
 *   cuepost.page("Pricing");
 *   cuepost.track("Product Added", {product_id: "A-1", name: "Mug", price: 24, quantity: 1});
 *   cuepost.identify("customer-7", {email: "ada@example.com"});
 *   cuepost.consent({tracking: true});   // what your banner calls; cuepost.consent() reads it
 *   cuepost.reset();                     // at log-out
 *
 * To call it before it has loaded, put this first. Calls wait in the array until the script is there:
 *
 *   <script>
 *     window.cuepost = window.cuepost || [];
 *     ["page", "track", "identify", "alias", "reset", "consent"].forEach(function (name) {
 *       cuepost[name] = cuepost[name] || function () {
 *         cuepost.push([name].concat([].slice.call(arguments)));
 *       };
 *     });
 *   </script>
 *
 * Attributes of the script element:
 *   data-write-key   the public key of your source
 *   data-consent     "required" (default): nothing is stored or sent before consent({tracking: true});
 *                    "implied": tracking goes on until consent({tracking: false})
 *   data-auto-page   "true" (default) reports a page view at load
 *   data-host        where to send, if not to the host of this script
 *
 * What it stores: the choice itself, without an identifier, in the cookie `cuepost_consent`; and only
 * once tracking is allowed, a random visitor ID in the cookie `cuepost_anonymous_id` and this visit's
 * campaign, user ID and unsent events in sessionStorage.
 */
(() => {
  "use strict";

  const LIBRARY = {name: "cuepost.js", version: "1.0.0"};
  const DAY = 86400;
  const CONSENT_COOKIE = "cuepost_consent";
  const CONSENT_AGE = 182 * DAY;
  const ID_COOKIE = "cuepost_anonymous_id";
  const ID_AGE = 395 * DAY; // 13 months from the first visit; never prolonged.
  const STORE = "cuepost";
  const QUEUE_LIMIT = 100;
  const EVENT_BYTES = 32000; // The server refuses larger ones.
  const REQUEST_BYTES = 50000; // Browsers allow 64 KB for requests that outlive the page.
  const RETRY_FIRST = 1000;
  const RETRY_LAST = 60000;
  const SHORT_PATHS = {page: "p", track: "t", identify: "i", alias: "a"};
  const UTM = ["source", "medium", "term", "content"];

  const early = window.cuepost || [];
  const own = document.currentScript;
  const isMarked = own && own.dataset.writeKey;
  const script = isMarked ? own : document.querySelector("script[data-write-key]");
  if (early.loaded) return;
  if (!script) return console.error("cuepost: its script element needs data-write-key.");
  const options = script.dataset;
  const endpoint = options.host
    ? options.host.replace(/\/+$/, "") + "/v1/"
    : new URL("../v1/", script.src).href;

  // ---- Cookies -------------------------------------------------------------------------------

  function readCookie(name) {
    const found = document.cookie.split("; ").find((pair) => pair.startsWith(name + "="));
    return found ? found.slice(name.length + 1) : "";
  }

  function writeCookie(name, value, age) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${value}; Max-Age=${age}; Path=/; SameSite=Lax${secure}`;
  }

  // ---- Consent -------------------------------------------------------------------------------

  let shownChoice = null; // Where the browser keeps no cookies, the choice holds for this page.

  /** The visitor's choice, such as {tracking: true}; null before there is one. */
  function readChoice() {
    const text = readCookie(CONSENT_COOKIE);
    if (!text) return shownChoice;
    const choice = {};
    text.split(".").forEach((part) => {
      const [category, answer] = part.split(":");
      choice[category] = answer === "1";
    });
    return choice;
  }

  // Asked anew each time: another tab may have changed the answer.
  function mayTrack() {
    const choice = readChoice();
    return choice && "tracking" in choice ? choice.tracking : options.consent === "implied";
  }

  function isRefused() {
    const choice = readChoice();
    return Boolean(choice) && choice.tracking === false;
  }

  function consent(change) {
    if (!change) return readChoice();
    const couldTrack = mayTrack();
    const before = readChoice() || {};
    const choice = Object.assign({}, before);
    Object.keys(change).forEach((category) => {
      if (/^\w+$/.test(category)) choice[category] = Boolean(change[category]);
    });
    // A new "no" is told while the visitor can still be named; a "yes" goes with the next event.
    const isNo = Object.keys(choice).some((name) => !choice[name] && before[name] !== false);
    if (couldTrack && isNo && (readCookie(ID_COOKIE) || visitorId)) tellChoice(choice);
    shownChoice = choice;
    const text = Object.keys(choice).map((category) => `${category}:${choice[category] ? 1 : 0}`);
    writeCookie(CONSENT_COOKIE, text.join("."), CONSENT_AGE);
    if (isRefused()) forget();
    else if (mayTrack()) release();
    return choice;
  }

  function tellChoice(choice) {
    const message = build("track", {event: "Consent Preference Updated", properties: {}});
    message.context.consent = {categoryPreferences: choice};
    tellNow(address(message), RETRY_FIRST);
  }

  /** Past the queue, whatever waits there. What fails is queued, after a "no" in memory alone. */
  async function tellNow(message, pause) {
    if (await isSettled(post([message]))) return;
    if (mayTrack()) append([message]);
    else setTimeout(tellNow, pause, message, Math.min(RETRY_LAST, pause * 2));
  }

  /** Drop whatever could name the visitor. */
  function forget() {
    held = [];
    queue = [];
    campaign = {};
    userId = visitorId = null;
    if (readCookie(ID_COOKIE)) writeCookie(ID_COOKIE, "", 0);
    try {
      sessionStorage.removeItem(STORE);
    } catch (blocked) {
      // Storage that can't be reached holds nothing.
    }
  }

  // ---- Who, and from where -------------------------------------------------------------------

  let visitorId = null;
  let userId = null;
  let campaign = readCampaign();

  function uuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  /** The visitor's random ID, made at first use; null while tracking is not allowed. */
  function anonymousId() {
    if (!mayTrack()) return null;
    const kept = readCookie(ID_COOKIE);
    if (/^[0-9a-f-]{36}$/.test(kept)) return (visitorId = kept);
    if (!visitorId) visitorId = uuid();
    writeCookie(ID_COOKIE, visitorId, ID_AGE);
    return visitorId;
  }

  function readCampaign() {
    const query = new URLSearchParams(location.search);
    const found = {};
    if (query.get("utm_campaign")) found.name = query.get("utm_campaign");
    UTM.forEach((part) => {
      if (query.get("utm_" + part)) found[part] = query.get("utm_" + part);
    });
    return found;
  }

  // ---- What happened -------------------------------------------------------------------------

  function pageFacts() {
    return {
      path: location.pathname,
      referrer: document.referrer,
      search: location.search,
      title: document.title,
      url: location.href.split("#")[0],
    };
  }

  function build(type, fields, extra) {
    const context = {
      page: pageFacts(),
      library: LIBRARY,
      locale: navigator.language,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
    if (navigator.globalPrivacyControl) context.gpc = true;
    const message = {
      type,
      messageId: (extra && extra.messageId) || "cuepost-js-" + uuid(),
      timestamp: new Date().toISOString(),
      context,
    };
    return Object.assign(message, fields);
  }

  /** Add what may only be known after consent: who it is, the campaign, and the consent itself. */
  function address(message) {
    const choice = readChoice();
    const stated = choice ? {consent: {categoryPreferences: choice}} : {};
    const context = Object.assign(stated, message.context);
    if (Object.keys(campaign).length) context.campaign = campaign;
    const who = {anonymousId: anonymousId(), userId: message.userId || userId || undefined};
    if (message.type === "alias") who.previousId = message.previousId || who.anonymousId;
    return Object.assign({}, message, who, {context});
  }

  function report(type, fields, extra) {
    const message = build(type, fields, extra);
    if (mayTrack()) enqueue([message]);
    else if (!isRefused()) held = held.concat(message).slice(-QUEUE_LIMIT);
  }

  function page(name, properties, extra) {
    if (name && typeof name === "object") return page(undefined, name, properties);
    const facts = Object.assign(pageFacts(), properties);
    report("page", name ? {name, properties: facts} : {properties: facts}, extra);
  }

  function track(event, properties, extra) {
    report("track", {event, properties: properties || {}}, extra);
  }

  function identify(id, traits, extra) {
    if (id && typeof id === "object") return identify(undefined, id, traits);
    if (id) setUser(String(id));
    report("identify", {userId: id ? String(id) : undefined, traits: traits || {}}, extra);
  }

  function alias(id, previousId, extra) {
    setUser(String(id));
    report("alias", {userId: String(id), previousId}, extra);
  }

  function setUser(id) {
    if (isRefused()) return;
    userId = id;
    save();
  }

  /** Forget who this is, but not what they chose: for log-outs. */
  function reset() {
    userId = visitorId = null;
    if (readCookie(ID_COOKIE)) writeCookie(ID_COOKIE, "", 0);
    save();
  }

  // ---- The queue -----------------------------------------------------------------------------

  let held = []; // Before the choice: in memory only.
  let queue = []; // After consent: kept for this tab until the server has answered.
  let sending = 0; // How many at the head of the queue are under way.
  let failures = 0;
  let timer = 0;

  function save() {
    if (!mayTrack()) return;
    try {
      sessionStorage.setItem(STORE, JSON.stringify({campaign, userId, queue}));
    } catch (full) {
      // Without storage the queue lives as long as the page.
    }
  }

  /** Take up what earlier pages of this visit have left. */
  function restore() {
    if (!mayTrack()) return;
    try {
      const kept = JSON.parse(sessionStorage.getItem(STORE)) || {};
      if (!Object.keys(campaign).length) campaign = kept.campaign || {};
      userId = userId || kept.userId || null;
      const ids = queue.map((message) => message.messageId);
      const missing = (kept.queue || []).filter((message) => !ids.includes(message.messageId));
      queue = missing.concat(queue).slice(-QUEUE_LIMIT);
    } catch (unreadable) {
      // Then there is nothing to take up.
    }
    save();
  }

  function release() {
    const waiting = held;
    held = [];
    restore();
    enqueue(waiting);
  }

  function enqueue(messages) {
    append(messages.map(address).filter(isSendable));
  }

  function append(addressed) {
    const room = QUEUE_LIMIT - sending - addressed.length;
    const rest = queue.slice(sending);
    // When it is full, the oldest that are not under way give place.
    queue = queue.slice(0, sending).concat(rest.slice(Math.max(0, rest.length - room)), addressed);
    save();
    // Calls made in one go leave as one request.
    if (!timer) timer = setTimeout(flush, 0);
  }

  function isSendable(message) {
    try {
      if (measure(message) <= EVENT_BYTES) return true;
      console.warn("cuepost: an event over 32 KB was left out.");
    } catch (problem) {
      console.warn("cuepost: an event that is not JSON was left out.", problem);
    }
    return false;
  }

  function measure(message) {
    return new Blob([JSON.stringify(message)]).size;
  }

  function nextRequest(from) {
    let bytes = 0;
    const rest = queue.slice(from);
    const end = rest.findIndex((message) => {
      bytes += measure(message);
      return bytes > REQUEST_BYTES;
    });
    return end < 0 ? rest : rest.slice(0, Math.max(1, end));
  }

  function encode(messages) {
    const envelope = {sentAt: new Date().toISOString(), writeKey: options.writeKey};
    const single = messages.length === 1;
    const body = Object.assign({}, single ? messages[0] : {batch: messages}, envelope);
    const url = endpoint + (single ? SHORT_PATHS[messages[0].type] : "b");
    return {url, body: JSON.stringify(body)};
  }

  function post(messages) {
    const {url, body} = encode(messages);
    // Plain text and no credentials: the browser needs no preflight and sends no cookies.
    const headers = {"Content-Type": "text/plain"};
    return fetch(url, {method: "POST", body, headers, credentials: "omit", keepalive: true});
  }

  /** Whether it need not be sent again: a refusal stays a refusal, "not now" doesn't. */
  async function isSettled(request) {
    try {
      const {status} = await request;
      return status < 500 && status !== 429 && status !== 408;
    } catch (offline) {
      return false;
    }
  }

  async function flush() {
    clearTimeout(timer);
    timer = 0;
    if (isRefused()) forget(); // In another tab.
    if (sending || !queue.length || !mayTrack()) return;
    const messages = nextRequest(0);
    sending = messages.length;
    const isDone = await isSettled(post(messages));
    sending = 0;
    if (isDone) {
      queue = queue.filter((message) => !messages.includes(message));
      failures = 0;
      save();
      if (queue.length) flush();
    } else if (!timer) {
      failures += 1;
      const pause = Math.min(RETRY_LAST, RETRY_FIRST * 2 ** (failures - 1));
      timer = setTimeout(flush, pause * (0.8 + 0.4 * Math.random()));
    }
  }

  /** The page goes away: hand the browser what is not under way yet. The server knows repeats. */
  function leave() {
    if (!mayTrack() || !navigator.sendBeacon) return;
    const messages = nextRequest(sending);
    if (!messages.length) return;
    const {url, body} = encode(messages);
    navigator.sendBeacon(url, new Blob([body], {type: "text/plain"}));
  }

  // ---- Start ---------------------------------------------------------------------------------

  const methods = {page, track, identify, alias, reset, consent, anonymousId};
  const cuepost = {loaded: true, push: (call) => cuepost[call[0]](...call.slice(1))};
  Object.keys(methods).forEach((name) => {
    // Whatever goes wrong in here must not stop the page it reports on.
    cuepost[name] = (...values) => {
      try {
        return methods[name](...values);
      } catch (problem) {
        console.error(`cuepost: ${name}() failed.`, problem);
      }
    };
  });
  window.cuepost = cuepost;

  restore();
  if (isRefused()) forget();
  if (options.autoPage !== "false") cuepost.page();
  Array.from(early).forEach(cuepost.push);
  if (queue.length && !timer) timer = setTimeout(flush, 0);

  addEventListener("pagehide", leave);
  addEventListener("pageshow", flush);
  addEventListener("online", flush);
})();
