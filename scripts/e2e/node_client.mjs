// OpenAI's Node client against the router: makes the calls that are named and
// prints one JSON object with what each gave.
// Usage: node node_client.mjs BASE_URL MODULES_DIR CALL...
import { createRequire } from "node:module";

const [baseURL, modules, ...names] = process.argv.slice(2);
const OpenAI = createRequire(modules + "/package.json")("openai").default;
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const messages = [{ role: "user", content: "What does a penstock do?" }];

async function whole() {
  const got = await client.chat.completions.create({ model: "llama2", messages, max_tokens: 12 });
  return { text: got.choices[0].message.content, tokens: got.usage.completion_tokens };
}

async function streamed() {
  const stream = await client.chat.completions.create({ model: "llama2", messages, max_tokens: 12, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return { text };
}

async function aborted() {
  const stream = await client.chat.completions.create({ model: "llama2", messages, max_tokens: 2000, stream: true });
  let tokens = 0;
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content && ++tokens === 3) break; // the client closes the connection
  }
  return { tokens };
}

// The class, status and code of what a call throws.
async function thrownBy(call) {
  try {
    await call();
    return { error: "none" };
  } catch (error) {
    return { error: error.constructor.name, status: error.status, code: error.code };
  }
}

const wrongModel = () => thrownBy(() => client.chat.completions.create({ model: "nope", messages }));

const cut = () => thrownBy(async () => {
  const stream = await client.chat.completions.create({ model: "llama2", messages, max_tokens: 50, stream: true });
  for await (const _ of stream);
});

// What the client put on the wire.
async function tools() {
  let sent;
  const recording = (url, init) => fetch(url, { ...init, body: (sent = init.body) });
  await new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0, fetch: recording }).chat.completions.create({
    model: "llama2", messages, tool_choice: "auto", parallel_tool_calls: true,
    tools: [{
      type: "function",
      function: {
        name: "gate_level", description: "Reads a gate’s level – in “metres”.", strict: true,
        parameters: { type: "object", properties: { gate: { type: "string", enum: ["north", "süd"] } }, required: ["gate"] },
      },
    }],
  });
  return { sent };
}

async function models() {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  return { ids };
}

const calls = { whole, streamed, aborted, wrongModel, cut, tools, models };
const results = {};
for (const name of names) results[name] = await calls[name]();
console.log(JSON.stringify(results));
