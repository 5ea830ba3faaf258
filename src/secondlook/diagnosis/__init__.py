"""Diagnosis of records: who flipped, how good the critic was, whether looking twice helped."""
