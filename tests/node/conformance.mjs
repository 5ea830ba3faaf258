// conformance.mjs ADDRESS MODEL KEY QUESTION: what the official client makes of a server, as one JSON object.
import OpenAI from "openai";

const [baseURL, model, apiKey, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const chat = { model, messages: [{ role: "user", content: question }], temperature: 0, max_tokens: 24 };
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }];

// What comes of one request: what the client read, or the error it threw.
const come = async (request, client_ = client) => {
  try {
    const { data, response } = await client_.chat.completions.create(request).withResponse();
    const headers = Object.fromEntries([...response.headers].filter(([name]) => name.startsWith("x-secondlook-")));
    if (!request.stream) {
      const { id, created, ...whole } = data;
      return { whole, headers };
    }
    const chunks = [];
    for await (const { id, created, ...chunk } of data) chunks.push(chunk);
    return { chunks, text: chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join(""), headers };
  } catch (error) {
    return { error: error.constructor.name, status: error.status, code: error.code, said: error.error };
  }
};

// The bytes of an answer, as the server sent them.
const bytes = async (request) => {
  const response = await client.chat.completions.create(request).asResponse();
  return Buffer.from(await response.arrayBuffer()).toString("base64");
};

const found = {
  plain: await come(chat),
  streamed: await come({ ...chat, stream: true, stream_options: { include_usage: true } }),
  tools: await come({ ...chat, tools }),
  transcript: await come({ ...chat, secondlook: { transcript: true } }),
  badModel: await come({ ...chat, model: "no/such-model" }),
  badBody: await come({ ...chat, messages: "x" }),
  wrongKey: await come(chat, new OpenAI({ baseURL, apiKey: "sl-wrong", maxRetries: 0 })),
  bytes: [await bytes(chat), await bytes({ ...chat, stream: true })],
  models: await client.models.list().then(({ data }) => data.map(({ id }) => id), ({ status }) => status),
};
console.log(JSON.stringify(found));
