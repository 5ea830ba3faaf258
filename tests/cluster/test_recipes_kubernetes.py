"""The manifest for KubeRay, as schemas of Kubernetes and of KubeRay read it; no cluster is started.

`$SECONDLOOK_DATA/kuberay/ray.io_rayjobs.yaml`, a file of KubeRay's repository, is the schema of a job; it is no part of
ours, and without it only what Kubernetes itself defines is checked.
"""

from __future__ import annotations

import os
import shlex
from importlib.metadata import version
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from recipes import RECIPES, ROOT, parse

from secondlook.lab.sweep import Sweep

KUBERNETES = "1.34"


def templates(job):
    cluster = job["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]


def see_kubernetes(text: str):
    """Fail where Kubernetes would refuse what it knows itself: the claim, and pods."""
    claim, job = yaml.safe_load_all(text)
    kubernetes_validate.validate(claim, KUBERNETES, strict=True)
    for template in templates(job):
        kind = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": template}
        kubernetes_validate.validate(kind, KUBERNETES, strict=True)
    return claim, job


def test_kubernetes_understands_the_manifest():
    text = (RECIPES / "kuberay.yaml").read_text()
    see_kubernetes(text)
    for right, wrong in (
        ("accessModes", "accessMode"),
        ("volumeMounts", "volumeMount"),
        ("claimName", "claim"),
        ("containerPort", "port"),
        ("mountPath: /sweep", "mountPath: 1"),
    ):
        assert right in text
        with pytest.raises(jsonschema.ValidationError):
            see_kubernetes(text.replace(right, wrong))


@pytest.fixture(scope="session")
def rayjob_schema():
    data = Path(os.environ.get("SECONDLOOK_DATA") or ROOT.parent / "shared" / "data")
    file = data / "kuberay" / "ray.io_rayjobs.yaml"
    if not file.is_file():
        pytest.skip(f"no {file}: get it from helm-chart/kuberay-operator/crds of KubeRay 1.7")
    versions = yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]["versions"]
    schema = next(one for one in versions if one["name"] == "v1")["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft202012Validator(strict(schema))


def strict(schema):
    """Unknown fields, which a server drops without a word, are errors; numbers may be where text may."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(part) for name, part in schema.items()}
    if isinstance(made.get("properties"), dict) and not made.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    if made.get("x-kubernetes-int-or-string"):
        made = {"type": ["integer", "string"]}
    return made


def test_kuberay_understands_the_manifest(rayjob_schema):
    text = (RECIPES / "kuberay.yaml").read_text()

    def errors(text):
        _, job = yaml.safe_load_all(text)
        return [error.message for error in rayjob_schema.iter_errors(job)]

    assert errors(text) == []
    for right, wrong in (
        ("authOptions", "auth"),
        ("mode: token", "mode: password"),
        ("secretName", "secret"),
        ("shutdownAfterJobFinishes", "shutDownAfterJobFinishes"),
        ("backoffLimit: 2", "backoffLimit: two"),
        ("rayStartParams", "startParams"),
        ('num-cpus: "0"', "num-cpus: 0"),
        ("workerGroupSpecs", "workerGroups"),
        ("claimName", "claim"),
    ):
        assert right in text
        assert errors(text.replace(right, wrong)), wrong


def test_what_the_manifest_names_is_there_and_its_pods_can_do_the_work():
    text = (RECIPES / "kuberay.yaml").read_text()
    claim, job = see_kubernetes(text)
    spec = job["spec"]
    assert spec["rayClusterSpec"]["rayVersion"] == version("ray")
    assert spec["rayClusterSpec"]["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    program, *arguments = shlex.split(spec["entrypoint"])
    asked = parse(arguments).params
    assert (program, asked["cluster"]) == ("secondlook", "auto")
    secret, store = spec["rayClusterSpec"]["authOptions"]["secretName"], claim["metadata"]["name"]
    assert f"create secret generic {secret} --from-literal=auth_token=" in text  # the key that KubeRay looks for
    for template in templates(job):
        pod = template["spec"]
        (container,) = pod["containers"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        assert mounts["/results"]["persistentVolumeClaim"]["claimName"] == store
        configuration = mounts[str(Path(asked["file"]).parent)]["configMap"]["name"]
        assert f"create configmap {configuration} --from-file={Path(asked['file']).name}" in text
        assert (RECIPES / Path(asked["file"]).name).exists()
        assert Path(asked["out"]).is_relative_to("/results")
    takes = Sweep.read(RECIPES / "paper-grid.toml").resources
    for group in spec["rayClusterSpec"]["workerGroupSpecs"]:
        resources = group["template"]["spec"]["containers"][0]["resources"]
        has = {name: int(resources["requests"][name]) for name in ("cpu", "nvidia.com/gpu")}
        assert resources["limits"]["nvidia.com/gpu"] == has["nvidia.com/gpu"]
        assert has["cpu"] * takes.gpus == has["nvidia.com/gpu"] * takes.cpus  # neither is left over
