"""Pages that need nothing outside themselves: what the ledger's and a run's share."""
