"""Settings: four places, one order, and no name that is silently without effect."""

from pathlib import Path
from typing import Any

import pytest

from ingest.limits import IngestLimits
from ledger import position
from ledger.app.settings import (
    GENERATION_MAX,
    GROUPS,
    NAMES,
    PARTITIONS_MAX,
    Settings,
    cassandra_addresses,
    default_data_folder,
    generations_of,
    is_loopback,
    load,
    meaning,
    split_address,
)
from ledger.backends import rocksdb_folder
from ledger.errors import Refused


def config(folder: Path, text: str) -> Path:
    """Write a settings file."""
    path = folder / "ledger.toml"
    path.write_text(text)
    return path


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    """Each place is asked in its turn, and the table tells which one it was."""
    path = config(tmp_path, 'partitions = 1\ndrain_s = 1\nlog_level = "debug"')
    environ = {"PARCEL_LEDGER_PARTITIONS": "2", "PARCEL_LEDGER_DRAIN_S": "2"}

    loaded = load({"partitions": 3, "drain_s": None}, config=path, environ=environ)

    assert loaded.settings.partitions == 3
    assert loaded.settings.drain_s == 2.0
    assert loaded.settings.log_level == "debug"
    assert loaded.settings.log_format == "plain"
    assert {
        name: loaded.origins[name] for name in ("partitions", "drain_s", "log_level", "data")
    } == {
        "partitions": "flag",
        "drain_s": "environment",
        "log_level": "file",
        "data": "default",
    }


def test_the_file_is_found_through_the_environment(tmp_path: Path) -> None:
    """PARCEL_LEDGER_CONFIG names the file; a flag names another one."""
    path = config(tmp_path, "partitions = 5")
    other = tmp_path / "other.toml"
    other.write_text("partitions = 6")
    environ = {"PARCEL_LEDGER_CONFIG": str(path)}

    assert load(environ=environ).settings.partitions == 5
    assert load(config=other, environ=environ).settings.partitions == 6


@pytest.mark.parametrize(
    ("text", "environ", "nearest"),
    [
        ("partition = 4", {}, "partitions"),
        ('[listen]\nhost = "x"', {}, None),
        ("", {"PARCEL_LEDGER_DATAA": "x"}, "PARCEL_LEDGER_DATA"),
        ("", {"PARCEL_LEDGER_CONFIGURATION": "x"}, "PARCEL_LEDGER_CONFIG"),
    ],
)
def test_an_unknown_name_is_refused_and_the_nearest_one_is_named(
    tmp_path: Path, text: str, environ: dict[str, str], nearest: str | None
) -> None:
    """A typing error never goes unnoticed."""
    with pytest.raises(Refused) as caught:
        load(config=config(tmp_path, text), environ=environ)

    if nearest:
        assert caught.value.reason == "SETTING_UNKNOWN"
        assert f"`{nearest}`" in caught.value.message
    else:
        assert caught.value.reason == "SETTING_INVALID"


@pytest.mark.parametrize(
    ("text", "environ", "setting"),
    [
        ("partitions = 0", {}, "partitions"),
        ("partitions = 1025", {}, "partitions"),
        ("partitions = true", {}, "partitions"),
        ('partitions = "4"', {}, "partitions"),
        ("insecure = 1", {}, "insecure"),
        ("data = 1", {}, "data"),
        ("drain_s = -1", {}, "drain_s"),
        ("drain_s = nan", {}, "drain_s"),
        ('drain_s = "1"', {}, "drain_s"),
        ('log_level = "loud"', {}, "log_level"),
        ('log_format = "xml"', {}, "log_format"),
        ('listen = "50731"', {}, "listen"),
        ('listen = ":50731"', {}, "listen"),
        ('listen = "127.0.0.1:65536"', {}, "listen"),
        ('server = "here"', {}, "server"),
        ('cassandra = "a:9042,b:9043"', {}, "cassandra"),
        ('cassandra = "a"', {}, "cassandra"),
        ('kafka = "a:1,,b:2"', {}, "kafka"),
        ('kafka_topic_prefix = "parcels/"', {}, "kafka_topic_prefix"),
        ('cassandra_keyspace = "Parcels"', {}, "cassandra_keyspace"),
        ('cassandra_consistency = "ONE"', {}, "cassandra_consistency"),
        ('kafka_sasl = "GSSAPI"', {}, "kafka_sasl"),
        ('kafka_sasl = "PLAIN"', {}, "kafka_user"),
        ('kafka_user = "ledger"\nkafka_password_file = "p"', {}, "kafka_sasl"),
        ('kafka_user = "ledger"\nkafka_sasl = "PLAIN"', {}, "kafka_password_file"),
        ('cassandra_password_file = "p"', {}, "cassandra_user"),
        ('kafka_tls_cert = "c"', {}, "kafka_tls_key"),
        ('kafka_tls_cert = "c"\nkafka_tls_key = "k"', {}, "kafka_tls_ca"),
        ("log_generation = 128", {}, "log_generation"),
        ("store_generation = 0", {}, "store_generation"),
        ("kafka_replication = 0", {}, "kafka_replication"),
        ("kafka_replication = 1", {}, "kafka_replication"),
        ("cassandra_commitlog_sync_s = nan", {}, "cassandra_commitlog_sync_s"),
        ('earlier_generations = "1:32"', {}, "earlier_generations"),
        ('log_generation = 3\nearlier_generations = "1:32,1:64"', {}, "earlier_generations"),
        ('log_generation = 3\nearlier_generations = "1"', {}, "earlier_generations"),
        ('log_generation = 3\nearlier_generations = "1:1025"', {}, "earlier_generations"),
        ("", {"PARCEL_LEDGER_DATA": ""}, "data"),
        ("", {"PARCEL_LEDGER_PARTITIONS": "many"}, "partitions"),
        ("", {"PARCEL_LEDGER_DRAIN_S": ""}, "drain_s"),
        ("", {"PARCEL_LEDGER_INSECURE": "maybe"}, "insecure"),
    ],
)
def test_a_bad_value_is_refused_and_the_setting_is_named(
    tmp_path: Path, text: str, environ: dict[str, str], setting: str
) -> None:
    """Whatever is wrong, the answer says where."""
    with pytest.raises(Refused) as caught:
        load(config=config(tmp_path, text), environ=environ)

    assert caught.value.reason == "SETTING_INVALID"
    assert caught.value.field == setting


@pytest.mark.parametrize("content", [b"partitions = ", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Broken, not text, not there: one clear answer."""
    path = tmp_path / "ledger.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(Refused, match="cannot be read") as caught:
        load(config=path, environ={})

    assert caught.value.reason == "CONFIG_UNREADABLE"


@pytest.mark.parametrize("name", ["listen", "metrics"])
@pytest.mark.parametrize("address", ["0.0.0.0:50731", "192.0.2.7:1", "ledger.example:1", "[::]:1"])
def test_listening_beyond_this_machine_must_be_said_aloud(name: str, address: str) -> None:
    """Without credentials nobody else is let in, unless the operator says so."""
    chosen: dict[str, Any] = {name: address}

    with pytest.raises(Refused, match="insecure = true") as caught:
        Settings(**chosen)

    assert caught.value.field == name
    assert Settings(**chosen, insecure=True).insecure


@pytest.mark.parametrize("engine", ["kafka", "cassandra"])
def test_a_password_crosses_no_network_in_the_clear(engine: str) -> None:
    """It takes TLS, or this machine alone, or an operator who says so."""
    how: dict[str, Any] = {
        engine: "192.0.2.7:9042,192.0.2.8:9042",
        f"{engine}_user": "ledger",
        f"{engine}_password_file": Path("password"),
    }
    how |= {"kafka_sasl": "PLAIN"} if engine == "kafka" else {}

    with pytest.raises(Refused, match="readable by others") as caught:
        Settings(**how)

    assert caught.value.field == f"{engine}_tls_ca"
    for fine in ({f"{engine}_tls_ca": Path("ca")}, {"insecure": True}, {engine: "[::1]:9042"}):
        assert Settings(**{**how, **fine}) != Settings()


def test_a_path_may_be_none() -> None:
    """An empty variable takes back what the file says."""
    assert load(environ={"PARCEL_LEDGER_KAFKA_TLS_CA": ""}).settings.kafka_tls_ca is None


def test_generations_of_the_log() -> None:
    """The one that is recorded in, and those before it, each with its partitions."""
    assert generations_of(Settings(partitions=8)) == {1: 8}
    assert generations_of(
        Settings(partitions=8, log_generation=3, earlier_generations=" 1:32, 2 : 64,")
    ) == {1: 32, 2: 64, 3: 8}


def test_nodes_to_begin_with() -> None:
    """Hosts with one port."""
    nodes = Settings(cassandra="a:9042, [2001:db8::1]:9042")

    assert cassandra_addresses(nodes) == [("a", 9042), ("2001:db8::1", 9042)]
    assert cassandra_addresses(Settings()) == []


def test_every_setting_stands_in_one_group() -> None:
    """Flags and the list are made from the groups: none is forgotten, none is said twice."""
    assert [name for group in GROUPS for name in group.names] == list(NAMES)


def test_the_highest_generation_is_that_of_a_position() -> None:
    """The limit is stated twice, and is one."""
    assert GENERATION_MAX == position.GENERATION_MAX


def test_the_lag_that_holds_senders_is_that_of_the_door() -> None:
    """The default is stated twice, and is one."""
    assert Settings().lag_records_max == IngestLimits().lag_records_max


def test_as_many_partitions_as_the_engine_takes() -> None:
    """The limit is stated twice, and is one: the engine would refuse one more later than here."""
    assert PARTITIONS_MAX == rocksdb_folder.PARTITIONS_MAX
    assert Settings(partitions=PARTITIONS_MAX).partitions == PARTITIONS_MAX
    assert f"{PARTITIONS_MAX:,}" in meaning("partitions")
    with pytest.raises(Refused, match=f"{PARTITIONS_MAX:,}"):
        Settings(partitions=PARTITIONS_MAX + 1)


def test_metrics_can_be_off() -> None:
    """An empty address is no address."""
    assert not Settings(metrics="").metrics


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:50731", "::1", 50731),
        ("localhost:1", "localhost", 1),
    ],
)
def test_an_address_is_host_and_port(address: str, host: str, port: int) -> None:
    """IPv6 stands in brackets; each of these is this machine."""
    assert split_address("listen", address) == (host, port)
    assert is_loopback(host)


def test_the_data_folder_is_where_a_persons_data_lies() -> None:
    """XDG_DATA_HOME decides, or ~/.local/share."""
    assert default_data_folder({"XDG_DATA_HOME": "/data"}) == Path("/data/parcel-ledger")
    assert default_data_folder({}) == Path.home() / ".local/share/parcel-ledger"


def test_a_tilde_is_the_home_folder() -> None:
    """A path reads the same in the environment as in a shell."""
    loaded = load(environ={"PARCEL_LEDGER_DATA": "~/ledger"})

    assert loaded.settings.data == Path.home() / "ledger"


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_explained(name: str) -> None:
    """The docstring under each field is what the table shows."""
    assert meaning(name).endswith(".")
