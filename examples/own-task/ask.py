"""Asks the gateway a question with OpenAI's own client, which knows nothing of it."""

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8124/v1", api_key="none")
messages = [{"role": "user", "content": "What is 82 + 89?"}]
answer = client.chat.completions.with_raw_response.create(model="adder", messages=messages)
print(answer.headers["x-secondlook-status"], answer.parse().choices[0].message.content)
