"""Planning: the cost of a study before it runs, from a small run of it."""
