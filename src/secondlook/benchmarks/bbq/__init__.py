"""BBQ, the Bias Benchmark for QA (Parrish et al., Findings of ACL 2022)."""
