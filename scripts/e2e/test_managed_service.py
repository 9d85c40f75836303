"""The managed service's own JSON and its documentation's own call, unchanged."""

import json
import subprocess
from pathlib import Path

import pytest

from processes import PENSTOCK

FIXTURES = Path(__file__).with_name("fixtures")
ENDPOINT = "/api/predict/llm_group.llm_router_llm_gateway/v1/completions"
BODY = ('{"model":"llama2","prompt":"I need your help writing an article. I will provide you with some background '
        'information to begin with. And then I will provide you with directions to help me write the article.",'
        '"temperature":0.0,"best_of":1,"n_predict":34,"max_tokens":34,"stream":true}')


@pytest.mark.parametrize("name", ["router-basic.json", "router-advanced.json"])
def test_the_documented_call(stage, name):
    router = stage.router(stage.sim(2).urls, (FIXTURES / name).read_text(), ".json")
    out = subprocess.run(
        ["curl", "-sN", "-X", "POST", router.url + ENDPOINT, "-H", "Content-Type: application/json",
         "-H", "Authorization: c3VwZXItc2VjcmV0", "-d", BODY],
        capture_output=True, text=True, timeout=30)
    events = [line[6:] for line in out.stdout.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]", out.stdout[:500]
    tokens = [json.loads(e)["choices"][0]["text"] for e in events[:-1] if json.loads(e)["choices"]]
    assert sum(bool(text) for text in tokens) == 34
    assert router.metric("penstock_requests_total", code="200", route="/v1/completions") == 1


def test_another_group_is_not_found(stage):
    router = stage.router(stage.sim(1).urls, (FIXTURES / "router-basic.json").read_text(), ".json")
    out = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", BODY,
                          router.url + ENDPOINT.replace("llm_group", "other")], capture_output=True, text=True)
    assert out.stdout == "404"


def refusal(stage, config: dict | str, *flags: str) -> str:
    """What `serve` says on standard error when it exits with 2."""
    path = stage.folder / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    out = subprocess.run([PENSTOCK, "serve", "-c", path, *flags], capture_output=True, text=True, timeout=10)
    assert out.returncode == 2, (out.returncode, out.stderr)
    assert len(out.stderr.strip().splitlines()) == 1, out.stderr
    return out.stderr


def basic(**changes) -> dict:
    return json.loads((FIXTURES / "router-basic.json").read_text()) | changes


INSTANCE = ("--instance", "http://127.0.0.1:9")


def test_a_service_of_engines_is_refused(stage):
    said = refusal(stage, (FIXTURES / "llm-service.json").read_text(), *INSTANCE)
    assert "LLMGatewayService" in said or "register" in said, said


@pytest.mark.parametrize("gateway", [
    {"infer_backend": "tgi"}, {"max_queue_size": -1}, {"max_queue_size": "128"}, {"retry_counts": 2},
])
def test_what_makes_no_sense_is_refused(stage, gateway):
    said = refusal(stage, basic(llm_gateway=gateway), *INSTANCE)
    assert next(iter(gateway)) in said, said


def test_a_queue_service_is_refused(stage):
    assert "queue" in refusal(stage, basic(queue={"source": {}, "sink": {}}), *INSTANCE).lower()


def test_unknown_native_key_names_the_nearest(stage):
    said = refusal(stage, "listen: 127.0.0.1:0\nqueue: {max_sise: 3}\n", *INSTANCE)
    assert "max_sise" in said and "max_size" in said and ":2" in said, said


def test_no_instance_and_no_way_to_get_one(stage):
    assert "instance" in refusal(stage, "listen: 127.0.0.1:0\n")
