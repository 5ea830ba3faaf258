// client.mjs ADDRESS MODEL: the official client for Node, plain and streamed.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
if (!model) {
  console.error("client.mjs ADDRESS MODEL");
  process.exit(1);
}
const client = new OpenAI({ baseURL, apiKey: process.env.OPENAI_API_KEY ?? "none" });
const messages = [{ role: "user", content: "What is 82 + 89?" }];

const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
console.log(data.choices[0].message.content);
console.log("looked at:", response.headers.get("x-secondlook-status"), response.headers.get("x-secondlook-reason"));

for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
console.log();
