"""Compare: whether a trail store holds exactly the rows that the log says.

`digests` are sums over rows in any order, `sides` are where rows come from, `drill` finds the
positions where two sides differ, `comparing` is the whole of it.
"""
