"""Evidence of a claim: its numbers, its outcome, its figure and its file, the same for every floor."""
