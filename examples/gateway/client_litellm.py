"""client_litellm.py ADDRESS MODEL: LiteLLM takes the gateway for an OpenAI server."""

import os
import sys

import litellm

if len(sys.argv) != 3:
    sys.exit(__doc__)
address, model = sys.argv[1:]
answer = litellm.completion(
    model=f"openai/{model}",
    api_base=address,
    api_key=os.environ.get("OPENAI_API_KEY", "none"),
    messages=[{"role": "user", "content": "What is 82 + 89?"}],
)
print(answer.choices[0].message.content)
