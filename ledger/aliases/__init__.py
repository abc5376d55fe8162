"""Aliases: two tracking keys are one item, because an operator says so, or a later rule.

`records` are the bytes and how many keys are followed; `desk` says what is not said yet.
"""
