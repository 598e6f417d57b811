// Stands in for the order service: takes payments and tells of orders, with kafkajs, until COUNT were told of.
import { randomUUID } from "node:crypto";
import { Kafka, logLevel } from "kafkajs";

const [broker, count] = process.argv.slice(2);
const kafka = new Kafka({ clientId: "orders", brokers: [broker], logLevel: logLevel.ERROR });
const producer = kafka.producer({ idempotent: true });
const consumer = kafka.consumer({ groupId: "order-service" });
await producer.connect();
await consumer.connect();
await consumer.subscribe({ topic: "payment-successful", fromBeginning: true });
let left = Number(count);
await new Promise((done, failed) => {
  consumer.run({
    eachMessage: async ({ message }) => {
      const { userId, cart, amount, currency, sessionId, orderId } = JSON.parse(message.value);
      const order = { orderId, userId, cart, amount, currency, sessionId, createdAt: new Date().toISOString() };
      const headers = {
        ce_specversion: "1.0",
        ce_id: randomUUID(),
        ce_type: "dev.storefront.order-successful",
        ce_source: "/shops/default/demo/foreign",
        ce_time: order.createdAt,
        "content-type": "application/json",
        traceparent: message.headers.traceparent,
      };
      const told = { key: message.key, value: JSON.stringify(order), headers };
      // Twice, as after a crash between sending and committing.
      await producer.send({ topic: "order-successful", messages: [told, told] });
      console.log(JSON.stringify(order));
      if (--left === 0) done();
    },
  }).catch(failed);
});
await consumer.disconnect();
await producer.disconnect();
