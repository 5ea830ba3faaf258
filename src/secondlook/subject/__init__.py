"""The embedded language models: small planted subjects, their trainer, and the local provider."""
