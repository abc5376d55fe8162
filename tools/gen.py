"""Makes ledger/v1 and docs/ledger.options from proto/, or (--check) says which of them is stale.

Messages get `_pb2.py` and its stub; files named `*_service.proto` also get
`_pb2_grpc.py` and its stub, which for others would be empty.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

from tools.nanopb_options import options
from tools.protos import INCLUDES, PROTO, ROOT

OPTIONS = Path("docs", "ledger.options")


def main() -> int:
    """Generates in place, or reports what is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is stale")
    if not parser.parse_args().check:
        generate(ROOT)
        for path in sorted(generated(ROOT) - generated_names()):
            (ROOT / path).unlink()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = differences(Path(folder))
    for path in stale:
        print(f"{path}: not what proto/ says; run `make gen`")
    return 1 if stale else 0


def generate(out: Path) -> None:
    """Runs protoc over every proto file, with stubs for `mypy --strict`, and writes the options."""
    protos = sorted(PROTO.rglob("*.proto"))
    services = [proto for proto in protos if proto.stem.endswith("_service")]
    _protoc(out, protos, "python", "mypy")
    _protoc(out, services, "grpc_python", "mypy_grpc")
    (out / OPTIONS).parent.mkdir(exist_ok=True)
    (out / OPTIONS).write_text(options())


def generated_names() -> set[Path]:
    """The files that the present proto files give, relative to the root."""
    names = {OPTIONS}
    for proto in PROTO.rglob("*.proto"):
        stem = proto.relative_to(PROTO).with_suffix("")
        endings = ["_pb2.py", "_pb2.pyi"]
        if proto.stem.endswith("_service"):
            endings += ["_pb2_grpc.py", "_pb2_grpc.pyi"]
        names |= {stem.with_name(stem.name + ending) for ending in endings}
    return names


def generated(root: Path) -> set[Path]:
    """The generated files that lie under a root, relative to it."""
    paths = {root / OPTIONS, *(root / "ledger").rglob("*_pb2*.py*")}
    return {path.relative_to(root) for path in paths if path.parent.name != "__pycache__"}


def differences(fresh: Path) -> list[Path]:
    """The committed files that are missing, left over, or other than the fresh ones."""
    committed = generated(ROOT)
    return sorted(
        path
        for path in committed | generated(fresh)
        if not (ROOT / path).is_file()
        or not (fresh / path).is_file()
        or (ROOT / path).read_bytes() != (fresh / path).read_bytes()
    )


def _protoc(out: Path, protos: list[Path], *plugins: str) -> None:
    if not protos:
        return
    scripts = Path(sys.executable).parent
    arguments = ["protoc", *INCLUDES]
    for plugin in plugins:
        quiet = "quiet:" if plugin.startswith("mypy") else ""
        arguments.append(f"--{plugin}_out={quiet}{out}")
        if quiet:
            arguments.append(f"--plugin=protoc-gen-{plugin}={scripts / f'protoc-gen-{plugin}'}")
    if protoc.main([*arguments, *map(str, protos)]) != 0:
        sys.exit("protoc refused the proto files; its words are above")


if __name__ == "__main__":
    sys.exit(main())
