// OpenAI's Node client against the router: prints one JSON object with what
// each call gave. Usage: node node_client.mjs BASE_URL MODULES_DIR
import { createRequire } from "node:module";

const [baseURL, modules] = process.argv.slice(2);
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

async function wrongModel() {
  try {
    await client.chat.completions.create({ model: "nope", messages });
    return { error: "none" };
  } catch (error) {
    return { error: error.constructor.name, status: error.status, code: error.code };
  }
}

async function models() {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  return { ids };
}

console.log(JSON.stringify({
  whole: await whole(), streamed: await streamed(), aborted: await aborted(),
  wrongModel: await wrongModel(), models: await models(),
}));
