// What the tests of the page share: a browser, pages that watch themselves, and small helpers.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

export const [url, keyedUrl, shots] = process.argv.slice(2);
export const MODELS = ["tandem-qwen-tiny", "tandem-phi-tiny"];
export const KEY = "the-key";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

mkdirSync(shots, { recursive: true });
export const browser = await chromium.launch({
  executablePath: process.env.TANDEM_CHROMIUM,
  args: FLAGS,
  headless: true,
});

// A page in a browser that knows nothing yet. It notes what a healthy page never does: requests to
// elsewhere, violations of the policy, errors.
export async function open(options = {}, address = url) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    ...options,
  });
  context.setDefaultTimeout(20000);
  // Routed from the start: a busy page's first request after a route was set may go past it.
  await context.route("**/v1/chat/completions", (route) => route.continue());
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(`error: ${error}`));
  page.on("dialog", (dialog) => {
    page.faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !text.startsWith("Failed to load resource"))
      page.faults.push(`console: ${text}`);
  });
  context.on("request", (request) => {
    if (!request.url().startsWith(address) && !request.url().startsWith("blob:"))
      page.faults.push(`request: ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  await page.goto(address);
  return page;
}

export async function close(page) {
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

export const shoot = (page, name) => page.screenshot({ path: `${shots}/${name}.png` });

export const message = (page) => page.getByRole("textbox", { name: /^(Message|消息)$/ });
export const replies = (page) => page.locator(".reply");

// Reloads once what was said has been kept.
export async function reload(page) {
  await page.waitForTimeout(400);
  await page.reload();
}

export async function newChat(page) {
  await page.getByRole("link", { name: "New chat" }).click();
  await page.locator(".welcome").waitFor(); // else what is said next counts the old replies
}

// Waits until the page knows a model to send to, and for the answer's end.
export async function say(page, text) {
  const count = await replies(page).count();
  await message(page).fill(text);
  await page.locator(".composer button.primary:enabled").waitFor();
  await page.keyboard.press("Enter");
  await replies(page).nth(count).waitFor();
  await page.locator(".reply[aria-busy=false]").nth(count).waitFor();
}

export async function setField(page, name, value) {
  await page.getByRole("button", { name: "Settings", exact: true }).click();
  await page.getByLabel(name, { exact: true }).fill(String(value));
  await page.keyboard.press("Tab");
  await page.getByRole("button", { name: "Close", exact: true }).click();
}

// Answers go on to the end of the context: time to do something while they come.
export const makeEndless = (page) =>
  page.route("**/v1/chat/completions", (route) =>
    route.continue({
      postData: JSON.stringify({
        ...route.request().postDataJSON(),
        ignore_eos: true,
        max_tokens: 900,
        n: 16, // all in one text
        temperature: 1,
        logprobs: true,
        top_logprobs: 20,
      }),
    }),
  );

const event = (value) => `data: ${JSON.stringify(value)}\n\n`;
const delta = (content) =>
  event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });

// A server of which each model takes so many milliseconds for a word. Without `words` answers go on
// until they are stopped, however long a busy machine takes to get there.
export async function answerAtPaces(page, paces, words = Infinity) {
  const server = createServer(async (request, reply) => {
    let body = "";
    for await (const piece of request) body += piece;
    const pace = paces[JSON.parse(body).model];
    reply.setHeader("Content-Type", "text/event-stream");
    for (let i = 0; i < words && !reply.destroyed; i++) {
      reply.write(delta("word "));
      await new Promise((resolve) => setTimeout(resolve, pace));
    }
    reply.end("data: [DONE]\n\n");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `http://127.0.0.1:${server.address().port}/`;
  await page.route("**/v1/chat/completions", (route) => route.continue({ url: address }));
  return server;
}

// A server that answers with `text`, in pieces.
export const answerWith = (page, text, finish = "stop") =>
  page.route("**/v1/chat/completions", (route) => {
    const pieces = text.match(/[\s\S]{1,7}/g) ?? [];
    const end = event({ choices: [{ index: 0, delta: {}, finish_reason: finish }] });
    return route.fulfill({
      contentType: "text/event-stream",
      body: pieces.map(delta).join("") + end + "data: [DONE]\n\n",
    });
  });

export async function download(page, click) {
  const [file] = await Promise.all([page.waitForEvent("download"), click()]);
  const stream = await file.createReadStream();
  const parts = [];
  for await (const part of stream) parts.push(part);
  return { name: file.suggestedFilename(), text: Buffer.concat(parts).toString() };
}

export async function until(condition, what) {
  for (let tries = 0; tries < 400; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(what);
}
