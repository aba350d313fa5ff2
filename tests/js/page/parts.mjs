// Arena, reports, status.
import assert from "node:assert/strict";
import {
  answerAtPaces,
  close,
  download,
  message,
  MODELS,
  open,
  reload,
  shoot,
  until,
  url,
} from "./harness.mjs";

const partLink = (page, name) => page.getByRole("navigation").getByRole("link", { name });
const voteButton = (page, name) => page.getByRole("button", { name, exact: true });

async function askBoth(page, text) {
  await message(page).fill(text);
  await page.keyboard.press("Enter");
  await voteButton(page, "Tie").waitFor();
}

export const tests = {
  async arenaVoteAndTally() {
    const page = await open();
    await partLink(page, "Arena").click();
    await shoot(page, "arena-setup");
    await askBoth(page, "Write a Python function that returns the largest number of a list.");
    const cards = page.locator(".answer-card");
    assert.equal(await cards.count(), 2);
    const hidden = await page.locator(".arena").innerText();
    for (const model of MODELS) assert.ok(!hidden.includes(model), "blind, but the name is shown");
    assert.ok(!hidden.includes("to first token"), "the speed tells who it is");
    await askBoth(page, "And the smallest?"); // the second turn
    assert.equal(await cards.count(), 4);
    await shoot(page, "arena-blind");
    await voteButton(page, "A is better").click();
    await page.getByText("Noted: A is better").waitFor();
    const winner = await cards.first().locator("header").innerText();
    assert.match(winner, /^Answer A · tandem-(qwen|phi)-tiny$/);
    assert.match(await cards.last().innerText(), /to first token/);
    const tally = page.getByRole("region", { name: "Tally" });
    const name = winner.split(" · ")[1];
    assert.ok(
      (await tally.innerText()).includes(
        `1 vote · ${name} won 100% of 1 decided (95%: 21% to 100%)`,
      ),
      await tally.innerText(),
    );
    await shoot(page, "arena-voted");
    for (const choice of ["Tie", "Both bad", "B is better"]) {
      await askBoth(page, "Name a colour."); // a new round each
      await voteButton(page, choice).click();
      await page.getByText(`Noted: ${choice}`).waitFor();
    }
    assert.match(await tally.innerText(), /ties 1 · both bad 1/);
    assert.match(await tally.innerText(), /4 votes · .* of 2 decided/);
    await reload(page);
    await until(async () => /4 votes/.test(await tally.innerText()), "votes are lost");
    const csv = await download(page, () => voteButton(page, "Export CSV").click());
    assert.equal(csv.text.trim().split("\r\n")[0].split(",").length, 8);
    const json = JSON.parse(
      (await download(page, () => voteButton(page, "Export as JSON").click())).text,
    );
    assert.deepEqual(
      json.votes.map((v) => v.choice),
      ["a", "tie", "bad", "b"],
    );
    assert.equal(json.votes[0].prompts.length, 2);
    assert.equal(json.votes[0][json.votes[0].choice], name);
    await voteButton(page, "Delete all votes").click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("No votes yet.").waitFor();
    await close(page);
  },

  async arenaHidesThePace() {
    const page = await open();
    const server = await answerAtPaces(page, { [MODELS[0]]: 2, [MODELS[1]]: 40 }, 40);
    await partLink(page, "Arena").click();
    const lengths = () =>
      page
        .locator(".answer-card:nth-last-child(-n + 2) .prose")
        .evaluateAll((texts) => texts.slice(-2).map((text) => text.innerText.trim().length));
    await message(page).fill("Hello");
    await page.keyboard.press("Enter");
    let most = 0;
    while ((await page.locator(".answer-card[aria-busy=true]").count()) > 0) {
      const [a, b] = await lengths();
      assert.equal(a, b, "one side is ahead");
      most = Math.max(most, a);
    }
    assert.ok(most > 20, "nothing was shown while it came");
    await voteButton(page, "Tie").waitFor();
    await message(page).fill("And once more");
    await page.keyboard.press("Enter");
    await until(async () => (await lengths())[0] > 20, "no answer");
    await page.keyboard.press("Escape");
    await voteButton(page, "Tie").waitFor();
    const [a, b] = await lengths();
    assert.equal(a, b, "the stopped answers tell who was ahead");
    await voteButton(page, "Tie").click();
    server.close();
    await close(page);
  },

  async arenaWithAFailureHasNoVote() {
    const page = await open();
    await page.route("**/v1/chat/completions", (route) =>
      route.request().postDataJSON().model === MODELS[0]
        ? route.continue()
        : route.fulfill({ status: 503, json: { error: { message: "no room", code: "x" } } }),
    );
    await partLink(page, "Arena").click();
    await message(page).fill("Hello");
    await page.keyboard.press("Enter");
    await page.getByText("nothing to vote on").waitFor();
    assert.match(await page.locator(".arena").innerText(), /tandem-phi-tiny[\s\S]*no room/);
    assert.equal(await voteButton(page, "Tie").count(), 0);
    await page.unroute("**/v1/chat/completions");
    await askBoth(page, "Again");
    assert.equal(await page.locator(".answer-card").count(), 2);
    await close(page);
  },

  async arenaOpenWithSettings() {
    const page = await open();
    const sent = [];
    page.on("request", (request) => {
      if (request.url().endsWith("completions")) sent.push(request.postDataJSON());
    });
    await partLink(page, "Arena").click();
    await page.getByRole("switch").uncheck();
    await page.getByRole("combobox", { name: "Right model" }).selectOption(MODELS[0]);
    await page.getByText("Choose two different models").waitFor();
    await message(page).fill("Hello");
    assert.ok(await page.getByRole("button", { name: "Send" }).isDisabled());
    await page.getByText("Settings of this side").last().click();
    await page.getByLabel("Temperature").last().fill("1.2");
    await page.keyboard.press("Tab");
    await askBoth(page, "Hello");
    assert.deepEqual(sent.map((s) => [s.model, s.temperature ?? 0]).sort(), [
      [MODELS[0], 0],
      [MODELS[0], 1.2],
    ]);
    assert.match(
      await page.locator(".answer-card header").last().innerText(),
      /Answer B · tandem-qwen-tiny \(temperature 1.2\)/,
    );
    await close(page);
  },

  async report() {
    const page = await open();
    await partLink(page, "Reports").click();
    await page.locator(".run-card").first().waitFor();
    await shoot(page, "reports");
    await page.locator(".run-card", { hasText: MODELS[0] }).click();
    await page.getByRole("heading", { name: "Scores" }).waitFor();
    assert.equal(await page.locator(".group").count(), 6);
    await shoot(page, "report");
    const all = await page.locator("details.item").count();
    assert.equal(all, 8);
    await page.locator("details.item summary").first().click();
    await page.locator("details.item[open] .item-answer").first().waitFor();
    await page.getByRole("combobox", { name: "Filter" }).selectOption("differ");
    assert.ok((await page.locator("details.item").count()) < all);
    const [tab] = await Promise.all([
      page.context().waitForEvent("page"),
      page.getByRole("link", { name: "Whole report" }).click(),
    ]);
    await tab.waitForLoadState();
    assert.match(await tab.locator("h1").innerText(), /tandem-qwen-tiny/);
    await tab.getByRole("button", { name: "中文" }).click(); // its script runs
    assert.equal(await tab.evaluate(() => self.origin), "null");
    await shoot(tab, "whole-report");
    await close(page);
  },

  async status() {
    const page = await open();
    await partLink(page, "Status").click();
    const speed = page.getByRole("img", { name: /^Speed/ });
    await speed.waitFor();
    assert.equal(await page.locator("canvas").count(), 6);
    await until(async () => {
      await fetch(`${url}v1/chat/completions`, {
        method: "POST",
        body: JSON.stringify({
          messages: [{ role: "user", content: "Hi" }],
          max_tokens: 50,
          ignore_eos: true,
        }),
      });
      return /tandem-qwen-tiny [1-9]/.test(await speed.getAttribute("aria-label"));
    }, "the chart shows no tokens");
    for (const name of [
      /^Time to first token, ms: p50 [\d.]+, p99 [\d.]+/,
      /^Time between tokens, ms: p50 [\d.]+, p99 [\d.]+/,
      /^Memory, MiB: tandem-qwen-tiny [1-9]/,
      /^KV cache in use, %: tandem-qwen-tiny \d/,
      /^Load, requests: Running \d/,
    ])
      assert.equal(await page.getByRole("img", { name }).count(), 1, String(name));
    const drawn = await page
      .locator("canvas")
      .nth(1)
      .evaluate((canvas) =>
        canvas
          .getContext("2d")
          .getImageData(0, 0, canvas.width, canvas.height)
          .data.some((v) => v),
      );
    assert.ok(drawn, "an empty chart");
    assert.match(await page.locator(".page").innerText(), /Tandem \d.* CPUs/);
    assert.match(await page.getByRole("row", { name: /tandem-qwen-tiny/ }).innerText(), /Qwen2/);
    await shoot(page, "status");
    await close(page);
  },
};
