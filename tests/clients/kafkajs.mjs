// Reads COUNT messages of a topic from its start with kafkajs; prints each with its headers as a JSON line.
import { Kafka, logLevel } from "kafkajs";

const [broker, topic, count] = process.argv.slice(2);
const kafka = new Kafka({ clientId: "clients", brokers: [broker], logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: `clients-${process.pid}` });
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
let left = Number(count);
await new Promise((done, failed) => {
  consumer.run({
    eachMessage: async ({ partition, message }) => {
      const headers = Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, value.toString()]));
      console.log(JSON.stringify({ partition, key: message.key?.toString(), headers, value: message.value.toString() }));
      if (--left === 0) done();
    },
  }).catch(failed);
});
await consumer.disconnect();
