"""OpenAI's Node client against the router; the calls are in node_client.mjs."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from processes import eventually


@pytest.fixture(scope="module")
def results(fleet):
    sim, router = fleet
    aborted = sim.total("aborted")
    modules = Path(os.environ["PENSTOCK_CACHE"]) / "e2e-node"
    script = Path(__file__).with_name("node_client.mjs")
    out = subprocess.run(["node", script, router.url + "/v1", modules], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    eventually("the engine hears of the abort", lambda: sim.total("aborted") == aborted + 1)
    return json.loads(out.stdout)


def test_stream_says_the_same_as_the_whole_answer(results):
    assert results["whole"]["tokens"] == 12
    assert results["streamed"]["text"] == results["whole"]["text"] != ""


def test_abort_reaches_the_engine(results):
    assert results["aborted"]["tokens"] == 3


def test_wrong_model(results):
    assert results["wrongModel"] == {"error": "NotFoundError", "status": 404, "code": "model_not_found"}


def test_models(results):
    assert results["models"]["ids"] == ["llama2"]
