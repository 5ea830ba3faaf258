"""A local checkpoint that answers: batches, kept keys and values, lock-step, and the provider for Inspect."""
