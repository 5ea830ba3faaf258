"""Transformers trained from scratch on in-context alignment, and what really causes what.

`tasks` draws problems, `tokens` shows them to a transformer, `objectives` judges its predictions, `train` trains, many
members at once; `baselines` and `optimum` say what there was to reach. `experiments/` has a file for each claim.
"""
