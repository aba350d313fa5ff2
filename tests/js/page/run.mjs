// The page in Chromium: arguments are the address of a server of the two bundled models, that of
// one that wants a key, and a folder for screenshots. TANDEM_ONLY picks tests by name.
import { browser, shoot } from "./harness.mjs";
import { tests as chat } from "./chat.mjs";
import { tests as look } from "./look.mjs";
import { tests as parts } from "./parts.mjs";
import { tests as untrusted } from "./untrusted.mjs";

// What a failed test leaves open, so that its log tells what was on the screen.
async function describePages(name) {
  for (const context of browser.contexts()) {
    for (const page of context.pages()) {
      console.log(`${page.url()}\n${await page.locator("body").innerText()}`);
      console.log(page.faults ?? []);
      await shoot(page, `failed-${name}`);
    }
    await context.close();
  }
}

const only = process.env.TANDEM_ONLY;
let failed = 0;
for (const [name, test] of Object.entries({ ...chat, ...parts, ...look, ...untrusted })) {
  if (only && !name.includes(only)) continue;
  try {
    await test();
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}: ${error.stack}`);
    await describePages(name).catch(console.log);
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
