"""Second Look: when does a model get better by looking again at its own answer?"""
