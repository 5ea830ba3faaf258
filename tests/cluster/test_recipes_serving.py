"""What serves models: Ray Serve's own models read its file, servers of a machine end together; no model is loaded."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from ray_nodes import until
from recipes import RECIPES


@pytest.fixture(scope="module")
def ray_serve():
    """Ray Serve's own models of its configuration; Ray itself uses pydantic in ways that are deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray import serve
        from ray.llm._internal.serve.core.configs import llm_config
        from ray.llm._internal.serve.routing_policies.prefix_aware import prefix_aware_router
        from ray.serve import config, schema

    return {"serve": serve, "config": config, "schema": schema, "llm": llm_config, "router": prefix_aware_router}


def source(module: str) -> ast.Module:
    """Of a module that cannot be imported without vLLM; it is found by its folder."""
    package, _, name = module.rpartition(".")
    folder = Path(find_spec("ray").submodule_search_locations[0]).joinpath(*package.split(".")[1:])
    file = folder / f"{name}.py"
    return ast.parse((file if file.exists() else folder / name / "__init__.py").read_text())


def see_served(text: str, ray_serve) -> None:
    """Fail as Ray would, before any model is loaded."""
    record, schemas = yaml.safe_load(text), ray_serve["schema"]
    (application,) = schemas.ServeDeploySchema.model_validate(record).applications
    # Ray itself overlooks what it does not know.
    assert record.keys() <= schemas.ServeDeploySchema.model_fields.keys()
    assert record["http_options"].keys() <= schemas.HTTPOptionsSchema.model_fields.keys()
    assert record["applications"][0].keys() <= schemas.ServeApplicationSchema.model_fields.keys()
    module, _, builder = application.import_path.partition(":")
    assert builder in {node.name for node in source(module).body if isinstance(node, ast.FunctionDef)}
    arguments = next(
        node
        for node in source("ray.llm._internal.serve.core.ingress.builder").body
        if isinstance(node, ast.ClassDef) and node.name == "LLMServingArgs"
    )
    known = {field.target.id for field in arguments.body if isinstance(field, ast.AnnAssign)}
    assert application.args.keys() <= known
    for model in application.args["llm_configs"]:
        # The public name of the router loads vLLM; what it derives from does not.
        deployment = model["deployment_config"]
        routing = deployment["request_router_config"]
        assert deployment.keys() <= inspect.signature(ray_serve["serve"].deployment).parameters.keys()
        assert routing.keys() <= ray_serve["config"].RequestRouterConfig.model_fields.keys()
        module, _, name = routing["request_router_class"].rpartition(".")
        router = next(node for node in source(module).body if isinstance(node, ast.ClassDef) and node.name == name)
        assert [base.id for base in router.bases] == ["_PrefixCacheAffinityRouter"]
        internal = ray_serve["router"].PrefixCacheAffinityRouter
        routing["request_router_class"] = f"{internal.__module__}.{internal.__name__}"
        ray_serve["llm"].LLMConfig.model_validate(model)
        assert routing["request_router_kwargs"].keys() <= set(internal.initialize_state.__annotations__)


def test_ray_serve_understands_its_file(ray_serve):
    text = (RECIPES / "serve-vllm.yaml").read_text()
    see_served(text, ray_serve)
    for right, wrong in (
        ("build_openai_app", "build_openai_apps"),
        ("llm_configs", "llm_config"),
        ("model_source", "model_sauce"),
        ("num_replicas: 8", "num_replicas: many"),
        ("proxy_location: HeadOnly", "proxy_location: Head"),
        ("http_options", "http_option"),
        ("host:", "hots:"),
        ("route_prefix", "prefix"),
        ("max_ongoing_requests", "max_ongoing"),
        ("request_router_config", "router_config"),
        ("request_router_kwargs", "router_kwargs"),
        ("PrefixCacheAffinityRouter", "PrefixAwareRouter"),
        ("match_rate_threshold", "match_threshold"),
        ("accelerator_type: H100", "accelerator_type: H1000"),
    ):
        assert right in text
        with pytest.raises((ValueError, AssertionError, LookupError, StopIteration)):
            see_served(text.replace(right, wrong), ray_serve)


@pytest.fixture
def vllm(tmp_path):
    """Stands in for vLLM, which wants an accelerator: it says how it was called, and stays."""
    file = tmp_path / "vllm"
    file.write_text(
        f'#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES $@" > "{tmp_path}/called.$CUDA_VISIBLE_DEVICES"\nexec sleep 60\n'
    )
    file.chmod(0o755)
    return file


def start_servers(vllm, **settings):
    return subprocess.Popen(
        [RECIPES / "serve-vllm.sh", "some/model", "--max-model-len", "4096"],
        env=os.environ | {"VLLM": str(vllm), "GPUS": "0 3"} | settings,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_each_accelerator_has_a_server_and_all_end_together(vllm, tmp_path):
    import psutil

    called = [tmp_path / f"called.{gpu}" for gpu in (0, 3)]
    for end in ("terminated", "one of them ends"):
        with start_servers(vllm, HOST="10.0.0.1", PORT="9000") as process:
            assert process.stdout.readline() == "BASE_URLS='http://10.0.0.1:9000/v1 http://10.0.0.1:9001/v1'\n"
            servers = psutil.Process(process.pid).children()
            assert len(servers) == 2
            until(lambda: all(file.exists() and file.read_text() for file in called))
            if end == "terminated":
                process.terminate()
            else:
                servers[1].kill()
            assert process.wait(20) != 0
        assert psutil.wait_procs(servers, 20)[1] == []
        for file, gpu, port in zip(called, "03", ("9000", "9001"), strict=True):
            address = ["--host", "10.0.0.1", "--port", port]
            told = [gpu, "serve", "some/model", *address, "--enable-prefix-caching", "--max-model-len", "4096"]
            assert file.read_text().split() == told
            file.unlink()
