"""The door out: reads trails from the trail store, and says how far the readable ledger is."""
