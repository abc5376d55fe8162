"""The core of the parcel scan ledger: what a scan is, where scans wait, where they rest.

Data goes one way: scanner, ingest, scan log, writer, trail store, query, auditor.
"""
