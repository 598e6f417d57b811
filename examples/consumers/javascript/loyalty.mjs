// Grants a loyalty point for each 100 rupees of an order: once for each order, however often it is sent and
// whenever this program is killed.
import { Kafka, logLevel } from "kafkajs";
import pg from "pg";

const group = "loyalty-service";
const topic = "order-successful";
const deadLetters = `${topic}.${group}.dlq`;

const database = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
await database.query(`
  CREATE TABLE IF NOT EXISTS seen (source TEXT, id TEXT, PRIMARY KEY (source, id));
  CREATE TABLE IF NOT EXISTS points (user_id TEXT PRIMARY KEY, points BIGINT NOT NULL)`);

const kafka = new Kafka({ clientId: group, brokers: process.env.KAFKA_BROKERS.split(","), logLevel: logLevel.ERROR });
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
const consumer = kafka.consumer({ groupId: group, sessionTimeout: 10_000 });
await makeDeadLetterTopic();
await producer.connect();
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({ eachMessage: take });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stop);

// Returns when the message is done with; kafkajs then commits its offset. Whatever is thrown here makes it try
// again, and nothing behind it on the partition is taken meanwhile: that is right for a database that is down.
async function take({ partition, message }) {
  const header = (name) => message.headers[name]?.toString();
  const replayFor = header("replay-group");
  if (replayFor && replayFor !== group) return; // somebody else's dead letter, sent again
  let order;
  try {
    order = read(message);
  } catch (error) {
    return giveUp(partition, message, error); // it will not get better
  }
  const source = header("ce_source") ?? topic;
  const id = header("ce_id") ?? `${partition}/${message.offset}`;
  const granted = await grant(source, id, order);
  console.log(JSON.stringify({ order: order.orderId, granted }));
}

// What this service needs of an order. Fields that it does not know are none of its business.
function read(message) {
  const order = JSON.parse(message.value);
  if (typeof order.userId !== "string" || !Number.isSafeInteger(order.amount)) throw new Error("userId or amount is missing");
  return order;
}

// The id and the points in one transaction: either both are there or neither.
async function grant(source, id, { userId, amount }) {
  const client = await database.connect();
  try {
    await client.query("BEGIN");
    const seen = await client.query("INSERT INTO seen VALUES ($1, $2) ON CONFLICT DO NOTHING", [source, id]);
    if (seen.rowCount === 1) {
      await client.query(
        "INSERT INTO points VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET points = points.points + excluded.points",
        [userId, Math.floor(amount / 10_000)],
      );
    }
    await client.query("COMMIT");
    return seen.rowCount === 1;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {}); // the connection may be gone; the first error tells why
    throw error;
  } finally {
    client.release();
  }
}

// The message as it was, with headers that say why and where it stood. It was not noted as seen, so that it can
// be sent again once the reason is mended.
async function giveUp(partition, { key, value, headers, offset }, error) {
  const added = {
    "dlq-reason": "invalid", "dlq-error": error.message.slice(0, 1000), "dlq-attempts": "1", "dlq-topic": topic,
    "dlq-partition": String(partition), "dlq-offset": offset, "dlq-time": new Date().toISOString(),
  };
  await producer.send({ topic: deadLetters, acks: -1, messages: [{ key, value, partition, headers: { ...headers, ...added } }] });
  console.log(JSON.stringify({ dead: `${partition}/${offset}` }));
}

// With as many partitions as its source: a dead letter keeps its own.
async function makeDeadLetterTopic() {
  const admin = kafka.admin();
  await admin.connect();
  if (!(await admin.listTopics()).includes(deadLetters)) {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    await admin.createTopics({ topics: [{ topic: deadLetters, numPartitions: topics[0].partitions.length }] });
  }
  await admin.disconnect();
}

async function stop() {
  await consumer.disconnect();
  await producer.disconnect();
  await database.end();
}
