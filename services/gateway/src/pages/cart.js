// The cart page: the catalog, a cart kept in this browser, and the way to the payment.
"use strict";

const byId = (id) => document.getElementById(id);
const CART = "storefront.cart";
const USER = "storefront.user";
const ATTEMPT = "storefront.attempt";
const QUANTITY_MAX = 99;

let catalog = { currency: "", products: [] };

function say(text) {
  byId("status").textContent = text;
}

function money(amount) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency: catalog.currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Quantities by product id. What is stored may be anything: only what makes sense is taken.
function readCart() {
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(CART)) ?? {};
  } catch {
    // An unreadable cart is an empty one.
  }
  const cart = new Map();
  for (const [id, quantity] of Object.entries(stored)) {
    if (Number.isInteger(quantity) && quantity > 0 && quantity <= QUANTITY_MAX) cart.set(id, quantity);
  }
  return cart;
}

function writeCart(cart) {
  localStorage.setItem(CART, JSON.stringify(Object.fromEntries(cart)));
  showCart();
}

function setQuantity(id, quantity) {
  const cart = readCart();
  if (quantity > 0) cart.set(id, Math.min(quantity, QUANTITY_MAX));
  else cart.delete(id);
  writeCart(cart);
}

function userId() {
  let user = localStorage.getItem(USER);
  if (!user) {
    user = `guest-${randomId()}`;
    localStorage.setItem(USER, user);
  }
  return user;
}

// One key for one cart: pressing Pay twice, or again after a lost answer, pays once.
function attemptKey(body) {
  const known = sessionStorage.getItem(ATTEMPT);
  if (known) {
    const attempt = JSON.parse(known);
    if (attempt.body === body) return attempt.key;
  }
  const key = randomId();
  sessionStorage.setItem(ATTEMPT, JSON.stringify({ body, key }));
  return key;
}

function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function showProducts() {
  const items = catalog.products.map((product) => {
    const add = element("button", { type: "button", textContent: "Add to cart" });
    add.setAttribute("aria-label", `Add ${product.name} to cart`);
    add.addEventListener("click", () => {
      setQuantity(product.id, (readCart().get(product.id) ?? 0) + 1);
      say(`${product.name} is in your cart.`);
    });
    const item = element("li", {});
    if (product.image) {
      const image = element("img", { src: product.image, alt: "" });
      image.addEventListener("error", () => image.remove());
      item.append(image);
    }
    item.append(element("span", { textContent: product.name }), element("span", { textContent: money(product.price) }), add);
    return item;
  });
  byId("products").replaceChildren(...items);
}

function cartLines() {
  const cart = readCart();
  return catalog.products
    .filter((product) => cart.has(product.id))
    .map((product) => ({ product, quantity: cart.get(product.id) }));
}

function showCart() {
  const lines = cartLines();
  const rows = lines.map(({ product, quantity }) => {
    const input = element("input", { type: "number", min: 0, max: QUANTITY_MAX, value: quantity, required: true });
    input.setAttribute("aria-label", `Quantity of ${product.name}`);
    input.addEventListener("change", () => setQuantity(product.id, Number.parseInt(input.value, 10) || 0));
    return element(
      "tr",
      {},
      element("td", { textContent: product.name }),
      element("td", {}, input),
      element("td", { textContent: money(product.price) }),
      element("td", { textContent: money(product.price * quantity) }),
    );
  });
  byId("lines").replaceChildren(...rows);
  const total = lines.reduce((sum, { product, quantity }) => sum + product.price * quantity, 0);
  byId("total").textContent = lines.length ? money(total) : "";
  byId("empty").hidden = lines.length > 0;
  byId("checkout").hidden = lines.length === 0;
}

async function loadCatalog() {
  const response = await fetch("/catalog", { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`the catalog answered ${response.status}`);
  catalog = await response.json();
  showProducts();
  showCart();
}

async function pay() {
  const cart = cartLines().map(({ product, quantity }) => ({ id: product.id, quantity, price: product.price }));
  const email = byId("email").value.trim();
  const body = JSON.stringify({ userId: userId(), ...(email && { email }), cart });
  const response = await fetch("/payment", {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": attemptKey(body) },
    body,
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) {
    const target = new URL(answer.url, location.href);
    if (!["https:", "http:"].includes(target.protocol)) throw new Error("the payment page has no address");
    location.assign(target);
    return;
  }
  if (response.status === 409 && answer.product) {
    await loadCatalog();
    say("A price has changed. Please look at your cart again, then pay.");
    return;
  }
  // A refused attempt is over; a failed one may have been taken, so its key is kept.
  if (response.status >= 400 && response.status < 500 && response.status !== 409 && response.status !== 408) {
    sessionStorage.removeItem(ATTEMPT);
  }
  say(`The payment could not be started: ${answer.detail ?? answer.title ?? response.status}. Nothing was charged.`);
}

byId("checkout").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = byId("pay");
  button.disabled = true;
  say("Taking you to the payment page…");
  try {
    await pay();
  } catch {
    say("The shop cannot be reached. Nothing was charged; please try again.");
  } finally {
    button.disabled = false;
  }
});

// Another tab may have changed the cart.
window.addEventListener("storage", (event) => {
  if (event.key === CART) showCart();
});

loadCatalog().then(
  () => say(catalog.products.length ? "" : "There are no products yet."),
  () => say("The catalog cannot be loaded at the moment. Please try again later."),
);
