"""Completeness: which of the sequences that sources minted are where, and which never arrived.

A fold over what lies in the logs, in the memory of one process. Nothing is derived from it, so it
is made anew at every start and may be wrong about nothing but how much it knows.
"""
