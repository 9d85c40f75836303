"""OpenAI's Node client against the router; the calls are in node_client.mjs."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from processes import Router, eventually

MODULES = Path(os.environ.get("PENSTOCK_CACHE", "")) / "e2e-node"
SCRIPT = Path(__file__).with_name("node_client.mjs")


def node(router: Router, *calls: str) -> dict:
    out = subprocess.run(["node", SCRIPT, router.url + "/v1", MODULES, *calls], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


@pytest.fixture(scope="module")
def results(fleet):
    sim, router = fleet
    aborted = sim.total("aborted")
    results = node(router, "whole", "streamed", "aborted", "wrongModel", "models")
    eventually("the engine hears of the abort", lambda: sim.total("aborted") == aborted + 1)
    return results


def test_stream_says_the_same_as_the_whole_answer(results):
    assert results["whole"]["tokens"] == 12
    assert results["streamed"]["text"] == results["whole"]["text"] != ""


def test_abort_reaches_the_engine(results):
    assert results["aborted"]["tokens"] == 3


def test_wrong_model(results):
    assert results["wrongModel"] == {"error": "NotFoundError", "status": 404, "code": "model_not_found"}


def test_models(results):
    assert results["models"]["ids"] == ["llama2"]


def test_stream_that_is_cut(stage):
    sim = stage.sim(1)
    router = stage.router(sim.urls)
    sim.fault(kind="cut", tokens=5, **{"for": "60s"})
    got = node(router, "cut")["cut"]
    assert (got["error"], got["code"]) == ("APIError", "instance_failed")


def test_tools_arrive_as_openai_sent_them(stage):
    engine = stage.engine()
    sent = node(stage.router([engine.url]), "tools")["tools"]["sent"]
    assert engine.seen[0].body.decode() == sent
    assert json.loads(sent)["tools"][0]["function"]["parameters"]["properties"]["gate"]["enum"] == ["north", "süd"]
