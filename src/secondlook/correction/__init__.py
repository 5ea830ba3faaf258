"""Checking-as-Context: answer, check, answer again (Wang et al., NeurIPS 2024, section 4)."""
