// Reads an AsyncAPI document with the reference parser; prints what is wrong with it, a line each.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const [file] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"), { source: file });
for (const { message, path, severity } of diagnostics) console.log(JSON.stringify({ message, path: path.join("."), severity }));
if (!document) process.exit(1);
