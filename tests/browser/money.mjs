// Writes amounts as the cart page's script does: [{amount, form}] on standard input, [text] on standard output.
import { readFileSync } from "node:fs";

// Node takes a file named .js for a script of the older kind, the browser for a module.
const source = readFileSync(new URL("../../services/gateway/src/pages/money.js", import.meta.url));
const { money } = await import(`data:text/javascript;base64,${source.toString("base64")}`);
const cases = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(({ amount, form }) => money(amount, form))));
