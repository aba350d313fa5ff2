// The official client against a server with the bundled models: argument 1 is its address, 2 a key.
import assert from "node:assert/strict";
import OpenAI from "openai";

const [url, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url + "/v1", apiKey, maxRetries: 0 });
const QWEN = "tandem-qwen-tiny", PHI = "tandem-phi-tiny";
const messages = [{ role: "user", content: "Write 3 animals, one per line." }];
const tools = [{ type: "function", function: { name: "look", description: "Looks somewhere.",
  parameters: { type: "object", properties: { place: { enum: ["here", "there"] } },
    required: ["place"], additionalProperties: false } } }];

// Each once for each model; `settings` are those of a long answer that is the same every time.
const tests = {
  async models() {
    const list = await client.models.list();
    assert.deepEqual(list.data.map((entry) => entry.id), [QWEN, PHI]);
    for (const entry of list.data)
      assert.equal((await client.models.retrieve(entry.id)).id, entry.id);
  },

  async chat({ model, settings }) {
    const reply = await client.chat.completions.create(settings);
    assert.equal(reply.object, "chat.completion");
    assert.equal(reply.model, model);
    assert.equal(reply.choices[0].finish_reason, "length");
    assert.equal(reply.usage.completion_tokens, 24);
    assert.equal(reply.usage.total_tokens, 24 + reply.usage.prompt_tokens);
    assert.ok(reply.choices[0].message.content.length > 0);
    const natural = await client.chat.completions.create({ model, messages, temperature: 0 });
    assert.equal(natural.choices[0].finish_reason, "stop");
    assert.equal(natural.choices[0].message.content.trim().split("\n").length, 3);
  },

  async conversation({ model }) {
    const first = await client.chat.completions.create({ model, messages, temperature: 0 });
    const second = await client.chat.completions.create({ model, temperature: 0, max_tokens: 40,
      messages: [{ role: "developer", content: "Be brief." }, ...messages,
        first.choices[0].message, { role: "user", content: [{ type: "text", text: "Hello" }] }] });
    assert.equal(second.choices[0].message.role, "assistant");
  },

  async stream({ settings }) {
    const whole = await client.chat.completions.create(settings);
    const stream = await client.chat.completions.create({
      ...settings, stream: true, stream_options: { include_usage: true },
    });
    let text = "", usage, finish;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(finish, "length");
    assert.equal(usage.completion_tokens, 24);
  },

  async streamHelper({ settings }) {
    const final = await client.chat.completions.stream(settings).finalChatCompletion();
    const whole = await client.chat.completions.create(settings);
    assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
  },

  async seedsAndChoices({ settings }) {
    const text = async (more) => (await client.chat.completions.create({ ...settings, ...more }))
      .choices.map((choice) => choice.message.content);
    const three = await text({ n: 3, seed: 8, temperature: 1.5 });
    assert.equal(new Set(three).size, 3);
    for (const i of three.keys())
      assert.deepEqual(await text({ seed: 8 + i, temperature: 1.5 }), [three[i]]);
  },

  async stop({ settings }) {
    const [{ message: { content } }] = (await client.chat.completions.create(settings)).choices;
    const stop = content.slice(6, 9);
    const reply = await client.chat.completions.create({ ...settings, stop: ["never this", stop] });
    assert.equal(reply.choices[0].message.content, content.slice(0, content.indexOf(stop)));
    assert.equal(reply.choices[0].finish_reason, "stop");
  },

  async penaltiesAndBias({ settings }) {
    const { tokens } = await (await fetch(url + "/tokenize", { method: "POST",
      headers: { Authorization: "Bearer " + apiKey },
      body: JSON.stringify({ model: settings.model, prompt: "x", add_special_tokens: false }) }))
      .json();
    const id = tokens.at(-1), fields = { ...settings, temperature: 0, logit_bias: { [id]: 100 } };
    const plain = (await client.chat.completions.create(fields)).choices[0].message.content;
    assert.equal(plain.trim(), "x".repeat(24));
    const reply = await client.chat.completions.create({ ...fields, logit_bias: { [id]: -100 },
      frequency_penalty: 1, presence_penalty: 1 });
    assert.ok(!reply.choices[0].message.content.includes("xxx"));
  },

  async logprobs({ settings }) {
    const fields = { ...settings, logprobs: true, top_logprobs: 3 };
    const { content: entries } = (await client.chat.completions.create(fields)).choices[0].logprobs;
    assert.equal(entries.length, 24);
    for (const entry of entries) {
      assert.ok(entry.logprob <= 0);
      assert.equal(entry.top_logprobs.length, 3);
      assert.ok(entry.top_logprobs[0].logprob >= entry.logprob);
    }
    const streamed = [];
    for await (const chunk of await client.chat.completions.create({ ...fields, stream: true }))
      streamed.push(...chunk.choices[0].logprobs?.content ?? []);
    assert.deepEqual(streamed, entries);
  },

  async completions({ model }) {
    const fields = { model, prompt: ["The sea", "A ship"], max_tokens: 5, n: 2, seed: 1 };
    const reply = await client.completions.create(fields);
    assert.deepEqual(reply.choices.map((choice) => choice.index), [0, 1, 2, 3]);
    const texts = ["", "", "", ""];
    for await (const chunk of await client.completions.create({ ...fields, stream: true }))
      texts[chunk.choices[0].index] += chunk.choices[0].text;
    assert.deepEqual(texts, reply.choices.map((choice) => choice.text));
  },

  async embeddings({ model }) {
    const embed = async (input) => (await client.embeddings.create({ model, input })).data
      .map((entry) => entry.embedding);
    const both = await embed(["the sea", "a ship"]);
    assert.equal(both.length, 2);
    assert.ok(Math.abs(Math.hypot(...both[0]) - 1) < 1e-4);
    assert.deepEqual(await embed("a ship"), [both[1]]);
  },

  async schema({ model }) {
    const schema = {
      type: "object", additionalProperties: false, required: ["city", "years"],
      properties: { city: { enum: ["Oslo", "Rome"] },
        years: { type: "array", items: { type: "integer" }, maxItems: 3 } },
    };
    for (const seed of [1, 2, 3]) {
      const reply = await client.chat.completions.create({
        model, messages, seed, temperature: 1,
        response_format: { type: "json_schema", json_schema: { name: "x", strict: true, schema } },
      });
      const value = JSON.parse(reply.choices[0].message.content);
      assert.ok(["Oslo", "Rome"].includes(value.city));
      assert.ok(value.years.length <= 3 && value.years.every(Number.isInteger));
    }
    const reply = await client.chat.completions.create({ model, messages, seed: 1, max_tokens: 300,
      response_format: { type: "json_object" } });
    assert.ok(reply.choices[0].message.content.startsWith("{"));
  },

  async tools({ model }) {
    const ask = { model, messages, tools, seed: 2, max_tokens: 200 };
    if (model === PHI) {
      await assert.rejects(client.chat.completions.create(ask), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, "tools");
        return true;
      });
      return;
    }
    for (const tool_choice of ["required", { type: "function", function: { name: "look" } }]) {
      const fields = { ...ask, tool_choice, parallel_tool_calls: false };
      const reply = await client.chat.completions.create(fields);
      const message = reply.choices[0].message;
      assert.equal(reply.choices[0].finish_reason, "tool_calls");
      const [call] = message.tool_calls;
      assert.equal(call.function.name, "look");
      assert.ok(["here", "there"].includes(JSON.parse(call.function.arguments).place));
      const streamed = await client.chat.completions.stream(fields).finalChatCompletion();
      assert.deepEqual(streamed.choices[0].message.tool_calls[0].function.arguments,
        call.function.arguments);
      for (const choice of ["none", "auto"]) {
        const final = await client.chat.completions.create({ ...ask, tool_choice: choice,
          messages: [...messages, message,
            { role: "tool", tool_call_id: call.id, content: "a cat" }] });
        assert.equal(final.choices[0].message.role, "assistant");
        assert.ok(final.choices[0].message.content.length > 0);
      }
    }
  },

  async errors({ settings }) {
    const refuses = (promise, kind, fields) => assert.rejects(promise, (error) => {
      assert.ok(error instanceof kind, error.stack);
      for (const [name, value] of Object.entries(fields)) assert.equal(error[name], value);
      return true;
    });
    const create = (more, options) =>
      client.chat.completions.create({ ...settings, ...more }, options);
    await refuses(create({ model: "none" }), OpenAI.NotFoundError, { code: "model_not_found" });
    await refuses(create({ colour: "red" }), OpenAI.BadRequestError, { param: "colour" });
    await refuses(create({ temperature: 9 }), OpenAI.BadRequestError, { param: "temperature" });
    await refuses(create({ messages: [{ role: "user", content: "long ".repeat(3000) }] }),
      OpenAI.BadRequestError, { code: "context_length_exceeded" });
    await refuses(create({ response_format: { type: "json_schema",
      json_schema: { name: "x", schema: { $dynamicRef: "#x" } } } }), OpenAI.BadRequestError,
      { param: "response_format" });
    await refuses(create({}, { headers: { Authorization: "Bearer wrong" } }),
      OpenAI.AuthenticationError, { code: "invalid_api_key" });
  },

  async abort({ model, settings }) {
    const controller = new AbortController();
    const stream = await client.chat.completions.create(
      { ...settings, max_tokens: 900, stream: true }, { signal: controller.signal });
    let chunks = 0;
    for await (const chunk of stream) {
      chunks += chunk.choices.length;
      if (chunks === 3) controller.abort();
    }
    assert.ok(chunks >= 3 && chunks < 900);
    const metrics = async () => await (await fetch(url + "/metrics",
      { headers: { Authorization: "Bearer " + apiKey } })).text();
    const idle = `tandem_requests_running{model="${model}"} 0`;
    for (let tries = 0; tries < 500 && !(await metrics()).includes(idle); tries++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok((await metrics()).includes(idle), "the answer goes on after the abort");
    assert.ok((await metrics()).includes(
      `tandem_answers_total{model="${model}",finish="cancelled"} 1`));
  },
};

let failed = 0;
for (const model of [QWEN, PHI]) {
  const settings = { model, messages, seed: 3, temperature: 1, max_tokens: 24, ignore_eos: true };
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test({ model, settings });
      console.log(`ok ${model} ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAILED ${model} ${name}: ${error.stack}`);
    }
  }
}
process.exit(failed ? 1 : 0);
