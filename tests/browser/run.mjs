// Runs flows against a shop and prints one JSON line for each: {flow, width, ms} or {flow, width, error}.
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";
import { GROUPS } from "./flows.mjs";
import { Shopper } from "./shopper.mjs";
import { STAND_INS } from "./standins.mjs";

const WIDTHS = [1280, 360];
const shop = JSON.parse(process.argv[2]);
mkdirSync(shop.pictures, { recursive: true });

const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
// A shop in a cluster has a name that only the cluster knows.
if (shop.resolve) args.push(`--host-resolver-rules=${shop.resolve}`);
const browser = await chromium.launch({ executablePath: shop.chromium ?? "/usr/bin/chromium", args });
let failures = 0;

async function at(width, flow, run) {
  const shopper = new Shopper(browser, shop, flow, width);
  const began = Date.now();
  const said = { flow, width };
  try {
    await run(shopper);
    shopper.expectNoErrors();
    said.ms = Date.now() - began;
  } catch (error) {
    failures += 1;
    said.error = error.stack;
    await shopper.picture("failed").catch(() => {});
  }
  await shopper.leave();
  console.log(JSON.stringify(said));
}

for (const [flow, { run, widths = WIDTHS, alone = false }] of Object.entries({ ...GROUPS, "stand-ins": STAND_INS }[shop.group])) {
  if (shop.only && !flow.includes(shop.only)) continue;
  // A flow that changes the shop itself is alone in it.
  if (alone) for (const width of widths) await at(width, flow, run);
  else await Promise.all(widths.map((width) => at(width, flow, run)));
}
await browser.close();
process.exitCode = failures === 0 ? 0 : 1;
