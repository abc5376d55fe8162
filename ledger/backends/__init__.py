"""The engines behind the ports. Each backend is native to its engine; they share no code.

Only `ledger.app.wiring` names one of them.
"""
