/*
 * cuepost.js: tells your Cuepost what visitors do, once they have agreed to it.
 *
 *   <script src="https://cuepost.example/js/cuepost.js" data-write-key="pk_..." defer></script>
 *
 *   cuepost.page("Pricing");
 *   cuepost.track("Newsletter Read", {issue: 12});
 *   cuepost.product.viewed({product_id: "A-1", name: "Mug", price: 24, currency: "EUR"});
 *   cuepost.cart.added({product_id: "A-1", name: "Mug", price: 24, quantity: 1, cart_id: "c-7"});
 *   cuepost.order.completed({order_id: "o-1", total: 24, currency: "EUR", products: [...]});
 *   cuepost.identify("customer-7", {email: "ada@example.com"}, {signature: "..."});
 *   cuepost.consent({tracking: true});   // what your banner calls; cuepost.consent() reads it
 *   cuepost.reset();                     // at log-out
 *
 * docs/snippet.md lists the attributes of the script element and shows the loader that keeps what
 * is called before the script is there.
 *
 * What it stores: the choice itself, without an identifier, in the cookie `cuepost_consent`; and
 * only once tracking is allowed, a random visitor ID in the cookie `cuepost_anonymous_id`, this
 * visit's campaign and user ID in sessionStorage, and unsent events in localStorage.
 *
 * Browsers are served cuepost.min.js; `make snippet` makes it from this.
 */
(() => {
  "use strict";

  const LIBRARY = {name: "cuepost.js", version: "2.0.0"};
  const DAY = 86400;
  const CONSENT_COOKIE = "cuepost_consent";
  const CONSENT_AGE = 182 * DAY;
  const ID_COOKIE = "cuepost_anonymous_id";
  // 13 months from the first visit; never prolonged.
  const ID_DAYS = 395;
  const VISIT = "cuepost";
  const QUEUE = "cuepost_queue";
  const QUEUE_LIMIT = 100;
  // The server knows repeats for 45 days.
  const QUEUE_AGE = 30 * DAY * 1000;
  // The server refuses larger ones.
  const EVENT_BYTES = 32000;
  // Browsers allow 64 KB for requests that outlive the page.
  const REQUEST_BYTES = 50000;
  const RETRY_FIRST = 1000;
  const RETRY_LAST = 60000;
  // Whoever does nothing for so long is taken to have looked away.
  const IDLE = 30000;
  const SIGNS_OF_LIFE = ["pointerdown", "pointermove", "keydown", "scroll", "wheel", "touchstart"];
  const ENGAGED = "Page Engaged";
  const SALE = "sale_or_sharing";
  const SHORT_PATHS = {page: "p", track: "t", identify: "i", alias: "a"};
  const UTM = ["source", "medium", "term", "content"];
  const CLICK_TOKENS = ["gclid", "gbraid", "wbraid", "dclid", "fbclid", "msclkid", "ttclid"];

  // Segment's e-commerce events, by what a page calls.
  const SHORTHANDS = {
    "product.listed": "Product List Viewed",
    "product.searched": "Products Searched",
    "product.clicked": "Product Clicked",
    "product.viewed": "Product Viewed",
    "cart.added": "Product Added",
    "cart.removed": "Product Removed",
    "cart.viewed": "Cart Viewed",
    "wishlist.added": "Product Added to Wishlist",
    "wishlist.removed": "Product Removed from Wishlist",
    "checkout.started": "Checkout Started",
    "checkout.paymentEntered": "Payment Info Entered",
    "order.completed": "Order Completed",
    "order.updated": "Order Updated",
    "order.cancelled": "Order Cancelled",
    "order.refunded": "Order Refunded",
  };

  // The same by their names in Google Analytics 4: about one product, or about several.
  const GA4_PRODUCT = {
    select_item: "product.clicked",
    view_item: "product.viewed",
    add_to_cart: "cart.added",
    remove_from_cart: "cart.removed",
    add_to_wishlist: "wishlist.added",
  };
  const GA4_PRODUCTS = {
    view_item_list: "product.listed",
    view_cart: "cart.viewed",
    begin_checkout: "checkout.started",
    add_payment_info: "checkout.paymentEntered",
    purchase: "order.completed",
    refund: "order.refunded",
  };
  const GA4_ITEM = {
    item_id: "product_id",
    item_name: "name",
    item_brand: "brand",
    item_category: "category",
    item_variant: "variant",
    index: "position",
  };
  const GA4_EVENT = {
    transaction_id: "order_id",
    item_list_id: "list_id",
    item_list_name: "category",
    payment_type: "payment_method",
  };

  // Google's consent signals, and the purpose that each follows.
  const SIGNALS = {
    analytics_storage: "tracking",
    personalization_storage: "personalisation",
    ad_storage: SALE,
    ad_user_data: SALE,
    ad_personalization: SALE,
  };
  // The IAB's purposes that have to be allowed, all of them, for one of ours.
  const TCF = "tracking:1+8 personalisation:5+6 sale_or_sharing:3+4";

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
  const hasSignal = navigator.globalPrivacyControl === true;

  function isOn(option) {
    return options[option] !== "false";
  }

  /** Whatever goes wrong in here must not stop the page it reports on. */
  function guarded(name, act) {
    return (...values) => {
      try {
        return act(...values);
      } catch (problem) {
        console.error(`cuepost: ${name} failed.`, problem);
      }
    };
  }

  // ---- Cookies and storage -------------------------------------------------------------------

  function readCookie(name) {
    const found = document.cookie.split("; ").find((pair) => pair.startsWith(name + "="));
    return found ? found.slice(name.length + 1) : "";
  }

  function writeCookie(name, value, age) {
    const domain = options.cookieDomain ? "; Domain=" + options.cookieDomain : "";
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${value}; Max-Age=${age}; Path=/; SameSite=Lax${domain}${secure}`;
  }

  function dropId() {
    userId = visitorId = null;
    if (!readCookie(ID_COOKIE)) return;
    writeCookie(ID_COOKIE, "", 0);
    // Also one from before there was a domain.
    document.cookie = `${ID_COOKIE}=; Max-Age=0; Path=/`;
  }

  /** Storage may be blocked, full or unreadable; then nothing outlives the page. */
  function attempt(act) {
    try {
      return act();
    } catch (problem) {
      return null;
    }
  }

  // ---- Consent -------------------------------------------------------------------------------

  // Where the browser keeps no cookies, the choice holds for this page.
  let shownChoice = null;
  // How the choice was made, for the next event.
  let proof = null;
  // Whether Google's default says no, until there is a choice.
  let isDenied = false;

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
    // A page that the browser prepares has no visitor yet.
    if (document.prerendering) return false;
    const choice = readChoice();
    if (choice && "tracking" in choice) return choice.tracking;
    return options.consent === "implied" && !isDenied;
  }

  function isRefused() {
    const choice = readChoice();
    return Boolean(choice) && choice.tracking === false;
  }

  function consent(change, details) {
    if (!change) return readChoice();
    const couldTrack = mayTrack();
    const before = readChoice() || {};
    const choice = Object.assign({}, before);
    Object.keys(change).forEach((category) => {
      if (/^\w+$/.test(category)) choice[category] = Boolean(change[category]);
    });
    // The browser's own signal stands, whatever is clicked.
    if (hasSignal && choice[SALE]) choice[SALE] = false;
    proof = details || null;
    const isOurs = !details || details.method !== "cmp";
    // A new "no" is told while the visitor can still be named; a "yes" goes with the next event.
    const isNo = Object.keys(choice).some((name) => !choice[name] && before[name] !== false);
    if (couldTrack && isNo && (readCookie(ID_COOKIE) || visitorId)) tellChoice(choice);
    shownChoice = choice;
    const text = Object.keys(choice).map((category) => `${category}:${choice[category] ? 1 : 0}`);
    writeCookie(CONSENT_COOKIE, text.join("."), CONSENT_AGE);
    if (isRefused()) forget();
    else if (mayTrack()) release();
    // What another system says, Google's tags hear from there.
    if (isOurs) tellGoogle(choice);
    return choice;
  }

  function tellChoice(choice) {
    const message = build("track", {event: "Consent Preference Updated", properties: {}});
    tellNow(address(message, choice), RETRY_FIRST);
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
    visit = {};
    dropId();
    attempt(() => sessionStorage.removeItem(VISIT));
    attempt(() => localStorage.removeItem(QUEUE));
  }

  // ---- Other consent systems -----------------------------------------------------------------

  let isTelling = false;

  function tellGoogle(choice) {
    if (!choice || !options.consentMode) return;
    const update = {};
    Object.keys(SIGNALS).forEach((signal) => {
      const purpose = SIGNALS[signal];
      const isForbidden = hasSignal && purpose === SALE;
      if (purpose in choice || isForbidden) {
        update[signal] = choice[purpose] && !isForbidden ? "granted" : "denied";
      }
    });
    isTelling = true;
    // Google's tags take the arguments of a function, not an array.
    (function () {
      dataLayer().push(arguments);
    })("consent", "update", update);
    isTelling = false;
  }

  /** A default is the site's and not the visitor's: it may hold tracking back, never allow it. */
  function hearGoogle(command, signals) {
    if (isTelling || !signals) return;
    if (command === "default") {
      if (signals.analytics_storage === "denied" && !signals.region) isDenied = true;
      return;
    }
    const change = {};
    Object.values(SIGNALS).forEach((purpose) => {
      const names = Object.keys(SIGNALS).filter((signal) => SIGNALS[signal] === purpose);
      const answers = names.map((signal) => signals[signal]);
      if (answers.includes("denied")) change[purpose] = false;
      else if (answers.every((answer) => answer === "granted")) change[purpose] = true;
    });
    if (command === "update" && Object.keys(change).length) hear(change, {method: "cmp"});
  }

  /** What another system says again and again is news only once. */
  function hear(change, details) {
    const known = readChoice() || {};
    if (Object.keys(change).some((purpose) => known[purpose] !== change[purpose])) {
      consent(change, details);
    } else {
      proof = details;
    }
  }

  function hearTcf(data, isFine) {
    const isDecided = ["tcloaded", "useractioncomplete"].includes(isFine && data.eventStatus);
    if (!isDecided || data.gdprApplies === false) return;
    const change = {};
    (options.tcf || TCF).split(" ").forEach((rule) => {
      const [purpose, numbers] = rule.split(":");
      const given = (data.purpose || {}).consents || {};
      change[purpose] = numbers.split("+").every((number) => given[number] === true);
    });
    hear(change, {method: "cmp", tcString: data.tcString});
  }

  /** Whether a consent platform of the IAB's kind is there, and heard from now on. */
  function watchTcf() {
    const isThere = typeof window.__tcfapi === "function";
    if (isThere) window.__tcfapi("addEventListener", 2, guarded("__tcfapi", hearTcf));
    return isThere;
  }

  // ---- Who, and from where -------------------------------------------------------------------

  let visitorId = null;
  let userId = null;
  let visit = readVisit();

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
    writeCookie(ID_COOKIE, visitorId, (Number(options.cookieDays) || ID_DAYS) * DAY);
    return visitorId;
  }

  /** The campaign that led here, and the tokens by which advertisers know the click. */
  function readVisit() {
    const query = new URLSearchParams(location.search);
    const campaign = {};
    const clicks = {};
    if (query.get("utm_campaign")) campaign.name = query.get("utm_campaign");
    UTM.forEach((part) => {
      if (query.get("utm_" + part)) campaign[part] = query.get("utm_" + part);
    });
    CLICK_TOKENS.forEach((token) => {
      if (query.get(token)) clicks[token] = query.get(token);
    });
    return {campaign, clicks};
  }

  function readCampaign(choice) {
    const maySell = !hasSignal && !(choice && choice[SALE] === false);
    return Object.assign({}, visit.campaign, maySell && visit.clicks);
  }

  // ---- What happened -------------------------------------------------------------------------

  let previous = document.referrer;

  /** An address without the tokens of advertisers, which go with the campaign where they may. */
  function clean(address) {
    const url = new URL(address);
    url.hash = "";
    CLICK_TOKENS.forEach((token) => {
      if (url.searchParams.has(token)) url.searchParams.delete(token);
    });
    return url;
  }

  function pageFacts() {
    const url = clean(location.href);
    return {
      path: url.pathname,
      referrer: previous && clean(previous).href,
      search: url.search,
      title: document.title,
      url: url.href,
    };
  }

  function build(type, fields, extra) {
    const {messageId, page, signature} = extra || {};
    const context = {
      page: page || pageFacts(),
      library: LIBRARY,
      locale: navigator.language,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
    if (signature) context.cuepost = {identitySignature: signature};
    const message = {
      type,
      messageId: messageId || "cuepost-js-" + uuid(),
      timestamp: new Date().toISOString(),
      context,
    };
    return Object.assign(message, fields);
  }

  /** Add what may only be known after consent: who it is, the campaign, and the consent itself. */
  function address(message, choice = readChoice()) {
    const campaign = readCampaign(choice);
    const stated = Object.assign({}, proof, hasSignal && {gpc: true});
    if (choice) stated.categoryPreferences = choice;
    proof = null;
    const context = Object.assign({}, message.context);
    if (Object.keys(stated).length) context.consent = stated;
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
    dropId();
    save();
  }

  // ---- Time on page --------------------------------------------------------------------------

  let looked = pageFacts();
  let engaged = 0;
  let activeAt = null;

  /** Count the time since the last sign of life, if it is not too long ago. */
  function stir() {
    const now = performance.now();
    if (activeAt !== null) engaged += Math.min(now - activeAt, IDLE);
    activeAt = document.hidden ? null : now;
  }

  /** Tell what came together; whoever comes back to the page adds another event. */
  function tellEngaged() {
    stir();
    activeAt = null;
    const seconds = Math.round(engaged / 1000);
    if (!seconds || !isOn("engagement")) return;
    engaged = 0;
    track(ENGAGED, {engaged_seconds: seconds, path: looked.path}, {page: looked});
  }

  // ---- Pages that load no new document -------------------------------------------------------

  let seen = location.pathname + location.search;

  /** Later, since the title follows the address. */
  function move() {
    setTimeout(() => {
      const now = location.pathname + location.search;
      if (now === seen) return;
      seen = now;
      tellEngaged();
      stir();
      previous = looked.url;
      looked = pageFacts();
      if (isOn("autoPage")) cuepost.page();
    });
  }

  function watchHistory(name) {
    const original = history[name];
    history[name] = function () {
      const result = original.apply(this, arguments);
      move();
      return result;
    };
  }

  // ---- Google's data layer -------------------------------------------------------------------

  function dataLayer() {
    const name = options.layer || "dataLayer";
    return (window[name] = window[name] || []);
  }

  /** Hear what is pushed from now on; return what was there already. */
  function watchLayer() {
    const layer = dataLayer();
    const original = layer.push;
    layer.push = function () {
      const result = original.apply(this, arguments);
      Array.from(arguments).forEach(hearEntry);
      Array.from(arguments).forEach(takeEntry);
      return result;
    };
    return Array.from(layer);
  }

  const hearEntry = guarded("consent mode", (entry) => {
    if (options.consentMode && entry && entry[0] === "consent") hearGoogle(entry[1], entry[2]);
  });

  const takeEntry = guarded("data layer", (entry) => {
    if (!options.layer || !entry) return;
    const told = entry[0] === "event" ? [entry[1], entry[2]] : [entry.event, entry.ecommerce];
    if (told[1]) takeCommerce(...told);
  });

  function takeCommerce(name, told) {
    const products = (told.items || []).map((item) => rename(item, GA4_ITEM));
    if (GA4_PRODUCT[name]) {
      const event = SHORTHANDS[GA4_PRODUCT[name]];
      const {currency} = told;
      products.forEach((item) => track(event, Object.assign(currency ? {currency} : {}, item)));
    } else if (GA4_PRODUCTS[name]) {
      const properties = Object.assign(rename(told, GA4_EVENT), {products});
      delete properties.items;
      if (told.transaction_id && "value" in told) properties.total = told.value;
      track(SHORTHANDS[GA4_PRODUCTS[name]], properties);
    }
  }

  function rename(fields, names) {
    const renamed = {};
    Object.keys(fields).forEach((name) => {
      renamed[names[name] || name] = fields[name];
    });
    return renamed;
  }

  // ---- The queue -----------------------------------------------------------------------------

  // Before the choice: in memory only.
  let held = [];
  // After consent: kept until the server has answered.
  let queue = [];
  // How many at the head of the queue are under way.
  let sending = 0;
  let failures = 0;
  let timer = 0;
  // A page that is closed is told of that twice.
  let isLeft = false;

  /** What is stored unsent and not known to this page: by other tabs, or by pages before. */
  function readStored(known) {
    const ids = known.map((message) => message.messageId);
    const oldest = Date.now() - QUEUE_AGE;
    const stored = attempt(() => JSON.parse(localStorage.getItem(QUEUE)).filter(
      ({messageId, timestamp}) => !ids.includes(messageId) && Date.parse(timestamp) > oldest,
    ));
    return stored || [];
  }

  function save(done = []) {
    if (!mayTrack()) return;
    attempt(() => sessionStorage.setItem(VISIT, JSON.stringify(Object.assign({userId}, visit))));
    const unsent = readStored(queue.concat(done)).concat(queue).slice(-QUEUE_LIMIT);
    attempt(() => {
      if (unsent.length) localStorage.setItem(QUEUE, JSON.stringify(unsent));
      else localStorage.removeItem(QUEUE);
    });
  }

  /** Take up what earlier pages have left. */
  function restore() {
    if (!mayTrack()) return;
    const kept = attempt(() => JSON.parse(sessionStorage.getItem(VISIT))) || {};
    const isLanding = Object.keys(Object.assign({}, visit.campaign, visit.clicks)).length;
    if (!isLanding) visit = {campaign: kept.campaign, clicks: kept.clicks};
    userId = userId || kept.userId || null;
    if (!sending) queue = readStored(queue).concat(queue).slice(-QUEUE_LIMIT);
    save();
  }

  function release() {
    const waiting = held;
    held = [];
    restore();
    enqueue(waiting);
  }

  function enqueue(messages) {
    append(messages.map((message) => address(message)).filter(isSendable));
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

  function drop(messages) {
    queue = queue.filter((message) => !messages.includes(message));
    save(messages);
  }

  async function flush() {
    clearTimeout(timer);
    timer = 0;
    // In another tab.
    if (isRefused()) forget();
    if (sending || !queue.length || !mayTrack()) return;
    const messages = nextRequest(0);
    sending = messages.length;
    const isDone = await isSettled(post(messages));
    sending = 0;
    if (isDone) {
      drop(messages);
      failures = 0;
      if (queue.length) flush();
    } else if (!timer) {
      failures += 1;
      const pause = Math.min(RETRY_LAST, RETRY_FIRST * 2 ** (failures - 1));
      timer = setTimeout(flush, pause * (0.8 + 0.4 * Math.random()));
    }
  }

  /**
   * The page goes away: hand the browser what is not under way yet. Nobody answers that, so the
   * next page repeats it, and the server knows repeats. Time on page alone is not worth it.
   */
  function leave() {
    if (isLeft) return;
    isLeft = true;
    tellEngaged();
    if (!mayTrack() || navigator.onLine === false || !navigator.sendBeacon) return;
    const messages = nextRequest(sending);
    if (!messages.length) return;
    const {url, body} = encode(messages);
    if (navigator.sendBeacon(url, new Blob([body], {type: "text/plain"}))) {
      drop(messages.filter((message) => message.event === ENGAGED));
    }
  }

  function come() {
    isLeft = false;
    stir();
    flush();
  }

  // ---- Start ---------------------------------------------------------------------------------

  /** Make a call that a loader has kept, such as ["cart.added", {...}]. */
  function call([name, ...values]) {
    const [first, second] = name.split(".");
    return second ? cuepost[first][second](...values) : cuepost[first](...values);
  }

  const cuepost = {loaded: true};
  const methods = {page, track, identify, alias, reset, consent, anonymousId, push: call};
  Object.keys(methods).forEach((name) => {
    cuepost[name] = guarded(name + "()", methods[name]);
  });
  Object.keys(SHORTHANDS).forEach((name) => {
    const [noun, verb] = name.split(".");
    cuepost[noun] = cuepost[noun] || {};
    cuepost[noun][verb] = (properties, extra) => cuepost.track(SHORTHANDS[name], properties, extra);
  });
  window.cuepost = cuepost;

  const entries = options.layer || options.consentMode ? watchLayer() : [];
  entries.forEach(hearEntry);
  restore();
  if (isRefused()) forget();
  tellGoogle(readChoice());
  if ("tcf" in options && !watchTcf()) addEventListener("load", watchTcf);
  if (isOn("autoPage")) cuepost.page();
  Array.from(early).forEach(cuepost.push);
  entries.forEach(takeEntry);
  if (queue.length && !timer) timer = setTimeout(flush, 0);

  if (isOn("engagement")) {
    stir();
    SIGNS_OF_LIFE.forEach((name) => addEventListener(name, stir, {capture: true, passive: true}));
  }
  if (isOn("engagement") || isOn("autoPage")) {
    ["pushState", "replaceState"].forEach(watchHistory);
    addEventListener("popstate", move);
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) leave();
    else come();
  });
  addEventListener("pagehide", leave);
  addEventListener("pageshow", come);
  addEventListener("online", flush);
  document.addEventListener("prerenderingchange", () => {
    if (mayTrack()) release();
  });
})();
