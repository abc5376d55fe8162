"""Puts manifests together as kustomize does, as far as ours need it: resources, components,
generated ConfigMaps (without the hash in their names), patches, replicas, images, namespace.

What it does not know is refused, so that no part of a kustomization is quietly left out.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.deployment import Document, documents

KNOWN = {
    *("apiVersion", "kind", "namespace", "resources", "components"),
    *("configMapGenerator", "patches", "replicas", "images"),
}
NOT_IN_A_NAMESPACE = ("Namespace",)


def built(folder: Path) -> list[Document]:
    """The manifests of a folder with a kustomization."""
    (plan,) = documents(folder / "kustomization.yaml")
    found = _gathered(folder, plan, [])
    for name in plan.get("components", ()):
        (component,) = documents(folder / name / "kustomization.yaml")
        assert component["kind"] == "Component"
        found = _patched(_gathered(folder / name, component, found), component)
    found = _patched(found, plan)
    for each in found:
        if "namespace" in plan and each["kind"] not in NOT_IN_A_NAMESPACE:
            each["metadata"]["namespace"] = plan["namespace"]
        _set_replicas(each, plan.get("replicas", ()))
        _set_images(each, plan.get("images", ()))
    return found


def _gathered(folder: Path, plan: Document, found: list[Document]) -> list[Document]:
    assert set(plan) <= KNOWN, folder
    found = list(found)
    for name in plan.get("resources", ()):
        path = folder / name
        found += built(path) if path.is_dir() else documents(path)
    for generator in plan.get("configMapGenerator", ()):
        assert set(generator) <= {"name", "behavior", "files"}
        made = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": generator["name"]},
            "data": {name: (folder / name).read_text() for name in generator["files"]},
        }
        same = [each for each in found if _identity(each) == _identity(made)]
        assert bool(same) == (generator.get("behavior") == "replace"), generator["name"]
        found = [*(each for each in found if each not in same), made]
    identities = [_identity(each) for each in found]
    assert len(identities) == len(set(identities)), identities
    return found


def _identity(each: Document) -> tuple[str, str]:
    return each["kind"], each["metadata"]["name"]


def _patched(found: list[Document], plan: Document) -> list[Document]:
    for patch in plan.get("patches", ()):
        target = patch["target"]
        assert set(patch) == {"target", "patch"}
        assert set(target) <= {"kind", "name"}
        hit = [each for each in found if _is_target(each, target)]
        assert hit, f"no manifest is {target}"
        change = yaml.safe_load(patch["patch"])
        if isinstance(change, dict):
            assert change["$patch"] == "delete"
            found = [each for each in found if each not in hit]
            continue
        for each in hit:
            for step in change:
                _step(each, **step)
    return found


def _is_target(each: Document, target: Document) -> bool:
    kind, name = _identity(each)
    return bool(
        re.fullmatch(target.get("kind", ".*"), kind)
        and re.fullmatch(target.get("name", ".*"), name)
    )


def _step(manifest: Document, *, op: str, path: str, value: Any = None) -> None:  # noqa: ANN401
    """One step of a JSON patch (RFC 6902)."""
    *way, last = path.lstrip("/").split("/")
    place: Any = manifest
    for word in way:
        place = place[int(word) if isinstance(place, list) else word]
    key = int(last) if isinstance(place, list) else last
    assert op in {"add", "remove", "replace"}, op
    if op != "add":
        _ = place[key]  # It has to be there.
    if op == "remove":
        del place[key]
    else:
        place[key] = value


def _set_replicas(each: Document, replicas: list[Document]) -> None:
    for one in replicas:
        if each["kind"] == "Deployment" and each["metadata"]["name"] == one["name"]:
            each["spec"]["replicas"] = one["count"]


def _set_images(each: Document, images: list[Document]) -> None:
    for container in containers(each):
        name, _, tag = container["image"].rpartition(":")
        for image in images:
            if image["name"] == name:
                container["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"


def containers(each: Document) -> list[Document]:
    """The containers of a manifest, where it has any."""
    pod = each.get("spec", {}).get("template", {}).get("spec", {})
    found: list[Document] = pod.get("containers", [])
    return found
