// What whoever develops sees: the stand-in's checkout page where a shopper's flows do not look, and the inbox.
import assert from "node:assert/strict";

const MAIL = /We received your payment/;

async function session(shopper, email) {
  const body = JSON.stringify({ userId: `u-${shopper.width}`, email, cart: [{ id: "phone", quantity: 2 }, { id: "chai", quantity: 1 }] });
  const response = await fetch(shopper.url("/payment"), { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal(response.status, 200);
  return response.json();
}

const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className);

// Mistakes are told where they are, a test card fills the form, and a press is one payment.
async function form(shopper) {
  const page = await shopper.arrive();
  const { id, url } = await session(shopper);
  await page.goto(url);
  await shopper.look(page, "open");
  await page.getByRole("button", { name: /^Pay ₹/ }).click();
  await page.getByText("Enter your email, so that the shop can send the receipt.").waitFor();
  assert.equal(await focused(page), "email");
  await shopper.look(page, "mistakes");
  await page.getByLabel("Email").fill("ada@example.com");
  await page.getByLabel("Card number").pressSequentially("4111111111111111");
  assert.equal(await page.getByLabel("Card number").inputValue(), "4111 1111 1111 1111");
  await page.getByLabel("Expiry").pressSequentially("1234");
  assert.equal(await page.getByLabel("Expiry").inputValue(), "12 / 34");
  await page.keyboard.press("Enter");
  await page.getByText("This is no test card.").waitFor();
  await page.getByRole("button", { name: "Insufficient funds" }).click();
  await page.getByText("Filled in: Insufficient funds 9995").waitFor();
  await page.getByRole("button", { name: /^Pay ₹/ }).dblclick();
  await page.getByRole("alert").filter({ hasText: "Your card has insufficient funds." }).waitFor();
  assert.match(await focused(page), /alert/);
  await shopper.look(page, "declined");
  const key = { authorization: "Bearer sk_test_0123456789abcdefghijkl" };
  const stored = await fetch(`${shopper.shop.sandbox}/v1/checkout/sessions/${id}?expand[]=payment_intent`, { headers: key });
  const { payment_intent: intent } = await stored.json();
  assert.equal(intent.last_payment_error.decline_code, "insufficient_funds");
  const events = await fetch(`${shopper.shop.sandbox}/v1/events?type=charge.failed`, { headers: key });
  const ofThis = (await events.json()).data.filter(({ data }) => data.object.payment_intent === intent.id);
  assert.equal(ofThis.length, 1, "pressed twice, tried once");
}

// Without scripts, by the keyboard alone: a card that asks, and then the bank's delayed money.
async function plainForms(shopper) {
  const page = await shopper.arrive({ javaScriptEnabled: false });
  const { url } = await session(shopper, "ada@example.com");
  await page.goto(url);
  await page.getByRole("button", { name: "3-D Secure 3220" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: /^Pay ₹/ }).focus();
  await page.keyboard.press("Enter");
  await shopper.expectHeadline(page, "Your bank asks: is it you?");
  await page.getByRole("link", { name: "Pay in another way" }).click();
  await page.getByText("Your bank is waiting for your answer.").waitFor();
  await page.getByLabel("Bank transfer (delayed)").check();
  await page.keyboard.press("Enter");
  await page.waitForURL(/success/);
  await page.goto(url);
  await page.getByRole("button", { name: "The money does not arrive" }).click();
  await shopper.expectHeadline(page, "The bank did not send the money");
}

// The inbox shows a mail as it comes, without a reload and without moving who reads.
async function inbox(shopper) {
  const address = `inbox-${shopper.width}@example.com`;
  const page = await shopper.arrive();
  await page.goto(`${shopper.shop.inbox}/?query=to:${address}`);
  await page.getByText("No mail matches.").waitFor();
  await shopper.look(page, "nothing");
  const first = await session(shopper, address);
  await shopper.act(first.id, "pay");
  await page.locator(".subject", { hasText: MAIL }).waitFor();
  await page.locator(".mails a").focus();
  const reading = await focused(page);
  const second = await session(shopper, address);
  await shopper.act(second.id, "pay");
  await page.locator(".mails li").nth(1).waitFor();
  assert.equal(await focused(page), reading);
  await shopper.look(page, "list");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: MAIL }).waitFor();
  const mail = page.frameLocator("iframe");
  await mail.getByRole("heading", { name: MAIL }).waitFor();
  await mail.getByText("2 × ₹18,999.00").waitFor();
  await shopper.look(page, "mail");
  const opened = page.context().waitForEvent("page");
  await mail.getByRole("link", { name: "View your order" }).click();
  const order = await opened;
  await shopper.expectHeadline(order, "Thank you for your order");
  assert.ok(order.url().endsWith(first.id), "the mail's link leads to its order");
  await page.getByRole("link", { name: "Text", exact: true }).click();
  await page.getByText("View your order:").waitFor();
  await shopper.look(page, "text");
  await page.getByRole("button", { name: "Delete this mail" }).click();
  await page.waitForURL((url) => url.pathname === "/");
  await page.goto(`${shopper.shop.inbox}/?query=to:${address}`);
  assert.equal(await page.locator(".mails li").count(), 1);
}

// A mail's own page, as wide as a phone and as a mail program's pane.
async function mail(shopper) {
  const { id } = await session(shopper, `mail-${shopper.width}@example.com`);
  await shopper.act(id, "pay");
  const page = await shopper.arrive();
  await page.goto(`${shopper.shop.inbox}/?query=to:mail-${shopper.width}@example.com`);
  await page.locator(".subject", { hasText: MAIL }).click();
  const source = await page.locator("iframe").getAttribute("src");
  const html = await (await fetch(shopper.shop.inbox + source)).text();
  const alone = await shopper.arrive({ colorScheme: shopper.width < 700 ? "dark" : "light" });
  await alone.setContent(html);
  await shopper.look(alone, "mail");
}

// The console of `storefront dev`, with a group and a message open: wide tables move, the page does not.
async function overview(shopper) {
  const { id } = await session(shopper, `console-${shopper.width}@example.com`);
  await shopper.act(id, "pay");
  const page = await shopper.arrive();
  await page.goto(shopper.shop.console);
  await page.locator("summary", { hasText: "paid ₹" }).first().click();
  await shopper.look(page, "message");
  const group = page.locator("#groups tr", { hasText: "email-service" });
  await group.getByRole("button").first().click();
  await page.getByRole("cell", { name: /^storefront .*[0-9]$/ }).first().waitFor();
  await shopper.look(page, "group");
}

export const STAND_INS = {
  form: { run: form },
  "plain forms": { run: plainForms, widths: [360] },
  inbox: { run: inbox },
  console: { run: overview },
  mail: { run: mail, widths: [700, 360] },
};
