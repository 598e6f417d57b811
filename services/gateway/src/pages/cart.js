// Makes a cart of the page's form: kept in this browser, the same in all its tabs. The products are in
// the page already; without this script the form is sent as it is.
import { money } from "/assets/money.js";

const CART = "storefront.cart";
const USER = "storefront.user";
const PAYING = "storefront.paying";
const ATTEMPT = "storefront.attempt";
const QUANTITY_MAX = 99;
const PAYING_MAX = 8;

const byId = (id) => document.getElementById(id);
const shop = byId("shop");
const form = { prefix: shop.dataset.prefix, exponent: Number(shop.dataset.exponent), group: Number(shop.dataset.group) };
const shown = (amount) => money(amount, form);

// ---- What the page sells ----

const products = new Map();
// The cart's lines as they are shown, by product.
const lines = new Map();
for (const card of shop.querySelectorAll(".card")) {
  const image = card.querySelector("img");
  const product = { id: card.dataset.id, name: card.querySelector("h3").textContent, price: Number(card.dataset.price), was: null, card };
  products.set(product.id, product);
  image?.addEventListener("error", () => noPicture(card, product));
  if (image?.complete && image.naturalWidth === 0 && image.loading !== "lazy") noPicture(card, product);
}

function noPicture(card, product) {
  const letter = document.createElement("span");
  letter.textContent = product.name.trim().slice(0, 1);
  letter.setAttribute("aria-hidden", "true");
  card.querySelector(".tile").replaceChildren(letter);
  lines.get(product.id)?.querySelector(".tile").replaceChildren(letter.cloneNode(true));
}

// ---- What is in the cart ----

// Browsers can forbid storage: the cart then lives as long as the page.
function stored(storage, name) {
  try {
    return JSON.parse(globalThis[storage].getItem(name));
  } catch {
    return null;
  }
}

function store(storage, name, value) {
  try {
    if (value === null) globalThis[storage].removeItem(name);
    else globalThis[storage].setItem(name, JSON.stringify(value));
  } catch {
    // Nothing depends on it but the next visit.
  }
}

// Quantities by product id. What is stored may be anything: only what makes sense is taken.
function readCart() {
  const cart = new Map();
  for (const [id, quantity] of Object.entries(stored("localStorage", CART) ?? {})) {
    if (products.has(id) && Number.isInteger(quantity) && quantity > 0) cart.set(id, Math.min(quantity, QUANTITY_MAX));
  }
  return cart;
}

let cart = readCart();

function setQuantity(id, quantity) {
  const wanted = Math.max(0, Math.min(Math.trunc(quantity) || 0, QUANTITY_MAX));
  if (wanted > 0) cart.set(id, wanted);
  else cart.delete(id);
  store("localStorage", CART, Object.fromEntries(cart));
  show();
}

const total = () => [...cart].reduce((sum, [id, quantity]) => sum + products.get(id).price * quantity, 0);
const pieces = () => [...cart.values()].reduce((sum, quantity) => sum + quantity, 0);

// ---- How it is shown ----

function stepper(node, product, least) {
  const [less, more] = node.querySelectorAll("button");
  const input = node.querySelector("input");
  less.setAttribute("aria-label", `One less: ${product.name}`);
  more.setAttribute("aria-label", `One more: ${product.name}`);
  input.setAttribute("aria-label", `Quantity of ${product.name}`);
  less.hidden = more.hidden = false;
  const change = (quantity) => {
    setQuantity(product.id, quantity);
    tell(product);
  };
  less.addEventListener("click", () => change((cart.get(product.id) ?? 0) - 1));
  more.addEventListener("click", () => change((cart.get(product.id) ?? 0) + 1));
  input.addEventListener("change", () => change(Math.max(least, Number.parseInt(input.value, 10) || least)));
  // Enter in a quantity means the quantity, not the payment.
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    input.dispatchEvent(new Event("change"));
  });
}

function newLine(product) {
  const line = byId("line").content.firstElementChild.cloneNode(true);
  const tile = product.card.querySelector(".tile");
  line.dataset.id = product.id;
  line.querySelector(".tile").replaceChildren(...[...tile.childNodes].map((node) => node.cloneNode(true)));
  line.querySelector("h2").textContent = product.name;
  const remove = line.querySelector(".remove");
  remove.setAttribute("aria-label", `Remove ${product.name}`);
  remove.addEventListener("click", () => removeLine(product));
  stepper(line.querySelector(".stepper"), product, 1);
  return line;
}

function removeLine(product) {
  const quantity = cart.get(product.id);
  const rest = [...lines.keys()];
  const next = rest[rest.indexOf(product.id) + 1] ?? rest[rest.indexOf(product.id) - 1];
  setQuantity(product.id, 0);
  const undo = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: "Undo" });
  undo.addEventListener("click", () => {
    setQuantity(product.id, quantity);
    notice("");
    lines.get(product.id).querySelector(".remove").focus();
  });
  notice("info", `${product.name} was removed.`, undo);
  (lines.get(next)?.querySelector(".remove") ?? byId("cart-title")).focus();
}

function showLine(product, quantity) {
  const line = lines.get(product.id) ?? newLine(product);
  lines.set(product.id, line);
  line.querySelector(".price").textContent = quantity > 1 ? `${shown(product.price)} each` : "";
  line.querySelector(".sum").textContent = shown(product.price * quantity);
  line.querySelector("input").value = quantity;
  const [less, more] = line.querySelectorAll(".stepper button");
  less.disabled = quantity <= 1;
  more.disabled = quantity >= QUANTITY_MAX;
  line.classList.toggle("changed", product.was !== null);
  const was = line.querySelector(".was");
  was.hidden = product.was === null;
  if (product.was !== null) was.textContent = `New price: ${shown(product.price)}, before ${shown(product.was)}`;
}

function showCard(product, quantity) {
  const { card } = product;
  card.querySelector(".price").textContent = shown(product.price);
  card.querySelector("input[type=number]").value = quantity;
  card.querySelector(".stepper").hidden = quantity === 0;
  card.querySelector(".add").hidden = quantity > 0;
  card.querySelectorAll(".stepper button")[1].disabled = quantity >= QUANTITY_MAX;
}

function show() {
  for (const [id, line] of lines) {
    if (cart.has(id)) continue;
    line.remove();
    lines.delete(id);
  }
  for (const product of products.values()) {
    showCard(product, cart.get(product.id) ?? 0);
    if (cart.has(product.id)) showLine(product, cart.get(product.id));
  }
  // In the order in which they were put in; a node that is in its place is not touched.
  const list = byId("lines");
  [...cart.keys()].forEach((id, at) => {
    if (list.children[at] !== lines.get(id)) list.insertBefore(lines.get(id), list.children[at] ?? null);
  });
  const count = pieces();
  const items = count === 1 ? "1 item" : `${count} items`;
  byId("badge").textContent = count;
  byId("badge").parentElement.setAttribute("aria-label", `Cart, ${items}`);
  byId("empty").hidden = count > 0;
  list.hidden = count === 0;
  shop.classList.toggle("none", count === 0);
  byId("details").hidden = byId("bar").hidden = count === 0;
  byId("cart-title").textContent = count === 0 ? "Your cart" : `Your cart (${items})`;
  byId("count").textContent = items;
  for (const id of ["subtotal", "total", "bar-total"]) byId(id).textContent = shown(total());
}

// For those who hear the page.
function tell(product) {
  const quantity = cart.get(product.id) ?? 0;
  byId("live").textContent = `${product.name}: ${quantity} in your cart. Total ${shown(total())}.`;
}

function notice(kind, text = "", ...more) {
  const node = byId("notice");
  node.className = `notice ${kind}`;
  if (!text) return node.replaceChildren();
  node.replaceChildren(Object.assign(document.createElement("p"), { textContent: text }), ...more);
  if (kind === "warning") node.scrollIntoView({ block: "nearest" });
}

// ---- The way to the payment ----

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function userId() {
  const known = stored("localStorage", USER);
  if (typeof known === "string" && known) return known;
  const user = `guest-${randomId()}`;
  store("localStorage", USER, user);
  return user;
}

// One key for one cart: pressing Pay twice, or again after a lost answer, pays once.
function attempt(body) {
  const known = stored("sessionStorage", ATTEMPT);
  if (known?.body === body) return { key: known.key, again: true };
  const key = randomId();
  store("sessionStorage", ATTEMPT, { body, key });
  return { key, again: false };
}

// Whether nobody can pay a session any more. Who cannot tell says no.
async function hasEnded(session) {
  try {
    const response = await fetch(`/payment/verify?session_id=${encodeURIComponent(session)}`, { signal: AbortSignal.timeout?.(5000) });
    return ["failed", "expired"].includes((await response.json()).status);
  } catch {
    return false;
  }
}

// The success page empties the cart for sessions that began here, and for no other.
function remember(session) {
  const paying = stored("localStorage", PAYING);
  const others = Array.isArray(paying) ? paying.filter((known) => known !== session) : [];
  store("localStorage", PAYING, [...others, session].slice(-PAYING_MAX));
}

async function pay() {
  const chosen = [...cart].map(([id, quantity]) => ({ id, quantity, price: products.get(id).price }));
  const email = byId("email").value.trim();
  const body = JSON.stringify({ userId: userId(), ...(email && { email }), cart: chosen });
  const { key, again } = attempt(body);
  const response = await fetch("/payment", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json", "idempotency-key": key },
    body,
    signal: AbortSignal.timeout?.(30000),
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) {
    // The key still leads to a payment that has ended: this is another one.
    if (again && (await hasEnded(answer.id))) {
      store("sessionStorage", ATTEMPT, null);
      return pay();
    }
    const target = new URL(answer.url, location.href);
    if (!["https:", "http:"].includes(target.protocol)) throw new Error("the payment page has no address");
    remember(answer.id);
    location.assign(target);
    return true;
  }
  // A refused attempt is over; one that failed may have been taken, so its key is kept.
  if (response.status >= 400 && response.status < 500 && ![408, 409, 429].includes(response.status)) store("sessionStorage", ATTEMPT, null);
  refused(response.status, answer);
  return false;
}

function refused(status, problem) {
  if (Array.isArray(problem.changes)) return pricesChanged(problem.changes);
  if (Array.isArray(problem.products)) return productsGone(problem.products);
  const texts = {
    409: "This payment is being prepared already. Please press Pay again in a moment.",
    422: `This cart cannot be paid: ${problem.detail ?? problem.title}. Nothing was charged.`,
  };
  notice("warning", texts[status] ?? "The payment could not be started. Nothing was charged: please try again in a moment.");
}

function pricesChanged(changes) {
  const told = [];
  for (const { product: id, price } of changes) {
    const product = products.get(id);
    if (!product || !Number.isInteger(price)) continue;
    product.was = product.price;
    product.price = price;
    product.card.classList.add("changed");
    told.push(`${product.name} costs ${shown(price)} now, not ${shown(product.was)}`);
  }
  show();
  notice("warning", `${told.join("; ")}. Nothing was charged: look at the new total, then pay.`);
}

function productsGone(ids) {
  const names = [];
  for (const id of ids) {
    const product = products.get(id);
    if (!product) continue;
    names.push(product.name);
    setQuantity(id, 0);
    product.card.remove();
    products.delete(id);
  }
  notice("warning", `No longer sold, and taken out of your cart: ${names.join(", ")}. Nothing was charged.`);
}

function busy(working) {
  shop.setAttribute("aria-busy", working);
  for (const button of shop.querySelectorAll(".pay")) button.disabled = working;
}

shop.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (cart.size === 0) return notice("warning", "Your cart is empty.");
  busy(true);
  notice("info", "Taking you to the payment page…");
  try {
    // Until the browser has left, the button stays as it is.
    if (await pay()) return;
  } catch {
    notice("warning", "The shop cannot be reached. Nothing was charged: please try again in a moment.");
  }
  busy(false);
});

// ---- Start ----

for (const product of products.values()) {
  stepper(product.card.querySelector(".stepper"), product, 0);
  const add = product.card.querySelector(".add");
  add.addEventListener("click", () => {
    setQuantity(product.id, 1);
    tell(product);
    product.card.querySelectorAll(".stepper button")[1].focus();
  });
  const less = product.card.querySelector(".stepper button");
  less.addEventListener("click", () => {
    if (!cart.has(product.id)) add.focus();
  });
}

// A form that payment sent back, from a time without scripts, is the cart now. Its fields have what the
// gateway has understood of the query.
const query = new URLSearchParams(location.search);
for (const product of products.values()) {
  if (!query.has(`quantity.${product.id}`)) continue;
  const quantity = Number.parseInt(product.card.querySelector("input[type=number]").defaultValue, 10);
  if (quantity > 0) cart.set(product.id, Math.min(quantity, QUANTITY_MAX));
  store("localStorage", CART, Object.fromEntries(cart));
}
// What the query said is shown: loading the page again does not say it again.
if (query.size > 0) history.replaceState(null, "", location.pathname);

if (byId("details")) {
  document.documentElement.classList.add("scripted");
  byId("cart").hidden = byId("sums").hidden = byId("badge").parentElement.hidden = false;
  show();
}

// Another tab has changed the cart, or the shopper came back to this one.
const again = () => {
  cart = readCart();
  show();
};
addEventListener("storage", (event) => {
  if (event.key === CART || event.key === null) again();
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  busy(false);
  notice("");
  again();
});
