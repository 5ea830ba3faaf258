"""Anyone's task: questions from a file or a dataset on disk, and a grader."""
