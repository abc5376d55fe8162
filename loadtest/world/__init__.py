"""The postal world that the fleet lives in: its calendar, its trucks, its items and its mishaps.

Everything here is a pure function of a seed and of what is asked for, in whole numbers: no clock,
no state that matters, nothing of the ledger but its wire and the form of numbers.
"""
