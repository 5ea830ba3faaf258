#!/bin/sh
# client.sh ADDRESS MODEL: headers say what was done, -i shows them.
[ $# -eq 2 ] || { echo "client.sh ADDRESS MODEL" >&2; exit 1; }
curl -isS "$1/chat/completions" \
  -H "Authorization: Bearer ${OPENAI_API_KEY:-none}" \
  -H "Content-Type: application/json" \
  -d "{\"model\": \"$2\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 82 + 89?\"}]}"
