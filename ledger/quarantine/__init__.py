"""Quarantine: what the writer cannot keep for the record's own fault waits here for a person.

`records` are the bytes, `keeper` fills it on the writer's side, `share` stops the writer before a
bug drains everything there; `items` is the fold over it, `desk` is what operators do.
"""
