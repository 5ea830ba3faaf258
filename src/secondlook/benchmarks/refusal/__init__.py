"""The refusal benchmark: does a model give what it should refuse, and refuse what it should give? Defence only."""
