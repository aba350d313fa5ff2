// Languages, light and dark, phones, keyboards, screen readers.
import assert from "node:assert/strict";
import {
  answerAtPaces,
  answerWith,
  close,
  message,
  MODELS,
  open,
  replies,
  say,
  shoot,
  until,
  url,
} from "./harness.mjs";

const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
const PARTS = ["chat", "arena", "reports", "status"];

async function visit(page, part) {
  await page.goto(`${url}#/${part}`);
  await page.locator(part === "chat" ? ".welcome" : ".page h1").waitFor();
  await page.waitForTimeout(400); // lists and charts
}

// Controls that a screen reader could not name.
const nameless = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("button, a[href], input, select, textarea, dialog, nav, canvas")]
      .filter((e) => !(e.getAttribute("aria-label") || e.innerText?.trim() || e.labels?.length))
      .map((e) => e.outerHTML.slice(0, 120)),
  );

export const tests = {
  async chinese() {
    const page = await open({ locale: "zh-CN" });
    await page.getByText("有什么可以帮你？").waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
    await say(page, "17 × 6 等于多少？");
    assert.match(await replies(page).innerText(), /词元\/秒/);
    await shoot(page, "chinese");
    for (const part of PARTS) {
      await visit(page, part);
      const text = await page.locator("main").innerText();
      assert.ok(/\p{Script=Han}/u.test(text), part);
      assert.ok(!/undefined|\{\w+\}/.test(text), text);
    }
    await page.getByRole("button", { name: "English" }).click();
    await page.getByRole("heading", { name: "Status" }).waitFor();
    await page.reload(); // the choice stays
    await page.getByRole("heading", { name: "Status" }).waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    await close(page);
  },

  async dark() {
    const page = await open({ colorScheme: "dark" });
    const brightness = async () =>
      Number(
        (
          await page.evaluate(
            () => getComputedStyle(document.querySelector("main")).backgroundColor,
          )
        ).match(/\d+/)[0],
      );
    assert.ok((await brightness()) < 60);
    await say(page, "Write a Python function that returns the even numbers of a list.");
    await shoot(page, "dark");
    await page.getByRole("button", { name: "Theme: As the system" }).click();
    assert.ok((await brightness()) > 200);
    await page.getByRole("button", { name: "Theme: Light" }).click();
    assert.ok((await brightness()) < 60);
    await page.emulateMedia({ colorScheme: "light" });
    await page.reload();
    assert.ok((await brightness()) < 60, "the choice of dark is lost");
    for (const part of PARTS) {
      await visit(page, part);
      await shoot(page, `dark-${part}`);
    }
    await close(page);
  },

  async phone() {
    const page = await open(phone);
    const overflow = () =>
      page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
    for (const part of PARTS) {
      await visit(page, part);
      assert.ok((await overflow()) <= 0, `${part} is wider than the phone`);
      await shoot(page, `phone-${part}`);
    }
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("navigation").getByRole("link", { name: "Chat" }).waitFor();
    await page.waitForTimeout(300);
    await shoot(page, "phone-menu");
    assert.equal(await page.evaluate(() => document.activeElement.innerText), "Chat");
    await page.keyboard.press("Escape");
    await page.locator("nav").waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("navigation").getByRole("link", { name: "Chat" }).click();
    await page.locator("nav").waitFor({ state: "hidden" });
    await say(page, "Write a Python function that returns the even numbers of a list.");
    assert.ok((await overflow()) <= 0);
    const columns = ["Parameters", "Licence", "Quantization", "Description", "Architecture"];
    const rows = [columns, columns.map(() => "---"), columns].map((row) => row.join("|"));
    await answerWith(page, rows.join("\n"));
    await say(page, "And a table.");
    const lines = await page.locator(".prose th").evaluateAll((all) =>
      all.map((e) => {
        const range = document.createRange();
        range.selectNodeContents(e);
        return range.getClientRects().length;
      }),
    );
    assert.deepEqual(lines, [1, 1, 1, 1, 1], "words are broken");
    assert.ok((await overflow()) <= 0);
    await page.unroute("**/v1/chat/completions");
    await page.getByRole("button", { name: "Settings", exact: true }).click();
    await page.getByLabel("Temperature").fill("0.3");
    await shoot(page, "phone-settings");
    await page.getByRole("button", { name: "Close", exact: true }).click();
    await page.goto(`${url}#/reports`);
    await page.locator(".run-card").first().click();
    await page.locator(".group").first().waitFor();
    assert.ok((await overflow()) <= 0);
    await shoot(page, "phone-report");
    await close(page);
  },

  async keyboardOnly() {
    const page = await open();
    await page.getByRole("combobox", { name: "Model" }).waitFor();
    const focused = () =>
      page.evaluate(() => {
        const e = document.activeElement;
        return e.getAttribute("aria-label") || e.innerText || e.tagName;
      });
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to content");
    await page.keyboard.press("Enter");
    const seen = [];
    for (let i = 0; i < 20 && (await focused()) !== "Message"; i++) {
      await page.keyboard.press("Tab");
      seen.push(await focused());
    }
    assert.equal(seen[0], "Model", `focus goes astray: ${seen}`);
    assert.equal(await focused(), "Message");
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    assert.equal(await message(page).inputValue(), "one\ntwo");
    const server = await answerAtPaces(page, { [MODELS[0]]: 250 });
    await page.keyboard.press("Enter");
    assert.equal(await message(page).inputValue(), "");
    await page.locator(".reply .prose > *").first().waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("Stopped").waitFor();
    server.close();
    await page.keyboard.press("Tab"); // Send has nothing to send: the sidebar comes next
    const outline = await page.evaluate(() => {
      document.querySelector("nav a").focus();
      return getComputedStyle(document.activeElement).outlineStyle;
    });
    assert.notEqual(outline, "none", "the focus cannot be seen");
    await page
      .getByRole("button", { name: /^Actions/ })
      .first()
      .focus();
    await page.keyboard.press("Enter");
    await until(async () => (await focused()) === "Rename", "the menu does not take the focus");
    await page.keyboard.press("ArrowDown");
    assert.equal(await focused(), "Export as Markdown");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.getByRole("textbox", { name: "New name" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.match(await focused(), /^Actions/, "the dialog does not give the focus back");
    await close(page);
  },

  async inputMethodsKeepTheirEnter() {
    const page = await open({ locale: "zh-CN" });
    await message(page).fill("nihao");
    for (const how of [{ isComposing: true }, { keyCode: 229 }])
      await message(page).evaluate(
        (area, init) =>
          area.dispatchEvent(
            new KeyboardEvent("keydown", {
              key: "Enter",
              bubbles: true,
              cancelable: true,
              ...init,
            }),
          ),
        how,
      );
    assert.equal(await message(page).inputValue(), "nihao");
    assert.equal(await replies(page).count(), 0);
    await close(page);
  },

  // WCAG's ratio of brightness, for text.
  async contrast() {
    const page = await open();
    const ratio = (pair) =>
      page.evaluate((names) => {
        const light = names.map((name) => {
          const probe = document.body.appendChild(document.createElement("i"));
          probe.style.color = `var(--${name})`;
          const parts = getComputedStyle(probe)
            .color.match(/[\d.]+/g)
            .slice(0, 3);
          probe.remove();
          const [r, g, b] = parts.map((c) =>
            c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
          );
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        });
        return (Math.max(...light) + 0.05) / (Math.min(...light) + 0.05);
      }, pair);
    for (const theme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: theme });
      for (const ground of ["paper", "card", "sunken"])
        for (const text of ["ink", "soft", "accent", "bad"])
          assert.ok((await ratio([text, ground])) >= 4.5, `${theme}: ${text} on ${ground}`);
      for (const ground of ["paper", "card"])
        for (const text of ["a", "b", "good"])
          assert.ok((await ratio([text, ground])) >= 4.5, `${theme}: ${text} on ${ground}`);
      for (const text of ["comment", "string", "number", "keyword"])
        assert.ok((await ratio([`code-${text}`, "paper"])) >= 4.5, `${theme}: code ${text}`);
      for (const pair of [
        ["on-accent", "accent"],
        ["warn-ink", "warn-soft"],
        ["ink", "bad-soft"],
      ])
        assert.ok((await ratio(pair)) >= 4.5, `${theme}: ${pair}`);
    }
    await close(page);
  },

  async screenReaders() {
    const page = await open();
    await answerWith(page, "An answer to be heard.");
    await say(page, "Speak.");
    await until(
      async () =>
        (await page.locator("[aria-live=polite]").textContent()).includes("An answer to be heard."),
      "nothing is said",
    );
    assert.deepEqual(await nameless(page), []);
    for (const part of PARTS) {
      await visit(page, part);
      assert.deepEqual(await nameless(page), [], part);
      assert.equal(await page.getByRole("main").count(), 1);
      assert.equal(await page.getByRole("navigation").count(), 1);
    }
    await close(page);
  },

  async size() {
    const page = await open();
    await visit(page, "status");
    const total = await page.evaluate(() =>
      performance
        .getEntriesByType("resource")
        .filter((e) => /\.(js|css)$/.test(e.name))
        .reduce((sum, e) => sum + e.decodedBodySize, 0),
    );
    assert.ok(total > 1e5 && total < 4e5, `${total} bytes`);
    await close(page);
  },
};
