"""The wire, generated from proto/ledger/v1 by `make gen`. Never edited."""
