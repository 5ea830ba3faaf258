"""What a study will cost, before it runs, from a small run of it."""
