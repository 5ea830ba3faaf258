"""Critics and gates fitted on records, each tested on questions that the fit never saw, and kept as a file."""
