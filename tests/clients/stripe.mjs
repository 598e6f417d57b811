// What a shop does with Stripe's own library, against whatever is at a base URL. It listens for webhooks, says where as a
// JSON line, reads the base URL from its input, and prints a line for each check that held; the first that does not ends it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Stripe from "stripe";

const say = (value) => console.log(JSON.stringify(value));
const [secret] = process.argv.slice(2);

const deliveries = [];
const hook = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  deliveries.push({ signature: request.headers["stripe-signature"], body: Buffer.concat(chunks) });
  response.end();
}).listen(0, "127.0.0.1");
await once(hook, "listening");
say({ listens: `http://127.0.0.1:${hook.address().port}/webhook` });

const [base] = await once(createInterface({ input: process.stdin }), "line");
const url = new URL(base);
const client = (key, more) => new Stripe(key, {
  host: url.hostname, port: url.port, protocol: "http", telemetry: false, maxNetworkRetries: 0, ...more,
});
const stripe = client("sk_test_clients");
const control = async (method, path, body) => {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${base}/control/${path}`, { method, headers, body: body && JSON.stringify(body) });
  assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
  return response.json();
};
const faults = (faults) => control("PUT", "faults", faults);
const cart = (more) => ({
  mode: "payment",
  success_url: "http://127.0.0.1/success?session_id={CHECKOUT_SESSION_ID}",
  line_items: [
    { quantity: 2, price_data: { currency: "inr", unit_amount: 1000, product_data: { name: "Tea" } } },
    { quantity: 1, price_data: { currency: "inr", unit_amount: 500, product_data: { name: "Cup" } } },
  ],
  metadata: { userId: "ada" },
  ...more,
});
const create = (options, more) => stripe.checkout.sessions.create(cart(more), options);
const until = async (condition) => {
  for (let left = 400; !condition(); left--) {
    assert.ok(left > 0, condition.toString());
    await new Promise((done) => setTimeout(done, 50));
  }
};

const checks = {
  async "a session is made, read with its lines, and expired"() {
    const made = await create();
    assert.match(made.id, /^cs_test_/);
    assert.equal(made.amount_total, 2500);
    const read = await stripe.checkout.sessions.retrieve(made.id, { expand: ["line_items"] });
    assert.deepEqual([read.status, read.payment_status, read.metadata.userId], ["open", "unpaid", "ada"]);
    assert.deepEqual(read.line_items.data.map((line) => [line.description, line.quantity]), [["Tea", 2], ["Cup", 1]]);
    const lines = await stripe.checkout.sessions.listLineItems(made.id);
    assert.deepEqual(lines.data.map((line) => line.amount_total), [2000, 500]);
    assert.equal((await stripe.checkout.sessions.expire(made.id)).status, "expired");
    await assert.rejects(stripe.checkout.sessions.expire(made.id), Stripe.errors.StripeInvalidRequestError);
  },
  async "a payment is read with its charge"() {
    const { id } = await create();
    await control("POST", `sessions/${id}/pay`);
    const paid = await stripe.checkout.sessions.retrieve(id, { expand: ["payment_intent.latest_charge"] });
    assert.deepEqual([paid.status, paid.payment_status], ["complete", "paid"]);
    assert.equal(paid.payment_intent.latest_charge.amount, 2500);
    assert.equal((await stripe.paymentIntents.retrieve(paid.payment_intent.id)).status, "succeeded");
  },
  async "lists are followed over their pages"() {
    for (let left = 7; left > 0; left--) await create();
    const all = [];
    for await (const session of stripe.checkout.sessions.list({ limit: 3 })) all.push(session.id);
    assert.ok(all.length >= 9);
    assert.equal(new Set(all).size, all.length);
    const back = await stripe.checkout.sessions.list({ limit: 100, ending_before: all.at(-1) });
    assert.deepEqual(back.data.map((session) => session.id), all.slice(0, -1));
    const some = await stripe.events.list({ limit: 2 });
    assert.equal(some.data.length, 2);
    assert.equal((await stripe.events.retrieve(some.data[0].id)).id, some.data[0].id);
  },
  async "the same key is the same session, and other parameters are an error"() {
    const first = await create({ idempotencyKey: "one" });
    const again = await create({ idempotencyKey: "one" });
    assert.equal(again.id, first.id);
    assert.equal(again.lastResponse.headers["idempotent-replayed"], "true");
    const other = create({ idempotencyKey: "one" }, { client_reference_id: "x" });
    await assert.rejects(other, Stripe.errors.StripeIdempotencyError);
  },
  async "two at once with one key are one session"() {
    await faults({ api_delay_ms: 300 });
    const both = await Promise.allSettled([create({ idempotencyKey: "both" }), create({ idempotencyKey: "both" })]);
    await faults({});
    const refused = both.filter((one) => one.status === "rejected").map((one) => one.reason);
    assert.equal(refused.length, 1);
    assert.deepEqual([refused[0].statusCode, refused[0].code], [409, "idempotency_key_in_use"]);
  },
  async "a stored 500 is stored"() {
    await faults({ api: { status: 500, stored: true } });
    await assert.rejects(create({ idempotencyKey: "spent" }), Stripe.errors.StripeAPIError);
    await faults({});
    const again = await create({ idempotencyKey: "spent" }).catch((error) => error);
    assert.ok(again instanceof Stripe.errors.StripeAPIError, `${again}`);
    assert.equal(again.headers["idempotent-replayed"], "true");
    await create({ idempotencyKey: "new" });
  },
  async "errors have their classes, codes and parameters"() {
    const errorOf = (promise) => promise.then(() => assert.fail("taken"), (error) => error);
    const missing = await errorOf(stripe.checkout.sessions.retrieve("cs_test_nobody"));
    assert.deepEqual([missing.statusCode, missing.code, missing.type], [404, "resource_missing", "StripeInvalidRequestError"]);
    const wrong = await errorOf(create({}, { line_items: [{ quantity: 1, price_data: { currency: "inr", unit_amount: -1, product_data: { name: "x" } } }] }));
    assert.equal(wrong.type, "StripeInvalidRequestError");
    assert.match(wrong.param, /unit_amount/);
    const unknown = await errorOf(create({}, { discount: "all" }));
    assert.deepEqual([unknown.code, unknown.param], ["parameter_unknown", "discount"]);
    const stranger = await errorOf(client("nobody").events.list());
    assert.equal(stranger.type, "StripeAuthenticationError");
    await faults({ api: { status: 429 } });
    const limited = await errorOf(stripe.events.list());
    assert.deepEqual([limited.type, limited.code], ["StripeRateLimitError", "rate_limit"]);
    await faults({ api: { how: "cut" } });
    assert.equal((await errorOf(stripe.events.list())).type, "StripeConnectionError");
    await faults({});
  },
  async "what the library tries again becomes one session"() {
    const stubborn = client("sk_test_clients", { maxNetworkRetries: 12 });
    const before = (await control("GET", "sessions?limit=1")).counts.open;
    const seed = Number(process.env.STOREFRONT_SEED ?? Math.floor(Math.random() * 2 ** 32));
    console.error(`seed ${seed}`);
    // Made, and the answer lost; not made, and to be tried again.
    for (const api of [{ how: "cut", applied: true }, { how: "cut" }, { status: 429 }, { status: 503 }]) {
      await faults({ seed, api: { share: 0.5, ...api } });
      await stubborn.checkout.sessions.create(cart());
    }
    await faults({});
    assert.equal((await control("GET", "sessions?limit=1")).counts.open - before, 4);
  },
  async "webhooks are signed, and what was tampered with is found out"() {
    const read = ({ body, signature }) => stripe.webhooks.constructEvent(body, signature, secret);
    await until(() => deliveries.some((delivery) => read(delivery).type === "checkout.session.completed"));
    deliveries.length = 0;
    await faults({ webhooks: "tamper" });
    const { id } = await create();
    await control("POST", `sessions/${id}/pay`);
    await until(() => deliveries.length >= 4);
    for (const delivery of deliveries) {
      assert.throws(() => read(delivery), Stripe.errors.StripeSignatureVerificationError);
    }
    deliveries.length = 0;
    await faults({ webhook_skew_s: -400 });
    await control("POST", `sessions/${(await create()).id}/pay`);
    await until(() => deliveries.length >= 4);
    assert.throws(() => read(deliveries[0]), /outside the tolerance zone/);
    await faults({});
  },
  async "a delayed payment is complete before it is paid"() {
    const types = () => deliveries.map(({ body }) => JSON.parse(body)).map((event) => [event.type, event.data.object.payment_status]);
    deliveries.length = 0;
    const { id } = await create();
    await control("POST", `sessions/${id}/delay`);
    await until(() => types().some(([type, status]) => type === "checkout.session.completed" && status === "unpaid"));
    await control("POST", `sessions/${id}/settle`);
    await until(() => types().some(([type, status]) => type === "checkout.session.async_payment_succeeded" && status === "paid"));
  },
};

for (const [check, run] of Object.entries(checks)) {
  await run().catch((error) => {
    console.error(`${check}: ${error.stack}`);
    process.exit(1);
  });
  say({ held: check });
}
process.exit(0);
