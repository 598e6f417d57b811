// The success page: asks whether the session is paid until that is settled, then shows the order.
"use strict";

const byId = (id) => document.getElementById(id);
const CART = "storefront.cart";
const ATTEMPT = "storefront.attempt";
const ASKS_MAX = 40;
const ASK_EVERY_MS = 1500;

function say(...content) {
  byId("status").replaceChildren(...content);
}

function money(amount, currency) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

const pause = () => new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));

function link(text, href) {
  return Object.assign(document.createElement("a"), { textContent: text, href });
}

// Asks until `settled` says so; a failure to reach the shop is asked again as well.
async function ask(path, settled) {
  let last = { status: 0, body: {} };
  for (let count = 0; count < ASKS_MAX; count += 1) {
    try {
      const response = await fetch(path, { headers: { accept: "application/json" } });
      last = { status: response.status, body: await response.json().catch(() => ({})) };
      if (settled(last)) return last;
    } catch {
      last = { status: 0, body: {} };
    }
    await pause();
  }
  return last;
}

function row(cells) {
  const tr = document.createElement("tr");
  for (const text of cells) {
    tr.append(Object.assign(document.createElement("td"), { textContent: text }));
  }
  return tr;
}

function showLines({ cart = [], amount, currency }) {
  byId("lines").replaceChildren(
    ...cart.map((line) =>
      row([line.name ?? line.id, line.quantity, money(line.price, currency), money(line.price * line.quantity, currency)]),
    ),
  );
  byId("total").textContent = money(amount, currency);
}

const MAIL_STATES = {
  queued: "on its way",
  sending: "on its way",
  sent: "sent",
  unknown: "not known at the moment",
  failed: "could not be sent",
  none: "none is planned",
};

async function showOrder(paid) {
  sessionStorage.removeItem(ATTEMPT);
  localStorage.removeItem(CART);
  byId("order").hidden = false;
  byId("order-id").textContent = paid.orderId;
  byId("order-state").textContent = "being recorded…";
  byId("mail-state").textContent = "being prepared…";
  showLines(paid);
  const { status, body } = await ask(`/orders/${encodeURIComponent(paid.orderId)}`, (answer) => {
    return answer.status === 200 && ["sent", "failed", "none"].includes(answer.body.mail?.state);
  });
  byId("order-state").textContent = status === 200 ? "recorded" : "paid; it will be recorded shortly";
  byId("mail-state").textContent = MAIL_STATES[body.mail?.state] ?? MAIL_STATES.unknown;
}

function payLink(url) {
  if (!url) return link("Back to the cart", "/");
  const target = new URL(url, location.href);
  return ["https:", "http:"].includes(target.protocol) ? link("Go on paying", target.href) : link("Back to the cart", "/");
}

async function start() {
  const session = new URLSearchParams(location.search).get("session_id");
  if (!session) {
    say("There is no payment to show here.");
    return;
  }
  const path = `/payment/verify?session_id=${encodeURIComponent(session)}`;
  const { status, body } = await ask(path, (answer) => {
    const open = answer.status === 200 && answer.body.status === "processing";
    return !open && answer.status !== 0 && answer.status < 500;
  });
  if (status === 200 && body.status === "paid") {
    say("Thank you! Your payment has arrived.");
    await showOrder(body);
  } else if (status === 200 && body.status === "open") {
    say("This payment is not finished. ", payLink(body.url));
  } else if (status === 200 && body.status === "processing") {
    say("Your payment is being processed, which can take a while. You will get a mail when it has arrived.");
  } else if (status === 200) {
    // The next try is a new payment.
    sessionStorage.removeItem(ATTEMPT);
    say("This payment did not go through, and nothing was charged. ", link("Back to the cart", "/"));
  } else if (status === 404) {
    say("This shop knows no such payment.");
  } else {
    say("Your payment cannot be checked at the moment. Please load this page again in a minute.");
  }
}

start();
