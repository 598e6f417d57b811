// What shoppers do. Each flow gets a `Shopper` and fails by throwing. No waiting but for what must come.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";

const PHONE = "Nova 5G phone, 128 GB";
const CHAI = "Masala chai from Assam, 250 g";
const KURTA = "Handloom cotton kurta";
const DIYA = "Terracotta diyas, set of 12";
const CART_PAGE_MAX_BYTES = 60_000;

async function openShop(shopper, options) {
  const page = await shopper.arrive(options);
  await page.goto(shopper.url("/"));
  return page;
}

async function paid(shopper) {
  const page = await openShop(shopper);
  await page.getByText("Your cart is empty").waitFor();
  await shopper.look(page, "empty");
  await shopper.add(page, PHONE, 2);
  await shopper.add(page, CHAI);
  await shopper.expectTotal(page, "₹38,347.00");
  await page.getByRole("heading", { name: "Your cart (3 items)" }).waitFor();
  await page.getByLabel("E-mail for the receipt").fill("ada@example.com");
  await shopper.look(page, "cart");
  await shopper.pay(page);
  await shopper.look(page, "checkout");
  await shopper.payAtCheckout(page);
  await shopper.expectComplete(page);
  await page.getByText("Total paid").waitFor();
  const row = page.getByRole("row", { name: /Nova 5G/ });
  assert.match(await row.textContent(), /₹18,999\.00 each2₹37,998\.00/);
  await shopper.look(page, "success");
  await page.getByRole("link", { name: "Continue shopping" }).click();
  await page.getByText("Your cart is empty").waitFor();
}

async function weight(shopper) {
  const page = await shopper.arrive();
  const bodies = [];
  page.on("response", (response) => {
    const picture = new URL(response.url()).pathname.startsWith("/img/");
    if (!picture) bodies.push(response.body().then((body) => [response.url(), body.length]));
  });
  await page.goto(shopper.url("/"), { waitUntil: "networkidle" });
  const sizes = await Promise.all(bodies);
  const sum = sizes.reduce((sum, [, size]) => sum + size, 0);
  assert.ok(sizes.length >= 5 && sum < CART_PAGE_MAX_BYTES, `${sum} bytes: ${JSON.stringify(sizes)}`);
  const foreign = sizes.filter(([url]) => !url.startsWith(shopper.shop.gateway));
  assert.deepEqual(foreign, []);
}

async function declinedThenPaid(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, DIYA);
  await shopper.pay(page);
  await shopper.payBy(page, "4000 0000 0000 0002");
  await page.getByRole("alert").filter({ hasText: "declined" }).waitFor();
  await shopper.look(page, "declined");
  // The next card is one whose bank asks.
  await shopper.payBy(page, "4000 0025 0000 3155");
  const complete = page.getByRole("button", { name: "Complete authentication" });
  await complete.waitFor();
  await shopper.look(page, "bank-asks");
  await complete.click();
  await shopper.expectComplete(page);
}

async function cancelled(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, KURTA, 2);
  const session = await shopper.pay(page);
  await page.getByRole("link", { name: "Back to the shop" }).click();
  await shopper.expectNotice(page, "You left the payment. Nothing was charged");
  await shopper.expectTotal(page, "₹2,598.00");
  await shopper.look(page, "cart");
  // The notice is told once, and the same cart is paid at the same session.
  await page.reload();
  await shopper.expectTotal(page, "₹2,598.00");
  assert.equal(await page.locator("#notice").textContent(), "");
  assert.equal(await shopper.pay(page), session);
}

async function delayedAndSettled(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, CHAI, 3);
  const session = await shopper.pay(page);
  await shopper.payByBank(page);
  await shopper.expectHeadline(page, "Your payment is on its way");
  await page.getByText("Please do not pay a second time").waitFor();
  await shopper.look(page, "processing");
  await shopper.act(session, "settle");
  // By itself, without a touch.
  await shopper.expectComplete(page);
}

async function delayedAndFailed(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, CHAI);
  const session = await shopper.pay(page);
  await shopper.payByBank(page);
  await shopper.expectHeadline(page, "Your payment is on its way");
  await shopper.act(session, "fail");
  await shopper.expectHeadline(page, "Your payment did not go through");
  await shopper.look(page, "failed");
  await page.getByRole("link", { name: "Back to the cart" }).click();
  await shopper.expectTotal(page, "₹349.00");
  // The next try is a new payment.
  assert.notEqual(await shopper.pay(page), session);
}

async function notFinished(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, CHAI);
  const session = await shopper.pay(page);
  await page.goto(shopper.url(`/success?session_id=${session}`));
  await shopper.expectHeadline(page, "Your payment is not finished");
  await shopper.look(page, "open");
  await shopper.act(session, "expire");
  await shopper.expectHeadline(page, "This payment has expired");
  await page.reload();
  await shopper.look(page, "expired");
}

async function expiredMeanwhile(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, DIYA);
  const session = await shopper.pay(page);
  await shopper.act(session, "expire");
  await page.reload();
  await page.getByRole("link", { name: "Back to the shop" }).click();
  await shopper.expectTotal(page, "₹199.00");
  // The same cart, but not the payment that has ended.
  assert.notEqual(await shopper.pay(page), session);
  await shopper.payAtCheckout(page);
  await shopper.expectComplete(page);
}

async function behindABrokenBalancer(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, CHAI);
  const session = await shopper.pay(page);
  await page.goto(shopper.url(`/success?session_id=${session}`));
  await shopper.expectHeadline(page, "Your payment is not finished");
  const success = (url) => url.pathname === "/success";
  let asked = 0;
  await page.route(success, (route) => {
    asked += 1;
    return route.fulfill({ status: 502, contentType: "text/html", body: "<h1>502 Bad Gateway</h1>" });
  });
  await page.waitForResponse((response) => success(new URL(response.url())) && response.status() === 502);
  await shopper.act(session, "expire");
  await page.unroute(success);
  await shopper.expectHeadline(page, "This payment has expired");
  assert.ok(asked > 0);
}

// An address that somebody made up, or that was cut off: what makes no sense in it is left out.
async function madeUpCart(shopper) {
  const page = await openShop(shopper);
  await page.goto(shopper.url("/?quantity.phone=-5&quantity.diya=two&quantity.kurta=1000&quantity.chai=2&quantity.nothing=1"));
  await page.getByRole("heading", { name: "Your cart (101 items)" }).waitFor();
  await shopper.expectTotal(page, "₹1,29,299.00");
  // It is kept, as every cart.
  await page.reload();
  await page.getByRole("heading", { name: "Your cart (101 items)" }).waitFor();
  for (const stored of ['"x"', "5", "[1,2]", '{"chai":-1,"phone":"2","__proto__":3}', "{bad"]) {
    await page.evaluate((stored) => localStorage.setItem("storefront.cart", stored), stored);
    await page.reload();
    await page.getByText("Your cart is empty").waitFor();
  }
}

async function priceChanged(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, KURTA);
  await shopper.add(page, CHAI);
  const { catalog } = shopper.shop;
  const before = readFileSync(catalog, "utf8");
  writeFileSync(catalog, before.replace(/\b129900\b/, "139900"));
  try {
    await catalogSays(shopper, 139900);
    await page.getByRole("button", { name: "Pay securely" }).locator("visible=true").click();
    await shopper.expectNotice(page, `${KURTA} costs ₹1,399.00 now, not ₹1,299.00`);
    await shopper.expectTotal(page, "₹1,748.00");
    const line = shopper.line(page, KURTA);
    await line.getByText("New price: ₹1,399.00, before ₹1,299.00").waitFor();
    assert.ok(await line.evaluate((node) => node.classList.contains("changed")));
    await shopper.look(page, "changed");
    await shopper.pay(page);
    await page.getByText("₹1,748.00").first().waitFor();
  } finally {
    writeFileSync(catalog, before);
    await catalogSays(shopper, 129900);
  }
}

async function catalogSays(shopper, price) {
  for (let looks = 0; looks < 400; looks += 1) {
    const { products } = await (await fetch(shopper.url("/catalog"))).json();
    if (products.some((product) => product.price === price)) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`the catalog does not say ${price}`);
}

async function successAgain(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, DIYA, 4);
  const session = await shopper.pay(page);
  await shopper.payAtCheckout(page);
  await shopper.expectComplete(page);
  const number = await page.locator(".number code").textContent();
  await page.reload();
  await shopper.expectComplete(page);
  assert.equal(await page.locator(".number code").textContent(), number);
  // A second window, while the first one has a new cart: the page empties no cart but its own.
  await page.goto(shopper.url("/"));
  await shopper.add(page, CHAI);
  const second = await shopper.tab(page.context());
  await second.goto(shopper.url(`/success?session_id=${session}`));
  await shopper.expectComplete(second);
  await page.reload();
  await shopper.expectTotal(page, "₹349.00");
}

async function foreignAndMadeUp(shopper) {
  const page = await openShop(shopper);
  await shopper.add(page, CHAI);
  // Stripe's form of a session, and one that this shop has not made.
  const foreign = await foreignSession(shopper);
  for (const session of [foreign, "cs_test_a1b2c3", "<script>alert(1)</script>", ""]) {
    const response = await page.goto(shopper.url(`/success?session_id=${encodeURIComponent(session)}`));
    assert.equal(response.status(), 404, session);
    await shopper.expectHeadline(page, "This shop knows no such payment");
  }
  await shopper.look(page, "unknown");
  await page.getByRole("link", { name: "Continue shopping" }).click();
  await shopper.expectTotal(page, "₹349.00");
}

// A session that somebody else made with the same Stripe account.
async function foreignSession(shopper) {
  const form = new URLSearchParams({
    mode: "payment",
    success_url: "https://elsewhere.example/",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "inr",
    "line_items[0][price_data][unit_amount]": "10000",
    "line_items[0][price_data][product_data][name]": "Something else",
    "metadata[shop]": "elsewhere/other",
  });
  const headers = { authorization: "Bearer sk_test_browser" };
  const response = await fetch(`${shopper.shop.sandbox}/v1/checkout/sessions`, { method: "POST", headers, body: form });
  assert.ok(response.ok, await response.clone().text());
  const { id } = await response.json();
  await shopper.act(id, "pay");
  return id;
}

async function withoutJavaScript(shopper) {
  const page = await openShop(shopper, { javaScriptEnabled: false });
  await shopper.picture("cart", page);
  const pay = () => page.getByRole("button", { name: "Pay securely" }).locator("visible=true").click();
  await pay();
  await shopper.expectNotice(page, "Your cart is empty. Choose how many you want");
  await page.getByLabel(`Quantity of ${DIYA}`).fill("3");
  await page.getByLabel("E-mail for the receipt").fill("ada@example.com");
  const { catalog } = shopper.shop;
  const before = readFileSync(catalog, "utf8");
  writeFileSync(catalog, before.replace(/\b19900\b/, "21900"));
  try {
    await catalogSays(shopper, 21900);
    await pay();
    await shopper.expectNotice(page, "A price has changed in the meantime");
    assert.equal(await page.getByLabel(`Quantity of ${DIYA}`).inputValue(), "3");
    await shopper.picture("changed", page);
    await pay();
    await page.waitForURL(/\/sandbox\/checkout\//);
    await page.getByText("₹657.00").first().waitFor();
  } finally {
    writeFileSync(catalog, before);
    await catalogSays(shopper, 19900);
  }
  await shopper.payAtCheckout(page);
  // The page renews itself until the mail is sent.
  await shopper.expectComplete(page);
  await shopper.picture("success", page);
}

async function tabsInStep(shopper) {
  const page = await openShop(shopper);
  const other = await shopper.tab(page.context());
  await other.goto(shopper.url("/"));
  await shopper.add(page, CHAI, 2);
  await shopper.expectTotal(other, "₹698.00");
  await shopper.line(other, CHAI).getByRole("button", { name: `Remove ${CHAI}` }).click();
  await page.getByText("Your cart is empty").waitFor();
  await other.getByRole("button", { name: "Undo" }).click();
  await shopper.expectTotal(page, "₹698.00");
}

async function byKeyboard(shopper) {
  const page = await openShop(shopper);
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.id);
  const to = async (name) => {
    for (let steps = 0; steps < 80; steps += 1) {
      await page.keyboard.press("Tab");
      if ((await focused()) === name) return;
    }
    throw new Error(`no way to ${name} by keyboard`);
  };
  await to(`Add to cart: ${CHAI}`);
  await page.keyboard.press("Enter");
  assert.equal(await focused(), `One more: ${CHAI}`);
  await page.keyboard.press("Space");
  await page.locator("#live").filter({ hasText: `${CHAI}: 2 in your cart. Total ₹698.00.` }).waitFor({ state: "attached" });
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("5");
  await page.keyboard.press("Enter");
  await shopper.expectTotal(page, "₹1,745.00");
  await shopper.line(page, CHAI).getByRole("button", { name: `Remove ${CHAI}` }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await focused(), "cart-title");
}

async function byNight(shopper) {
  const page = await openShop(shopper, { colorScheme: "dark" });
  await shopper.add(page, KURTA);
  await shopper.add(page, DIYA);
  await shopper.look(page, "cart");
  await shopper.pay(page);
  await shopper.payAtCheckout(page);
  await shopper.expectComplete(page);
  await shopper.look(page, "success");
}

async function nothingThere(shopper) {
  const page = await shopper.arrive();
  const response = await page.goto(shopper.url("/no/such/page"));
  assert.equal(response.status(), 404);
  await shopper.expectHeadline(page, "There is nothing here");
  await shopper.look(page, "not-found");
}

// `other-shop.yaml`.
async function otherLooks(shopper, options) {
  const page = await openShop(shopper, options);
  await page.getByRole("link", { name: "शुभ लाभ <i>Stores</i> & Daughters" }).waitFor();
  const oud = "Oud <script>alert(1)</script>";
  // What has no picture, or one that does not come, has its first letter.
  await shopper.card(page, oud).locator(".tile span").filter({ hasText: "O" }).waitFor();
  await shopper.card(page, "تمر سكري فاخر").locator(".tile span").filter({ hasText: "ت" }).waitFor();
  await shopper.add(page, "تمر سكري فاخر", 2);
  await shopper.add(page, oud);
  await shopper.add(page, "Donaudampfschiff");
  await shopper.expectTotal(page, "KWD\u00a012,357.480");
  await shopper.look(page, "cart");
  await shopper.line(page, oud).getByRole("button", { name: `Remove ${oud}` }).click();
  await shopper.expectNotice(page, `${oud} was removed.`);
  await shopper.pay(page);
  await shopper.payAtCheckout(page);
  await shopper.expectComplete(page);
  await page.getByText("KWD\u00a011.810").first().waitFor();
  await shopper.look(page, "success");
}

// The shop runs without payment; once this flow says that it waits, somebody starts payment.
async function closed(shopper) {
  const page = await shopper.arrive();
  const response = await page.goto(shopper.url("/success?session_id=cs_test_a1b2c3"));
  assert.equal(response.status(), 503);
  await shopper.expectHeadline(page, "Your payment cannot be checked at the moment");
  await shopper.look(page, "success");
  const cart = await page.goto(shopper.url("/"));
  assert.equal(cart.status(), 503);
  assert.ok(cart.headers()["retry-after"]);
  await shopper.expectHeadline(page, "The shop cannot take orders at the moment");
  await shopper.look(page, "cart");
}

async function opensAgain(shopper) {
  const page = await shopper.arrive();
  await page.goto(shopper.url("/"));
  await shopper.expectHeadline(page, "The shop cannot take orders at the moment");
  console.log(JSON.stringify({ waiting: true }));
  await page.getByText("Your cart is empty").waitFor({ timeout: 60_000 });
}

export const GROUPS = {
  shop: {
    paid: { run: paid },
    weight: { run: weight, widths: [360] },
    "declined then paid": { run: declinedThenPaid },
    cancelled: { run: cancelled },
    "delayed and settled": { run: delayedAndSettled },
    "delayed and failed": { run: delayedAndFailed },
    "not finished": { run: notFinished },
    "expired meanwhile": { run: expiredMeanwhile, widths: [1280] },
    "behind a broken balancer": { run: behindABrokenBalancer, widths: [1280] },
    "made-up cart": { run: madeUpCart, widths: [1280] },
    "price changed": { run: priceChanged, alone: true },
    "success again": { run: successAgain },
    "foreign and made up": { run: foreignAndMadeUp },
    "without JavaScript": { run: withoutJavaScript, alone: true },
    "tabs in step": { run: tabsInStep, widths: [1280] },
    "by keyboard": { run: byKeyboard, widths: [1280] },
    "by night": { run: byNight },
    "nothing there": { run: nothingThere, widths: [360] },
  },
  other: {
    "other looks": { run: otherLooks },
    "other looks by night": { run: (shopper) => otherLooks(shopper, { colorScheme: "dark" }) },
  },
  closed: {
    closed: { run: closed },
    "opens again": { run: opensAgain, widths: [360] },
  },
};
