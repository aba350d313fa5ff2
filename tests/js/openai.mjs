// The official client against a server: argument 1 is its address, 2 a model, 3 one with tools.
import assert from "node:assert/strict";
import OpenAI from "openai";

const [url, model, toolModel] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url + "/v1", apiKey: "any", maxRetries: 0 });
const messages = [{ role: "user", content: "Tell me of the sea." }];
const settings = { model, messages, seed: 3, temperature: 1, max_tokens: 24, ignore_eos: true };

const tests = {
  async models() {
    const list = await client.models.list();
    assert.ok(list.data.some((entry) => entry.id === model));
  },

  async chat() {
    const reply = await client.chat.completions.create(settings);
    assert.equal(reply.object, "chat.completion");
    assert.equal(reply.model, model);
    assert.equal(reply.choices[0].finish_reason, "length");
    assert.equal(reply.usage.completion_tokens, 24);
    assert.ok(reply.choices[0].message.content.length > 0);
  },

  async stream() {
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

  async streamHelper() {
    const final = await client.chat.completions.stream(settings).finalChatCompletion();
    const whole = await client.chat.completions.create(settings);
    assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
  },

  async logprobs() {
    const reply = await client.chat.completions.create({
      ...settings, logprobs: true, top_logprobs: 3,
    });
    const entries = reply.choices[0].logprobs.content;
    assert.equal(entries.length, 24);
    for (const entry of entries) {
      assert.ok(entry.logprob <= 0);
      assert.equal(entry.top_logprobs.length, 3);
    }
  },

  async completions() {
    const reply = await client.completions.create({ model, prompt: "The sea", max_tokens: 5, n: 2 });
    assert.equal(reply.choices.length, 2);
  },

  async embeddings() {
    const reply = await client.embeddings.create({ model, input: ["the sea", "a ship"] });
    assert.equal(reply.data.length, 2);
    const length = Math.hypot(...reply.data[0].embedding);
    assert.ok(Math.abs(length - 1) < 1e-4);
  },

  async schema() {
    const schema = {
      type: "object", properties: { city: { enum: ["Oslo", "Rome"] } }, required: ["city"],
      additionalProperties: false,
    };
    const reply = await client.chat.completions.create({
      model, messages, seed: 1,
      response_format: { type: "json_schema", json_schema: { name: "place", strict: true, schema } },
    });
    assert.ok(["Oslo", "Rome"].includes(JSON.parse(reply.choices[0].message.content).city));
  },

  async tools() {
    const tools = [{ type: "function", function: { name: "look", parameters: {
      type: "object", properties: { place: { enum: ["here", "there"] } }, required: ["place"],
      additionalProperties: false } } }];
    const ask = { model: toolModel, messages, tools, seed: 2 };
    const reply = await client.chat.completions.create({ ...ask, tool_choice: "required",
      parallel_tool_calls: false });
    const message = reply.choices[0].message;
    assert.equal(reply.choices[0].finish_reason, "tool_calls");
    const [call] = message.tool_calls;
    assert.equal(call.function.name, "look");
    assert.ok(["here", "there"].includes(JSON.parse(call.function.arguments).place));
    const final = await client.chat.completions.create({ ...ask, max_tokens: 4,
      tool_choice: "none",
      messages: [...messages, message, { role: "tool", tool_call_id: call.id, content: "a cat" }] });
    assert.equal(final.choices[0].message.role, "assistant");
    const streamed = await client.chat.completions.stream({ ...ask, tool_choice: "required",
      parallel_tool_calls: false }).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.tool_calls[0].function.arguments,
      call.function.arguments);
  },

  async errors() {
    await assert.rejects(client.chat.completions.create({ ...settings, model: "none" }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "model_not_found");
      return true;
    });
    await assert.rejects(client.chat.completions.create({ ...settings, colour: "red" }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "colour");
      return true;
    });
  },

  async abort() {
    const controller = new AbortController();
    const stream = await client.chat.completions.create(
      { ...settings, max_tokens: 4000, stream: true }, { signal: controller.signal });
    let chunks = 0;
    for await (const chunk of stream) {
      chunks += chunk.choices.length;
      if (chunks === 3) controller.abort();
    }
    assert.ok(chunks >= 3 && chunks < 4000);
    const metrics = async () => await (await fetch(url + "/metrics")).text();
    const idle = `tandem_requests_running{model="${model}"} 0`;
    for (let tries = 0; tries < 500 && !(await metrics()).includes(idle); tries++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok((await metrics()).includes(idle), "the answer goes on after the abort");
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}: ${error.stack}`);
  }
}
process.exit(failed ? 1 : 0);
