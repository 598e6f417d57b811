// Asks every two seconds while the page can be seen, and writes what changed. Text only ever becomes text.

import { draw, fill } from "./chart.js";

const EVERY_MS = 2000;
const LETTERS_EVERY = 5;
const at = (id) => document.getElementById(id);
const state = { paused: false, span: "minute", topic: null, before: null, rates: new Map(), overview: null, letters: null, seen: {}, round: 0, failed: 0 };

// --- small tools ---------------------------------------------------------------------------------

function h(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Keeps one element a key, in the order of the items, so that focus and open details stay. */
function sync(parent, items, key, create, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let node = known.get(name);
    if (node) known.delete(name);
    else { node = create(item); node.dataset.key = name; }
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of known.values()) node.remove();
}

function set(node, text, className) {
  if (node.textContent !== text) node.textContent = text;
  if (className !== undefined && node.className !== className) node.className = className;
}

const number = (value) => new Intl.NumberFormat().format(value);
const clock = (time, seconds = true) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined });

function span(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

function money(amount, currency, decimals) {
  if (!currency) return number(amount);
  const digits = decimals?.[currency] ?? 2;
  const form = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(currency === "INR" ? "en-IN" : undefined, form).format(amount / 10 ** digits);
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(15000) });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? body.title ?? `the console answered ${answer.status}`);
  return body;
}

const say = (text) => set(at("said"), text);

// --- at a glance ---------------------------------------------------------------------------------

function figures({ groups, sales }) {
  const lag = groups.reduce((sum, group) => sum + group.lag, 0);
  const letters = state.letters?.open ?? 0;
  const worst = groups.filter((group) => group.lag > 0).map((group) => group.group).join(", ");
  const list = [];
  if (sales) {
    const revenue = Object.entries(sales.revenue);
    const [main, ...others] = revenue.map(([code, amount]) => money(amount, code, sales.decimals));
    list.push(["Orders", number(sales.orders), `of ${number(sales.payments)} payments`]);
    list.push(["Revenue", main ?? "0", others.join(", ") || "of all time"]);
    list.push(["Mails sent", number(sales.mails.sent), sales.mails.awaited ? `${number(sales.mails.awaited)} awaited` : "none awaited", sales.mails.awaited ? "warn" : ""]);
    const { p50Ms, p95Ms } = sales.paymentToMail;
    if (p50Ms !== null) list.push(["Payment to mail", span(p50Ms / 1000), `95 % within ${span(p95Ms / 1000)}`]);
  }
  list.push(["Backlog", number(lag), worst || "every group is up to date", lag ? "warn" : ""]);
  list.push(["Dead letters", number(letters), letters ? "somebody should look" : "none", letters ? "bad" : ""]);
  sync(at("figures"), list, ([name]) => name,
    ([name]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("span"), h("small"))),
    (node, [, value, note, tone]) => {
      const dd = node.lastElementChild;
      // An amount is not to be broken between its digits.
      const look = [tone, value.length > 11 && "long"].filter(Boolean).join(" ");
      if (dd.className !== look) dd.className = look;
      set(dd.firstElementChild, value);
      set(dd.lastElementChild, note);
    });
}

function chart({ sales, noSales, now }) {
  at("no-sales").hidden = Boolean(sales);
  at("chart").hidden = !sales;
  if (!sales) return set(at("no-sales"), `No numbers: ${noSales ?? "analytics is silent"}.`);
  const minutes = state.span === "minute";
  const [main] = Object.entries(sales.revenue).sort((a, b) => b[1] - a[1])[0] ?? [];
  const step = minutes ? 60000 : 3600000;
  const points = fill(minutes ? sales.byMinute : sales.byHour, Date.parse(now), step, minutes ? 60 : 48, main);
  const drawn = JSON.stringify([points, state.span, at("chart").clientWidth]);
  if (drawn === state.seen.chart) return;
  state.seen.chart = drawn;
  draw(at("chart"), points, step, (amount) => money(amount, main, sales.decimals), (time) => clock(time, false));
}

// --- groups --------------------------------------------------------------------------------------

function rates(overview) {
  const now = Date.parse(overview.now), before = state.before;
  state.before = overview;
  if (!before || now === Date.parse(before.now)) return;
  const seconds = (now - Date.parse(before.now)) / 1000;
  for (const group of overview.groups) {
    const earlier = before.groups.find((other) => other.group === group.group);
    const next = (part) => part.committed ?? part.end - part.lag;
    let handled = 0, arrived = 0;
    for (const part of group.partitions) {
      const same = earlier?.partitions.find((other) => other.topic === part.topic && other.partition === part.partition);
      if (!same) continue;
      handled += Math.max(0, next(part) - next(same));
      arrived += Math.max(0, part.end - same.end);
    }
    // Offsets are stored once a second: one look alone would jump.
    const known = state.rates.get(group.group) ?? [];
    known.push({ handled, arrived, seconds });
    state.rates.set(group.group, known.slice(-5));
  }
}

function pace(group) {
  const known = state.rates.get(group.group);
  if (!known) return null;
  const sum = (name) => known.reduce((total, one) => total + one[name], 0);
  const seconds = sum("seconds");
  return { handled: sum("handled") / seconds, net: (sum("handled") - sum("arrived")) / seconds };
}

function groups(overview) {
  const most = Math.max(1, ...overview.groups.map((group) => group.lag));
  sync(at("groups"), overview.groups.flatMap((group) => [{ group }, { group, inner: true }]),
    ({ group, inner }) => group.group + (inner ? "/parts" : ""),
    ({ group, inner }) => inner ? innerRow() : groupRow(group),
    (node, { group, inner }) => inner ? partitions(node, group) : groupUpdate(node, group, most));
}

function meter() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "meter");
  svg.setAttribute("aria-hidden", "true");
  for (const width of ["100%", "0"]) {
    const rect = document.createElementNS(svg.namespaceURI, "rect");
    rect.setAttribute("width", width);
    rect.setAttribute("height", "8");
    rect.setAttribute("rx", "4");
    svg.append(rect);
  }
  return svg;
}

function groupRow(group) {
  const toggle = h("button", { type: "button", class: "open", "aria-expanded": "false", "aria-label": `Partitions of ${group.group}`,
    onclick: () => {
      const open = toggle.getAttribute("aria-expanded") !== "true";
      toggle.setAttribute("aria-expanded", open);
      set(toggle, open ? "−" : "+");
      toggle.closest("tr").nextElementSibling.hidden = !open;
    } }, "+");
  return h("tr", {}, h("th", { scope: "row" }, group.group), h("td", { class: "wide" }),
    h("td", { class: "number" }, h("span", { class: "lag" }, meter(), h("b"))),
    h("td", { class: "number wide" }), h("td", { class: "number" }), h("td", { class: "end" }, toggle));
}

function groupUpdate(row, group, most) {
  const [, members, lag, handled, drained] = row.children;
  const count = group.members.length;
  const said = count === 0 ? "nobody reads" : `${count} ${count === 1 ? "member" : "members"}, ${group.state.toLowerCase()}`;
  set(members, said, `wide ${count === 0 ? "bad" : group.state === "Stable" ? "good" : "warn"}`);
  lag.querySelector("rect + rect").setAttribute("width", `${group.lag / most * 100}%`);
  set(lag.querySelector("b"), number(group.lag), group.lag ? (count ? "warn" : "bad") : "");
  const speed = pace(group);
  set(handled, speed ? `${speed.handled.toFixed(1)}/s` : "");
  const never = speed && speed.net <= 0;
  set(drained, group.lag === 0 ? "–" : !speed ? "…" : never ? "not shrinking" : span(group.lag / speed.net), `number ${group.lag && never ? "bad" : ""}`);
}

function innerRow() {
  const head = ["Topic", "Partition", "Committed", "End", "Lag", "Read by"].map((name, index) =>
    h("th", { scope: "col", class: index > 0 && index < 5 ? "number" : null }, name));
  return h("tr", { class: "inner", hidden: true }, h("td", { colspan: 6 },
    h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody"))));
}

function partitions(row, group) {
  if (row.hidden) return;
  sync(row.querySelector("tbody"), group.partitions, (part) => `${part.topic}/${part.partition}`,
    (part) => h("tr", {}, h("td", {}, part.topic), h("td", { class: "number" }, part.partition),
      h("td", { class: "number" }), h("td", { class: "number" }), h("td", { class: "number" }), h("td")),
    (node, part) => {
      const [, , committed, end, lag, member] = node.children;
      set(committed, part.committed === null ? "–" : number(part.committed));
      set(end, number(part.end));
      set(lag, number(part.lag), `number ${part.lag ? "warn" : ""}`);
      const reader = group.members.find((one) => one.id === part.member);
      set(member, reader ? `${reader.client} ${reader.host.replace("/", "")}` : "nobody", reader ? "" : "bad");
    });
}

// --- topics and messages -------------------------------------------------------------------------

function topics({ topics, missing, brokers }) {
  set(at("brokers"), `on ${brokers.length === 1 ? "1 broker" : `${brokers.length} brokers`}`);
  const all = [...topics, ...missing.map((topic) => ({ topic, partitions: [], messages: 0, missing: true }))];
  sync(at("topics"), all, (topic) => topic.topic,
    (topic) => h("tr", {}, h("th", { scope: "row" }, topic.missing ? topic.topic :
      h("button", { type: "button", class: "link", onclick: () => choose(topic.topic, true) }, topic.topic)),
      h("td", { class: "number" }), h("td", { class: "number wide" }), h("td")),
    (row, topic) => {
      const [, messages, count, state] = row.children;
      const dead = topic.topic.endsWith(".dlq") && topic.messages > 0;
      set(messages, number(topic.messages), `number ${dead ? "warn" : ""}`);
      set(count, number(topic.partitions.length));
      const of = topic.partitions.length;
      if (topic.missing) set(state, "missing", "bad");
      else if (topic.offline) set(state, `${topic.offline} of ${of} without a leader`, "bad");
      else if (topic.underReplicated) set(state, `${topic.underReplicated} of ${of} under-replicated`, "warn");
      else set(state, "in step", "good");
    });
  sync(at("topic"), topics, (topic) => topic.topic, (topic) => h("option", { value: topic.topic }, topic.topic), () => {});
  if (state.topic === null && topics.length) choose(topics[0].topic, false);
}

function choose(topic, jump) {
  state.topic = topic;
  state.seen.messages = null;
  at("topic").value = topic;
  at("messages").replaceChildren();
  messages(state.overview);
  if (jump) {
    at("messages-title").scrollIntoView({ block: "start" });
    at("topic").focus({ preventScroll: true });
  }
}

async function messages(overview) {
  const topic = overview?.topics.find((one) => one.topic === state.topic);
  if (!topic) return;
  // Only when something came.
  const mark = `${topic.topic} ${topic.partitions.map((part) => `${part.start}-${part.end}`).join(" ")}`;
  if (mark === state.seen.messages) return;
  state.seen.messages = mark;
  try {
    const { messages } = await ask(`/api/topics/${encodeURIComponent(topic.topic)}/messages`);
    if (state.topic !== topic.topic) return;
    at("no-messages").hidden = messages.length > 0;
    sync(at("messages"), messages, (record) => `${record.partition}/${record.offset}`, message, () => {});
  } catch (error) {
    state.seen.messages = null;
    trouble(error);
  }
}

function message(record) {
  const details = h("details", {}, h("summary", {}, h("time", { datetime: record.happened }, record.happened ? clock(record.happened) : "?"),
    h("span", { class: "key" }, text(record.key) || "no key"), h("span", { class: "what" }, record.words)));
  details.addEventListener("toggle", () => details.append(whole(record)), { once: true });
  return h("li", {}, details);
}

const text = (content) => content === null ? "" : typeof content === "string" ? content : content.base64 !== undefined ? `base64:${content.base64}` : JSON.stringify(content);

/** A record as a whole: where it stands, its headers, its value. */
function whole(record) {
  const rows = [["place", `${record.topic}/${record.partition}/${record.offset}`], ["trace", record.traceId], ...Object.entries(record.headers)];
  const table = h("table", {}, h("tbody", {}, rows.filter(([, value]) => value).map(([name, value]) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, h("code", {}, text(value)))))));
  const value = typeof record.value === "object" && record.value !== null ? JSON.stringify(record.value, null, 2) : text(record.value);
  return h("div", { class: "record" }, h("pre", { tabindex: 0, "aria-label": "Value" }, value === "" ? "(no value)" : value), table);
}

// --- dead letters --------------------------------------------------------------------------------

async function letters(overview, force) {
  const dead = overview.topics.filter((topic) => topic.topic.endsWith(".dlq"));
  const mark = dead.map((topic) => topic.partitions.map((part) => `${part.start}-${part.end}`)).join();
  const waiting = state.letters?.letters.some((letter) => letter.fate === "sent-back");
  const due = (state.letters?.open > 0 && state.round % LETTERS_EVERY === 0) || waiting;
  if (!force && mark === state.seen.letters && !due) return;
  const found = await ask("/api/dead-letters");
  state.seen.letters = mark;
  state.letters = found;
  const dying = found.letters.filter(mayGo);
  set(at("letters-count"), found.open ? number(found.open) : "");
  at("replay-all").hidden = dying.length < 2;
  at("no-letters").hidden = found.letters.length > 0;
  at("letters-table").hidden = found.letters.length === 0;
  const notes = [];
  if (found.open > found.letters.length) notes.push(`The newest ${found.letters.length} are shown.`);
  if (found.settled) notes.push(`Sent back and taken up, or given up again: ${number(found.settled)}.`);
  set(at("letters-note"), notes.join(" "));
  sync(at("letters"), found.letters.flatMap((letter) => [{ letter }, { letter, inner: true }]),
    ({ letter, inner }) => letter.place + (inner ? "/whole" : ""),
    ({ letter, inner }) => inner ? h("tr", { class: "inner", hidden: true }, h("td", { colspan: 7 })) : letterRow(letter),
    (node, { letter, inner }) => inner || letterUpdate(node, letter, overview));
}

function letterRow(letter) {
  const replay = h("button", { type: "button", class: "act", "aria-label": `Replay ${letter.place}`, onclick: () => send([letter.place]) }, "Replay");
  const toggle = h("button", { type: "button", "aria-expanded": "false", "aria-label": `Show ${letter.place}`, onclick: () => {
    const row = toggle.closest("tr").nextElementSibling;
    row.hidden = !row.hidden;
    toggle.setAttribute("aria-expanded", !row.hidden);
    if (!row.firstElementChild.children.length) row.firstElementChild.append(whole(letter.record));
  } }, "Show");
  return h("tr", {}, h("th", { scope: "row" }, h("span", { class: "tag" }, letter.reason)), h("td", {}, letter.group),
    h("td", { class: "wide" }, letter.origin.replace(/\/\d+\/\d+$/, "")), h("td", { class: "wide" }, text(letter.record.key)),
    h("td", { class: "number" }), h("td", { class: "error" }, letter.error || "no error was kept"),
    h("td", {}, h("div", { class: "actions" }, toggle, replay)));
}

function letterUpdate(row, letter, { now }) {
  set(row.children[4], span((Date.parse(now) - Date.parse(letter.died)) / 1000));
  const replay = row.querySelector("button.act");
  const back = letter.fate === "sent-back";
  replay.disabled = !mayGo(letter);
  replay.title = letter.inCircle ? `Sent back ${letter.sentBack} times, and dead all the same: mend the cause, then use storefront dlq replay --force` : "";
  set(replay, back ? "sent back" : letter.inCircle ? "in a circle" : "Replay");
}

function mayGo(letter) {
  return letter.fate === "dead" && !letter.inCircle;
}

async function send(places) {
  const count = places.length === 1 ? "1 letter" : `${places.length} letters`;
  say(`Sending ${count} back…`);
  try {
    const { sent } = await ask("/api/dead-letters/replay", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ places }) });
    say(sent.length === places.length ? `${count} sent back. What still cannot be handled dies again, with its reason.` : `${sent.length} of ${count} sent back; the others were before, or go in a circle.`);
    await letters(state.overview, true);
    await look();
  } catch (error) {
    say("");
    trouble(error);
  }
}

// --- the loop ------------------------------------------------------------------------------------

function trouble(error) {
  const text = error.name === "TimeoutError" || error instanceof TypeError ? "the console does not answer: is it still running?" : error.message;
  at("trouble").hidden = false;
  set(at("trouble"), text);
}

function pulse() {
  const quiet = state.paused || document.hidden;
  at("pulse").className = `pulse ${state.failed ? "lost" : quiet ? "" : "live"}`;
  const time = state.overview ? clock(state.overview.now) : "";
  set(at("pulse-text"), state.failed ? `no answer, as of ${time || "never"}` : quiet ? `paused at ${time}` : `live, ${time}`);
}

function head({ shop, links }) {
  set(at("shop"), shop);
  document.title = `Console: ${shop}`;
  sync(at("links"), links, ([name]) => name, ([name, url]) => h("li", {}, h("a", { href: url }, name)), () => {});
}

async function look() {
  try {
    const overview = await ask("/api/overview");
    state.overview = overview;
    state.round += 1;
    state.failed = 0;
    at("trouble").hidden = true;
    rates(overview);
    head(overview);
    await letters(overview, false);
    figures(overview);
    chart(overview);
    groups(overview);
    topics(overview);
    await messages(overview);
  } catch (error) {
    state.failed += 1;
    trouble(error);
  }
  pulse();
}

let timer = null;

/** One look after the other, and none while nobody can see it. */
async function run() {
  clearTimeout(timer);
  if (!state.paused && !document.hidden) {
    await look();
    clearTimeout(timer);
    timer = setTimeout(run, Math.min(EVERY_MS * 2 ** state.failed, 30000));
  }
  pulse();
}

document.addEventListener("visibilitychange", run);
at("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  at("pause").setAttribute("aria-pressed", state.paused);
  set(at("pause"), state.paused ? "Go on" : "Pause");
  run();
});
at("topic").addEventListener("change", (event) => choose(event.target.value, false));
at("replay-all").addEventListener("click", () => send(state.letters.letters.filter(mayGo).map((letter) => letter.place)));
for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => {
    state.span = button.dataset.span;
    for (const other of document.querySelectorAll("[data-span]")) other.setAttribute("aria-pressed", other === button);
    if (state.overview) chart(state.overview);
  });
}
run();
