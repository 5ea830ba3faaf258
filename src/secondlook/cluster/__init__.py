"""Units of work, each with a result of its own on disk: done here, in processes, or on a Ray cluster."""
