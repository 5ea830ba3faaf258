"""client.py ADDRESS MODEL: the official client, plain and streamed."""

import os
import sys

from openai import OpenAI

if len(sys.argv) != 3:
    sys.exit(__doc__)
address, model = sys.argv[1:]
client = OpenAI(base_url=address, api_key=os.environ.get("OPENAI_API_KEY", "none"))
messages = [{"role": "user", "content": "What is 82 + 89?"}]

answer = client.chat.completions.with_raw_response.create(model=model, messages=messages)
print(answer.parse().choices[0].message.content)
print("looked at:", answer.headers.get("x-secondlook-status"), answer.headers.get("x-secondlook-reason"))

for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
