// Hostile models, missing keys, failing servers.
import assert from "node:assert/strict";
import {
  answerWith,
  close,
  download,
  KEY,
  keyedUrl,
  message,
  newChat,
  open,
  reload,
  replies,
  say,
  shoot,
  until,
  url,
} from "./harness.mjs";

const HOSTILE = [
  "<script>document.title='owned'</script>",
  "<img src=x onerror=\"document.title='owned'\">",
  "[run](javascript:document.title='owned')",
  "[RUN](JaVaScRiPt:document.title='owned')",
  "[tab](java\tscript:alert(1))",
  "[entity](&#106;avascript:alert(1))",
  "[data](data:text/html,<script>alert(1)</script>)",
  "[blob](blob:null/x)",
  "[file](file:///etc/passwd)",
  "[same](/v1/models)",
  '<iframe src="https://evil.example/"></iframe>',
  "<svg onload=\"document.title='owned'\"><script>1</script></svg>",
  "<style>body{display:none}</style>",
  "<link rel=stylesheet href=https://evil.example/a.css>",
  "![tracked](https://evil.example/pixel.png)",
  "![x](javascript:alert(1))",
  '![q](https://evil.example/"onerror="alert(1))',
  '<a href="javascript:alert(1)">raw</a>',
  "<form action=https://evil.example><input name=q><button>Send</button></form>",
  "<base href=https://evil.example/>",
  "<meta http-equiv=refresh content='0;url=https://evil.example'>",
  "<math><mtext><table><mglyph><style><!--</style>" +
    '<img title="--&gt;&lt;img src=x onerror=alert(1)&gt;">',
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
  "<https://evil.example/auto>",
  "[ref]: javascript:alert(1)",
  "[ref]",
  "| <img src=x onerror=alert(1)> | b |\n|---|---|\n| 1 | 2 |",
  '```html"onmouseover=alert(1)\n<script>alert(1)</script>\n```',
  '<div style="position:fixed;inset:0">cover</div>',
  "<p id=app class=frame name=body>clobbered</p>",
].join("\n\n");

// What an answer must not contain, wherever it is shown.
async function assertHarmless(page, place) {
  const found = await page
    .locator(place)
    .first()
    .evaluate((root) => {
      const bad = [
        ...root.querySelectorAll(
          "script, img, iframe, object, embed, svg:not(.icon), style, link, form, input, base, " +
            "meta, math, video, audio, template, [style], [id], [name]",
        ),
      ].map((e) => e.outerHTML);
      for (const e of root.querySelectorAll("*"))
        for (const { name, value } of e.attributes)
          if (/^on/i.test(name) || (name === "href" && !/^(https?:\/\/|mailto:)/.test(value)))
            bad.push(e.outerHTML);
      for (const a of root.querySelectorAll("a"))
        if (a.target !== "_blank" || !a.relList.contains("noopener")) bad.push(a.outerHTML);
      return bad;
    });
  assert.deepEqual(found, []);
  assert.match(await page.title(), /· Tandem$/);
}

export const tests = {
  async hostileAnswersDoNothing() {
    const page = await open();
    await answerWith(page, HOSTILE);
    await say(page, "Attack.");
    await page.waitForTimeout(500);
    await assertHarmless(page, ".reply .prose");
    const text = await replies(page).locator(".prose").innerText();
    assert.ok(text.includes("<script>document.title='owned'</script>"), "HTML is shown as text");
    assert.ok(text.includes("<iframe") && text.includes("<svg onload"));
    for (const target of await page.locator(".reply .prose :is(p, td, code, .code-string)").all())
      await target.hover({ timeout: 200, force: true }).catch(() => {});
    await shoot(page, "hostile");
    await reload(page);
    await replies(page).waitFor();
    await assertHarmless(page, ".reply .prose");
    await page.goto(`${url}#/arena`);
    await message(page).fill("Attack.");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Tie" }).waitFor();
    await assertHarmless(page, ".answer-card .prose");
    await close(page);
  },

  // Each wall stands alone: here, what the parser would have let through.
  async thePolicyStopsWhatGetsPast() {
    const page = await open();
    await page.evaluate(() => {
      const box = document.createElement("div");
      box.innerHTML =
        "<img src='https://evil.example/p.png' onerror=\"document.title='owned'\">" +
        "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>";
      const script = document.createElement("script");
      script.textContent = "document.title = 'owned'";
      document.body.append(box, script);
    });
    await page.waitForTimeout(300);
    assert.match(await page.title(), /· Tandem$/);
    const blocked = page.faults.filter((fault) => /policy|Content Security Policy/.test(fault));
    assert.ok(blocked.length >= 2, String(page.faults));
    await page.context().close();
  },

  async hostileReportsDoNothing() {
    const page = await open();
    await page.goto(`${url}#/reports`);
    await page.locator(".run-card", { hasText: "hostile" }).click();
    await page.locator("details.item summary").first().click();
    await page.locator("details.item[open]").first().waitFor();
    assert.equal(await page.locator(".report :is(script, img, iframe)").count(), 0);
    assert.match(await page.title(), /· Tandem$/);
    await close(page);
  },

  async apiKey() {
    const page = await open({}, keyedUrl);
    const field = page.getByLabel("API key", { exact: true }).and(page.locator("input"));
    await field.waitFor();
    await shoot(page, "api-key");
    await field.fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("The server does not know this key.").waitFor();
    await field.fill(KEY);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await say(page, "Hello");
    await reload(page); // the key stays, as long as the tab does
    await until(
      async () =>
        (await page.getByRole("combobox", { name: "Model" }).inputValue()) === "tandem-qwen-tiny",
      "the key is lost",
    );
    await page.getByRole("link", { name: "Hello" }).waitFor(); // and so is the conversation
    assert.equal(await page.getByRole("dialog").count(), 0);
    await page.goto(`${keyedUrl}#/reports`);
    await page.locator(".run-card", { hasNotText: "hostile" }).click();
    const save = page.getByRole("button", { name: "Save the whole report" });
    const report = await download(page, () => save.click());
    assert.equal(report.name, "tandem-qwen-tiny-tandem-phi-tiny.html");
    assert.match(report.text, /^<!doctype html>/);
    assert.equal(await page.evaluate(() => localStorage.getItem("tandem.key")), null);
    await close(page);
  },

  async apiKeyIsRememberedWhereThatIsWanted() {
    const page = await open({}, keyedUrl);
    const inNewTab = async () => {
      const tab = await page.context().newPage();
      await tab.goto(keyedUrl);
      return tab;
    };
    const field = (of) => of.getByLabel("API key", { exact: true }).and(of.locator("input"));
    const remember = (of) => of.getByLabel("Remember on this device");
    await field(page).fill(KEY);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const second = await inNewTab();
    assert.ok(!(await remember(second).isChecked()));
    await remember(second).check();
    await field(second).fill(KEY);
    await second.keyboard.press("Enter");
    await second.getByRole("dialog").waitFor({ state: "detached" });
    const third = await inNewTab();
    await say(third, "Hello");
    assert.equal(await third.getByRole("dialog").count(), 0);
    await third.getByRole("button", { name: "API key" }).click();
    await remember(third).uncheck(); // forgotten again
    await third.getByRole("button", { name: "Save" }).click();
    await third.getByRole("dialog").waitFor({ state: "detached" });
    await field(await inNewTab()).waitFor();
    await close(page);
  },

  async refusalsAreShownWithARemedy() {
    const page = await open();
    await say(page, "word ".repeat(3000));
    const alert = replies(page).getByRole("alert");
    assert.match(await alert.innerText(), /1024/);
    assert.match(await alert.innerText(), /Shorten the conversation/);
    await shoot(page, "refused");
    await newChat(page);
    await page.route("**/v1/chat/completions", (route) =>
      route.fulfill({
        status: 429,
        headers: { "Retry-After": "2" },
        contentType: "application/json",
        body: JSON.stringify({ error: { message: "queue is full", code: "queue_full" } }),
      }),
    );
    await say(page, "Hello");
    assert.match(await alert.innerText(), /queue is full[\s\S]*Try again in a moment/);
    await page.unroute("**/v1/chat/completions");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("2/2").waitFor();
    await page.locator(".reply[aria-busy=false]").waitFor();
    assert.equal(await alert.count(), 0);
    await close(page);
  },

  async itConnectsAgain() {
    const page = await open();
    await page.getByRole("combobox", { name: "Model" }).waitFor();
    const banner = page.getByText("The server cannot be reached. Trying again…");
    await page.route("**/v1/**", (route) => route.abort());
    await say(page, "Hello");
    await banner.waitFor();
    assert.match(await replies(page).getByRole("alert").innerText(), /tandem serve still running/);
    await page.unroute("**/v1/**");
    await banner.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Regenerate" }).click();
    await page.getByText("2/2").waitFor();
    await page.locator(".reply[aria-busy=false]").waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    await close(page);
  },

  async anAnswerThatBreaksOffSaysSo() {
    const page = await open();
    await page.route("**/v1/chat/completions", (route) =>
      route.fulfill({
        contentType: "text/event-stream",
        body: 'data: {"choices":[{"delta":{"content":"half an "},"finish_reason":null}]}\n\n',
      }),
    );
    await say(page, "Hello");
    assert.match(await replies(page).innerText(), /half an/);
    assert.match(await replies(page).getByRole("alert").innerText(), /broke off/);
    await close(page);
  },

  async aFullStorageSaysSo() {
    const page = await open();
    await page.evaluate(() => {
      IDBObjectStore.prototype.put = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
    });
    await say(page, "Hello");
    await page.getByText("This browser's storage is full").waitFor();
    await until(async () => (await replies(page).count()) === 1, "the answer is lost");
    await close(page);
  },
};
