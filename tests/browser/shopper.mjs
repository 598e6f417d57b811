// One shopper in a browser of their own: what they can do on the shop's pages, and what is held of each page.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// For one thing to come, on a busy machine.
const LIMIT_MS = 30000;
const GOOD_CARD = "4242 4242 4242 4242";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Shopper {
  constructor(browser, shop, flow, width) {
    Object.assign(this, { browser, shop, flow, width, errors: [], contexts: [], pictures: 0 });
  }

  // A page in a browser that knows nothing yet; `options` are Playwright's.
  async arrive(options = {}) {
    const phone = this.width < 700;
    const context = await this.browser.newContext({
      viewport: { width: this.width, height: phone ? 740 : 860 },
      isMobile: phone,
      hasTouch: phone,
      reducedMotion: "reduce",
      ...options,
    });
    this.contexts.push(context);
    context.setDefaultTimeout(LIMIT_MS);
    // For whoever works on them: scripts and styles of the source instead of the built ones.
    const source = (url) => join(this.shop.assets ?? "", url.pathname.replace("/assets/", ""));
    const fresh = (url) => this.shop.assets && url.pathname.startsWith("/assets/") && existsSync(source(url));
    await context.route(fresh, (route) => route.fulfill({ path: source(new URL(route.request().url())) }));
    return this.tab(context);
  }

  async tab(context) {
    const page = await context.newPage();
    this.page = page;
    page.on("pageerror", (error) => this.errors.push(`${page.url()}: ${error}`));
    page.on("console", (message) => {
      // Of an answer that is not 2xx, Chromium makes an error of its own.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) this.errors.push(`${page.url()}: ${message.text()}`);
    });
    return page;
  }

  expectNoErrors() {
    assert.deepEqual(this.errors, []);
  }

  url(path) {
    return this.shop.gateway + path;
  }

  // What the stand-in does with a session, as a bank would.
  async act(session, action) {
    const response = await fetch(`${this.shop.sandbox}/control/sessions/${session}/${action}`, { method: "POST" });
    assert.ok(response.ok, await response.text());
  }

  async leave() {
    for (const context of this.contexts) await context.close();
  }

  // A picture for people, and the rules of accessibility: nothing serious, nothing critical.
  async look(page, name) {
    await this.picture(name, page);
    await this.accessible(page);
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(sideways <= 0, `${name}: the page can be moved sideways by ${sideways} px`);
  }

  async picture(name, page = this.page) {
    this.pictures += 1;
    const file = `${this.flow.replaceAll(" ", "-")}-${this.width}-${this.pictures}-${name}.png`;
    // A window as high as the page, so that what keeps in sight stands where it belongs.
    const window = page.viewportSize();
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width: window.width, height: Math.max(height, window.height) });
    await page.screenshot({ path: join(this.shop.pictures, file) });
    await page.setViewportSize(window);
  }

  async accessible(page) {
    // By evaluation, since the page's policy lets no foreign script in.
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const bad = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    const told = bad.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`);
    assert.deepEqual(told, [], page.url());
  }

  // ---- The cart page ----

  card(page, name) {
    return page.getByRole("listitem").filter({ has: page.getByRole("heading", { name, level: 3 }) });
  }

  line(page, name) {
    return page.locator("#lines > li").filter({ has: page.getByRole("heading", { name, level: 2 }) });
  }

  async add(page, name, quantity = 1) {
    await page.getByRole("button", { name: `Add to cart: ${name}` }).click();
    for (let more = 1; more < quantity; more += 1) await this.card(page, name).getByRole("button", { name: `One more: ${name}` }).click();
  }

  async pay(page) {
    await page.getByRole("button", { name: "Pay securely" }).locator("visible=true").click();
    await page.waitForURL(/\/sandbox\/checkout\//);
    return new URL(page.url()).pathname.split("/").at(-1);
  }

  async expectTotal(page, amount) {
    await page.locator("#total").filter({ hasText: amount }).waitFor({ state: "attached" });
    assert.equal(await page.locator("#bar-total").textContent(), amount);
  }

  async expectNotice(page, text) {
    await page.locator("#notice").filter({ hasText: text }).waitFor();
  }

  // ---- The stand-in's checkout page ----

  async payBy(page, number) {
    await this.giveEmail(page);
    await page.getByLabel("Card number").fill(number);
    await page.getByLabel("Expiry").fill("12 / 34");
    await page.getByLabel("CVC").fill("123");
    await page.getByLabel("Name on card").fill("Ada Lovelace");
    await page.getByRole("button", { name: /^Pay .*[0-9]/ }).click();
  }

  async payAtCheckout(page) {
    await this.payBy(page, GOOD_CARD);
    await page.waitForURL(/\/success\?/);
  }

  async payByBank(page) {
    await this.giveEmail(page);
    await page.getByLabel("Bank transfer (delayed)").check();
    await page.getByRole("button", { name: /^Pay .*[0-9]/ }).click();
    await page.waitForURL(/\/success\?/);
  }

  // The page asks for it when the shop did not.
  async giveEmail(page) {
    const email = page.getByLabel("Email");
    if ((await email.count()) > 0) await email.fill("ada@example.com");
  }

  // ---- The success page ----

  async expectHeadline(page, text) {
    await page.getByRole("heading", { level: 1, name: text }).waitFor();
  }

  async expectComplete(page) {
    await this.expectHeadline(page, "Thank you for your order");
    await page.getByText("Confirmation mail sent").waitFor();
    await page.getByText("Order recorded").waitFor();
  }
}
