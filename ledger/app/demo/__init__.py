"""The demo: a ledger that is killed while scanners stream, and the count of what came of it."""
