"""The Kubernetes manifests as the tests see them: put together, and asked by kind and pod."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.app.settings import Settings
from tests.deployment import DEPLOY, Document, loaded
from tests.kustomize import built

KUBERNETES = DEPLOY / "kubernetes"
COMPONENTS = KUBERNETES / "components"
FOLDERS = ("base", "overlays/small", "overlays/three-zones")
MANIFESTS = {folder: built(KUBERNETES / folder) for folder in FOLDERS}

each_folder = pytest.mark.parametrize("folder", FOLDERS)


def of_kind(folder: str, *kinds: str) -> list[Document]:
    """The manifests of some kinds."""
    return [each for each in MANIFESTS[folder] if each["kind"] in kinds]


def pods(folder: str) -> Iterator[tuple[str, Document]]:
    """What every Deployment and Job starts, with the role that it plays."""
    for each in of_kind(folder, "Deployment", "Job"):
        yield each["metadata"]["labels"]["app.kubernetes.io/component"], each["spec"]["template"]


def settings_of(folder: str, pod: Document, where: Path) -> Settings:
    """The settings that a pod's process has."""
    (container,) = pod["spec"]["containers"]
    (config,) = of_kind(folder, "ConfigMap")
    environ = {each["name"]: each["value"] for each in container["env"]}
    file = Path(environ.pop("PARCEL_LEDGER_CONFIG"))
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "settings"]
    (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "settings"]

    assert file.parent == Path(mount["mountPath"])
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    return loaded(environ, config["data"][file.name], where).settings
