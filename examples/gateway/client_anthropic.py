"""client_anthropic.py ADDRESS MODEL: Anthropic's official client, whole and streamed."""

import os
import sys

from anthropic import Anthropic

if len(sys.argv) != 3:
    sys.exit(__doc__)
address, model = sys.argv[1:]
client = Anthropic(base_url=address, api_key=os.environ.get("ANTHROPIC_API_KEY", "none"))
asked = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "What is 82 + 89?"}]}

answer = client.messages.with_raw_response.create(**asked)
print(answer.parse().content[0].text)
print("looked at:", answer.headers.get("x-secondlook-status"), answer.headers.get("x-secondlook-reason"))

with client.messages.stream(**asked) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
