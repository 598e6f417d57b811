// Looks at this page again and shows what has changed in it. All words come from the gateway.

const CART = "storefront.cart";
const PAYING = "storefront.paying";
const ATTEMPT = "storefront.attempt";
const SLOWEST_MS = 15000;
const LOOKS_MAX = 1000;
// What this one may become; anything else would be the end of looking.
const PAGES = ["cart", "closed", "success"];

const page = document.documentElement.dataset.page;

function stored(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

// A session that began in this browser and has ended: a paid one has emptied the cart.
function settle() {
  const { state, session } = document.getElementById("payment")?.dataset ?? {};
  const paying = stored(PAYING);
  if (!["paid", "failed", "expired"].includes(state) || !Array.isArray(paying) || !paying.includes(session)) return;
  try {
    localStorage.setItem(PAYING, JSON.stringify(paying.filter((known) => known !== session)));
    sessionStorage.removeItem(ATTEMPT);
    if (state === "paid") localStorage.removeItem(CART);
  } catch {
    // Storage is forbidden: there was nothing to forget.
  }
}

// Takes over the parts that differ, and says whether any did.
function take(fresh) {
  let changed = false;
  for (const part of document.querySelectorAll("[data-part]")) {
    const other = fresh.getElementById(part.id);
    if (!other || part.isEqualNode(other)) continue;
    part.className = other.className;
    part.replaceChildren(...other.childNodes);
    changed = true;
  }
  const [now, then] = [document.querySelector(".state"), fresh.querySelector(".state")];
  now.className = then.className;
  for (const name of ["state", "live"]) {
    if (then.dataset[name] === undefined) delete now.dataset[name];
    else now.dataset[name] = then.dataset[name];
  }
  document.title = fresh.title;
  return changed;
}

// `null` when the shop does not answer, or somebody else does in its place, as a load balancer that
// cannot reach it: there is nothing to show then.
async function look() {
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout?.(10000) });
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    return PAGES.includes(fresh.documentElement.dataset.page) ? fresh : null;
  } catch {
    return null;
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// A tab that nobody sees waits until somebody does.
const seen = () => document.visibilityState === "visible" || new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
const first = () => Number(document.querySelector("[data-live]")?.dataset.live ?? 0);

settle();
let wait = first();
for (let count = 0; first() > 0 && count < LOOKS_MAX; count += 1) {
  await pause(wait);
  await seen();
  const fresh = await look();
  if (fresh && fresh.documentElement.dataset.page !== page) {
    location.reload();
    break;
  }
  const changed = Boolean(fresh?.querySelector(".state")) && take(fresh);
  wait = changed ? first() : Math.min(wait * 1.25, SLOWEST_MS);
  settle();
}
