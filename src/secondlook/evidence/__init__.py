"""What a claim says in numbers, what was found, its figure and its file: the same for every floor."""
