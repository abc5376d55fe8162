"""`make bench`: what the ledger reaches, beside what its parts can do alone, measured in one run.

Every run counts loss and doubles. Server and client share the machine; ratios within one run count.
"""
