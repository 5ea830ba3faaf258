"""Controlled studies: the paper's claims about language models (S1–S8), on planted subjects."""
