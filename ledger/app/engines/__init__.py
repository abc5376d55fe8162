"""Real Kafka and real Cassandra on this machine, from the jars that everybody runs.

For developers, tests and measurements: no container is needed, only Java 17 and, once, Maven.
Nodes outlive whoever started them; a folder knows its nodes, and any process can go on with it.
"""

from ledger.app.engines.cassandra import Cassandra, CassandraOptions
from ledger.app.engines.cluster import Cluster, Say, start_all
from ledger.app.engines.kafka import Kafka, KafkaOptions
from ledger.app.engines.node import Node

__all__ = [
    "Cassandra",
    "CassandraOptions",
    "Cluster",
    "Kafka",
    "KafkaOptions",
    "Node",
    "Say",
    "start_all",
]
