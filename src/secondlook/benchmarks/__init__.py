"""Benchmarks: data, prompts, graders and the Inspect tasks made of them."""
