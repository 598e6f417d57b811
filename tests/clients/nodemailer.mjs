// Sends mails of the kinds that shops send to PORT, all over one pooled connection; prints what the server said to each.
import nodemailer from "nodemailer";

const [port] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host: "127.0.0.1", port: Number(port), pool: true, maxConnections: 1, auth: { user: "shop", pass: "secret" },
});
const mails = [
  { subject: "plain", text: "Thank you.\n.\n..two dots\n" },
  { subject: "Ravi’s order ₹1,899 ✓", text: "Grüße", html: "<p>Grüße</p><script>alert(1)</script>" },
  { subject: "long", text: `${"x".repeat(900)}\n`.repeat(300) },
  { subject: "attached", text: "see there", attachments: [{ filename: "bill.pdf", content: Buffer.alloc(20_000, 7) }] },
  { subject: "smuggled\r\nBcc: eve@example.com", text: "one\r\n.\r\nMAIL FROM:<eve@example.com>\r\n" },
  { subject: "two", to: ["ada@example.com", "bob@example.com"], text: "both" },
];
for (const mail of mails) {
  const sent = await transport
    .sendMail({ from: "Café Demo <shop@example.com>", to: "Ada <ada@example.com>", ...mail })
    .then(({ accepted, response }) => ({ subject: mail.subject, accepted, response }))
    .catch(({ responseCode, code }) => ({ subject: mail.subject, responseCode, code }));
  console.log(JSON.stringify(sent));
}
transport.close();
