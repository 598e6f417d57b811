// Makes and reads a Checkout session at a base URL with Stripe's own library; prints both as JSON lines.
import Stripe from "stripe";

const base = new URL(process.argv[2]);
const stripe = new Stripe("sk_test_clients", {
  host: base.hostname, port: base.port, protocol: base.protocol.replace(":", ""), maxNetworkRetries: 0, telemetry: false,
});
const made = await stripe.checkout.sessions.create({
  mode: "payment",
  success_url: "http://127.0.0.1/success?session_id={CHECKOUT_SESSION_ID}",
  line_items: [{ quantity: 2, price_data: { currency: "inr", unit_amount: 1000, product_data: { name: "Tea" } } }],
  metadata: { userId: "ada" },
}, { idempotencyKey: "clients-1" });
console.log(JSON.stringify(made));
console.log(JSON.stringify(await stripe.checkout.sessions.retrieve(made.id)));
