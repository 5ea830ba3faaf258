"""An OpenAI-compatible server before a model's own, that looks twice where that is known to help."""
