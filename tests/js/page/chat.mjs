import assert from "node:assert/strict";
import {
  answerAtPaces,
  answerWith,
  close,
  download,
  makeEndless,
  message,
  MODELS,
  newChat,
  open,
  reload,
  replies,
  say,
  setField,
  shoot,
  until,
  url,
} from "./harness.mjs";

const CODE = "Write a Python function that returns the even numbers of a list.";
const menuOf = (page) => page.getByRole("button", { name: /^Actions: / }).first();

export const tests = {
  async chat() {
    const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
    await shoot(page, "welcome");
    await setField(page, "Temperature", 0);
    await say(page, CODE);
    const reply = replies(page).last();
    assert.match(
      await reply.locator(".figures").innerText(),
      /\d+ tokens · .* to first token · [\d.]+ tokens\/s/,
    );
    const code = await reply.locator("pre").innerText();
    assert.match(code, /def \w+\(/);
    await reply.getByRole("button", { name: "Copy" }).first().click();
    await reply.getByRole("button", { name: "Copied" }).first().waitFor();
    assert.equal((await page.evaluate(() => navigator.clipboard.readText())).trim(), code.trim());
    const meter = page.getByRole("meter", { name: "Context" });
    await until(async () => / \/ 1024$/.test(await meter.innerText()), "no context meter");
    const before = Number(await meter.getAttribute("aria-valuenow"));
    await message(page).fill("and now a much longer question, of many more words than none");
    await until(
      async () => Number(await meter.getAttribute("aria-valuenow")) > before,
      "the meter does not count the draft",
    );
    await say(page, "What is 2 + 2?");
    assert.equal(await replies(page).count(), 2);
    await page.getByRole("combobox", { name: "Model" }).selectOption(MODELS[1]);
    await say(page, "What is 2 + 3?");
    assert.equal(await replies(page).last().locator("header").innerText(), MODELS[1]);
    await shoot(page, "chat");
    await close(page);
  },

  async systemPromptAndSamplingAreSent() {
    const page = await open();
    const sent = [];
    page.on("request", (request) => {
      if (request.url().endsWith("completions")) sent.push(request.postDataJSON());
    });
    await page.getByRole("button", { name: "Settings", exact: true }).click();
    for (const [name, value] of [
      ["Temperature", 0.5],
      ["Top-p", 0.9],
      ["Top-k", 20],
      ["Min-p", 0.1],
      ["Repetition penalty", 1.1],
      ["Max. tokens", 3],
      ["Seed", 7],
    ])
      await page.getByLabel(name, { exact: true }).fill(String(value));
    await page.getByLabel("System prompt").fill("Be brief.");
    await shoot(page, "settings");
    await say(page, "Hello");
    assert.match(await replies(page).last().innerText(), /Cut at max. tokens/);
    const { messages, ...fields } = sent[0];
    assert.deepEqual(messages, [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hello" },
    ]);
    assert.deepEqual(fields, {
      model: MODELS[0],
      temperature: 0.5,
      top_p: 0.9,
      top_k: 20,
      min_p: 0.1,
      repetition_penalty: 1.1,
      max_tokens: 3,
      seed: 7,
      stream: true,
      stream_options: { include_usage: true },
    });
    await close(page);
  },

  async stop() {
    const page = await open();
    await makeEndless(page);
    for (const stop of [
      () => page.getByRole("button", { name: "Stop" }).click(),
      () => page.keyboard.press("Escape"),
    ]) {
      await newChat(page);
      await message(page).fill("Tell me all.");
      await page.keyboard.press("Enter");
      await page.locator(".reply .prose > *").first().waitFor();
      await stop();
      await page.getByText("Stopped").waitFor();
      const idle = `tandem_requests_running{model="${MODELS[0]}"} 0`;
      await until(
        async () => (await (await fetch(`${url}metrics`)).text()).includes(idle),
        "the answer goes on after it was stopped",
      );
    }
    await close(page);
  },

  async figuresWhileTheAnswerComes() {
    const page = await open();
    await makeEndless(page);
    await message(page).fill("Tell me all.");
    await page.keyboard.press("Enter");
    await page.locator(".reply[aria-busy=true] .figures", { hasText: "tokens/s" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("Stopped").waitFor();
    await close(page);
  },

  async theMeterStaysWhileAnAnswerComes() {
    const page = await open();
    const meter = page.getByRole("meter", { name: "Context" });
    await say(page, "Hello");
    await meter.waitFor();
    const server = await answerAtPaces(page, { [MODELS[0]]: 250 });
    await message(page).fill("Go on.");
    await page.keyboard.press("Enter");
    await page.locator(".reply[aria-busy=true] .prose > *").first().waitFor();
    assert.ok(await meter.isVisible());
    await page.keyboard.press("Escape");
    await page.getByText("Stopped").waitFor();
    server.close();
    await close(page);
  },

  async whoReadsFurtherUpGetsBackToTheEnd() {
    const page = await open();
    await answerWith(page, "A paragraph.\n\n".repeat(80));
    await say(page, "Write much.");
    const box = page.locator(".messages");
    const distance = () => box.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight);
    const toEnd = page.getByRole("button", { name: "To the end" });
    assert.ok((await distance()) < 2, "it does not follow the answer");
    assert.equal(await toEnd.count(), 0);
    await box.evaluate((e) => e.scrollTo(0, 300));
    await toEnd.waitFor();
    await shoot(page, "scrolled-up");
    await toEnd.click();
    await toEnd.waitFor({ state: "detached" });
    assert.ok((await distance()) < 2);
    await close(page);
  },

  async tabsSeeEachOthersConversations() {
    const page = await open();
    await say(page, "Name a fruit.");
    await page.waitForTimeout(400);
    const other = await page.context().newPage();
    await other.goto(url);
    await other.getByRole("link", { name: "Name a fruit." }).waitFor();
    await say(other, "Name a colour."); // the first tab hears of it by itself
    await page.getByRole("link", { name: "Name a colour." }).waitFor();
    assert.equal(await page.locator(".question > p").innerText(), "Name a fruit.");
    await close(page);
  },

  async adaptersAreNamed() {
    const page = await open();
    await page.route("**/v1/models", (route) =>
      route.fulfill({
        json: {
          data: [
            { id: "qwen", loaded: true },
            { id: "qwen:my-style", loaded: false, adapter_of: "qwen" },
          ],
        },
      }),
    );
    await page.reload();
    const select = page.getByRole("combobox", { name: "Model" });
    await select.selectOption({ label: "qwen with adapter my-style" });
    assert.equal(await select.inputValue(), "qwen:my-style");
    await close(page);
  },

  async regenerateAndEditMakeBranches() {
    const page = await open();
    await setField(page, "Temperature", 1.5);
    await say(page, "List five animals.");
    const first = await replies(page).locator(".prose").innerText();
    await page.getByRole("button", { name: "Regenerate" }).click();
    await page.getByText("2/2").waitFor();
    await page.locator(".reply[aria-busy=false]").waitFor();
    await page.getByRole("button", { name: "Previous version" }).click();
    await page.getByText("1/2").waitFor();
    assert.equal(await replies(page).locator(".prose").innerText(), first);
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByRole("textbox", { name: "Edit" }).fill("List five colours.");
    await page.keyboard.press("Enter");
    await page.getByText("List five colours.", { exact: true }).waitFor();
    await page.locator(".reply[aria-busy=false]").waitFor();
    await shoot(page, "branches");
    await page.locator(".question").getByRole("button", { name: "Previous version" }).click();
    assert.equal(await page.locator(".question > p").innerText(), "List five animals.");
    assert.equal(await replies(page).locator(".prose").innerText(), first);
    await page.getByRole("button", { name: "Edit" }).click();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".question > p").innerText(), "List five animals.");
    await close(page);
  },

  async conversationsSurviveReloads() {
    const page = await open();
    await say(page, "What is 3 + 4?");
    await page.getByRole("button", { name: "Regenerate" }).click();
    await page.getByText("2/2").waitFor();
    await page.locator(".reply[aria-busy=false]").waitFor();
    const text = await replies(page).locator(".prose").innerText();
    await newChat(page);
    await say(page, "Name a fruit.");
    await reload(page);
    assert.equal(await page.locator(".question > p").innerText(), "Name a fruit.");
    await page.getByRole("link", { name: "What is 3 + 4?" }).click();
    await page.getByText("2/2").waitFor();
    assert.equal(await replies(page).locator(".prose").innerText(), text);
    await close(page);
  },

  async renameAndDelete() {
    const page = await open();
    await say(page, "Name a fruit.");
    await menuOf(page).click();
    await page.getByRole("menuitem", { name: "Rename" }).click();
    await page.getByRole("textbox", { name: "New name" }).fill("Fruits");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "Fruits" }).waitFor();
    await menuOf(page).click();
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("Nothing yet.").waitFor();
    await reload(page);
    await page.getByText("Nothing yet.").waitFor();
    await close(page);
  },

  async exportAndImport() {
    const page = await open();
    await setField(page, "Seed", 3);
    await say(page, "Name a fruit.");
    await page.getByRole("button", { name: "Regenerate" }).click();
    await page.getByText("2/2").waitFor();
    await page.locator(".reply[aria-busy=false]").waitFor();
    const pick = (name) => async () => {
      await menuOf(page).click();
      await page.getByRole("menuitem", { name }).click();
    };
    const markdown = await download(page, pick("Export as Markdown"));
    const json = await download(page, pick("Export as JSON"));
    const [{ messages }] = JSON.parse(json.text).conversations;
    const [question] = messages.root.children;
    const answer = messages[messages[question].children[1]].text;
    assert.equal(markdown.name, "Name-a-fruit.md");
    assert.equal(
      markdown.text,
      `# Name a fruit.\n\n## You\n\nName a fruit.\n\n## ${MODELS[0]}\n\n${answer}\n`,
    );
    await close(page);

    const other = await open();
    const importText = async (text) => {
      await other.getByRole("button", { name: "Conversations" }).click();
      const [chooser] = await Promise.all([
        other.waitForEvent("filechooser"),
        other.getByRole("menuitem", { name: "Import" }).click(),
      ]);
      await chooser.setFiles({
        name: "c.json",
        mimeType: "application/json",
        buffer: Buffer.from(text),
      });
    };
    await importText(json.text);
    await other.getByRole("link", { name: "Name a fruit." }).click();
    await other.getByText("2/2").waitFor();
    const whole = JSON.parse(json.text);
    const { root } = whole.conversations[0].messages;
    root.children.push("root"); // a circle
    for (const text of ["{", "{}", JSON.stringify(whole)]) {
      await importText(text);
      await other.getByText("This file holds no conversations").waitFor();
    }
    assert.equal(await other.locator(".conversations li").count(), 1);
    await close(other);
  },

  async markdown() {
    const page = await open();
    await answerWith(
      page,
      [
        "# Title",
        'Some *emphasis*, `code`, a [link](https://example.org/a?b=c&d="e").',
        "",
        "| a | b |",
        "|---|--:|",
        "| 1 | 2 |",
        "",
        "1. first",
        "   ```js",
        "   const x = 1; // note",
        "   ```",
        "2. second",
        "   - [x] done",
        "",
        "> quoted",
        "",
        "```python",
        "def f(x):  # comment",
        '    return "a" + str(1)',
        "```",
        "",
        "x<br>y and 1 < 2 && 3 > 2",
      ].join("\n"),
    );
    await say(page, "show");
    const prose = replies(page).locator(".prose");
    assert.equal(await prose.locator("h1").innerText(), "Title");
    const link = prose.getByRole("link", { name: "link" });
    assert.equal(await link.getAttribute("target"), "_blank");
    assert.match(await link.getAttribute("rel"), /noopener/);
    assert.equal(await prose.locator("td").count(), 2);
    const sides = (selector) =>
      prose.locator(selector).evaluateAll((all) => all.map((e) => getComputedStyle(e).textAlign));
    assert.deepEqual([await sides("th"), await sides("td")], [
      ["left", "right"],
      ["start", "right"],
    ]);
    assert.equal(await prose.locator("ol > li").count(), 2);
    assert.equal(
      await prose.locator("li figure.code").getByRole("button", { name: "Copy" }).count(),
      1,
    );
    assert.equal(await prose.locator("li input[type=checkbox]").isChecked(), true);
    assert.equal(await prose.locator(".code-comment").last().innerText(), "# comment");
    assert.equal(await prose.locator("br").count(), 1);
    assert.match(await prose.innerText(), /1 < 2 && 3 > 2/);
    await shoot(page, "markdown");
    await close(page);
  },
};
