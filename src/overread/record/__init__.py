"""What was done: files written whole, run folders with lock and stop signal, events, the ledger, provenance."""
