"""A local checkpoint that answers: batches, kept keys and values, lock-step, and the provider for Inspect."""

import os

# Large pages for torch's large buffers (Linux): a batch keeps gigabytes of keys and values, and to touch them for the
# first time a small page at a time takes a sixth of all. Read when torch first takes memory, so set before.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
