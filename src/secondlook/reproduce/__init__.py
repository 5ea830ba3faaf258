"""The ledger: every claim with its evidence, gathered by one command and shown on one page."""
