"""`parcel-ledger engines`: real Kafka and Cassandra on this machine, started and stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from ledger.app.commands.options import AsJson, Config
from ledger.app.exits import DONE, FAILED, CommandFailed

if TYPE_CHECKING:
    from rich.console import Console

    from ledger.app.engines import Cluster, Node, Say

engines = App(
    name="engines",
    help="Run real Kafka and Cassandra on this machine, without containers.\n\n"
    "They run from the jars that everybody runs, which Maven fetches once; Java 17 is needed. Each "
    "listens on this machine alone, unencrypted: it is for trying, testing and measuring.",
    help_format="plaintext",
)

Folder = Annotated[
    Path | None,
    Parameter(help="Where engines and their data are. Else DATA-engines.", show_default=False),
]
WithKafka = Annotated[bool, Parameter(name="--kafka", help="Whether Kafka is meant.")]
WithCassandra = Annotated[bool, Parameter(name="--cassandra", help="Whether Cassandra is meant.")]


@engines.command
def start(
    *,
    folder: Folder = None,
    nodes: Annotated[
        Literal[1, 3] | None,
        Parameter(help="Nodes of each engine. Else those of the folder, else 1."),
    ] = None,
    kafka: WithKafka = True,
    cassandra: WithCassandra = True,
    kafka_heap: Annotated[str, Parameter(help="Largest heap of one Kafka node.")] = "512m",
    cassandra_heap: Annotated[str, Parameter(help="Largest heap of one Cassandra node.")] = "1g",
    config: Config = None,
    as_json: AsJson = False,
) -> int:
    """Start them, and say how the ledger's roles find them.

    What runs already is left alone; what died is started again, on its data. They go on when this
    command has ended. The settings are also written into ledger.toml in the folder.
    """
    from ledger.app.engines import Cassandra, CassandraOptions, Kafka, KafkaOptions, start_all
    from ledger.app.engines.pointing import write_settings

    at = _folder(folder, config)
    wanted: list[Cluster] = []
    if kafka:
        wanted.append(Kafka(at, nodes=nodes, options=KafkaOptions(heap=kafka_heap)))
    if cassandra:
        options = CassandraOptions(heap=cassandra_heap)
        wanted.append(Cassandra(at, nodes=nodes, options=options))
    if not wanted:
        raise CommandFailed("There is nothing to start with both --no-kafka and --no-cassandra.")
    with _progress(wanted) as says:
        start_all(says)
    found = _clusters(at)
    write_settings(at, _settings(found))
    _say(at, found, as_json=as_json)
    return DONE


@engines.command
def stop(
    *,
    folder: Folder = None,
    kafka: WithKafka = True,
    cassandra: WithCassandra = True,
    config: Config = None,
) -> int:
    """Stop them; their data is kept.

    Only processes that `engines start` started for this folder are ended.
    """
    from ledger.app.commands.screen import remarks

    at = _folder(folder, config)
    chosen = {"kafka": kafka, "cassandra": cassandra}
    for cluster in _clusters(at):
        running = [node for node in cluster.nodes if node.pid]
        if running and chosen[cluster.name]:
            with remarks().status(f"{cluster.title} stops"):
                cluster.stop()
            remarks().print(f"{cluster.title}: {_count(len(running))} stopped")
    remarks().print(f"The data is kept in {at}", markup=False, soft_wrap=True)
    return DONE


@engines.command
def status(*, folder: Folder = None, config: Config = None, as_json: AsJson = False) -> int:
    """Show which run, where, and how the ledger's roles find them.

    Exit code: 0 all that were started run, 2 otherwise.
    """
    at = _folder(folder, config)
    found = _clusters(at)
    if not any(cluster.nodes for cluster in found) and not as_json:
        raise CommandFailed(f"No engine was started in {at}. `parcel-ledger engines start` does.")
    _say(at, found, as_json=as_json)
    started = [cluster for cluster in found if cluster.nodes]
    good = started and all(node.answers() for cluster in started for node in cluster.nodes)
    return DONE if good else FAILED


def _folder(folder: Path | None, config: Path | None) -> Path:
    """Take the folder that was named, else one beside the data folder."""
    from ledger.app.settings import load

    if folder is None:
        data = load(config=config).settings.data
        folder = data.with_name(f"{data.name}-engines")
    return folder.expanduser().absolute()


def _clusters(folder: Path) -> list[Cluster]:
    from ledger.app.engines import Cassandra, Kafka

    return [Kafka(folder), Cassandra(folder)]


def _settings(clusters: list[Cluster]) -> dict[str, str | int | bool]:
    from ledger.app.engines.pointing import settings_for

    return settings_for(clusters)


@contextmanager
def _progress(clusters: list[Cluster]) -> Iterator[Mapping[Cluster, Say]]:
    """Show one bar for each engine; where nothing can move, a line when it is ready."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from ledger.app.commands.screen import remarks

    console = remarks()
    columns = (
        TextColumn("{task.description:<10}"),
        *(BarColumn(bar_width=20), TimeElapsedColumn(), TextColumn("{task.fields[words]}")),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def say_for(cluster: Cluster) -> Say:
            task = progress.add_task(cluster.title, total=None, words="")

            def say(words: str, ready: int) -> None:
                total = len(cluster.nodes) or None
                progress.update(task, total=total, completed=ready, words=words)
                if not console.is_terminal:
                    console.print(f"{cluster.title}: {words}", markup=False, soft_wrap=True)

            return say

        yield {cluster: say_for(cluster) for cluster in clusters}


def _say(folder: Path, clusters: list[Cluster], *, as_json: bool) -> None:
    """Tell a program or a person what there is."""
    import json

    from ledger.app.commands.screen import answers
    from ledger.app.engines.pointing import SETTINGS_FILE, as_environment, as_toml

    settings = _settings(clusters)
    if as_json:
        document: dict[str, Any] = {"folder": str(folder)}
        document |= {
            cluster.name: cluster.document() if cluster.nodes else None for cluster in clusters
        }
        print(json.dumps(document | {"settings": settings}, indent=2))  # noqa: T201 - the answer.
        return
    console = answers()
    for cluster in clusters:
        if cluster.nodes:
            _print_nodes(console, cluster)
    for words in (
        f"\nThe ledger's roles find them with --config {folder / SETTINGS_FILE}\n",
        as_toml(settings),
        as_environment(settings),
        f"Their data and their logs are in {folder}",
    ):
        console.print(words, markup=False, soft_wrap=True)


def _print_nodes(console: Console, cluster: Cluster) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for node in cluster.nodes:
        process = f"process {node.pid}" if node.pid else ""
        table.add_row(node.name, f"{node.host}:{node.port}", process, _life(node))
    console.print(f"{cluster.title} {cluster.version}, {_count(len(cluster.nodes))}")
    console.print(table)


def _life(node: Node) -> str:
    if not node.pid:
        return f"[bold red]does not run[/]; its log: {node.log}"
    if node.is_paused():
        return "[bold red]is paused[/]"
    return "[green]runs[/]" if node.answers() else "[bold red]does not answer[/]"


def _count(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"
