"""Prompt files, the words a model is shown, and cases that are asked in them."""
