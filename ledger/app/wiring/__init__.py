"""Puts processes together: the one place that names engines, and that starts and ends roles.

`runner` is what all processes share; `embedded` and `distributed` open the engines and say what a
role does with them; `preparing` makes topics and tables. A command imports the one it needs, so
that `up` runs without the drivers of Kafka and Cassandra.
"""
