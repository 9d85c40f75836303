"""The router's own errors arrive as the exception classes that applications
catch, with the code in the body and in X-Penstock-Error."""

import hashlib
import threading

import httpx
import openai
import pytest

from conftest import openai_client
from processes import eventually, free_ports
from wire import CHAT, chat

MESSAGES = [{"role": "user", "content": "hello"}]


def call(client, **kwargs):
    return client.chat.completions.create(**{"model": "llama2", "messages": MESSAGES, "max_tokens": 4} | kwargs)


def raised(kind, code, client, **kwargs):
    """The exception, after a look at what all of them must have."""
    with pytest.raises(kind) as caught:
        call(client, **kwargs)
    assert caught.value.code == code
    assert caught.value.response.headers["X-Penstock-Error"] == code
    assert set(caught.value.response.json()["error"]) == {"message", "type", "param", "code"}
    return caught.value


def test_wrong_model(fleet):
    raised(openai.NotFoundError, "model_not_found", openai_client(fleet[1]), model="nope")


def test_wrong_type_of_a_routing_key(fleet):
    sim, router = fleet
    before = sim.total("requests")
    raised(openai.BadRequestError, "invalid_request", openai_client(router), extra_body={"max_tokens": "ten"})
    assert sim.total("requests") == before


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{", b'{"model":"llama2"} x', b'{"model":"llama2","model":"llama2","messages":[]}', b"\xff\xfe",
])
def test_what_is_not_a_request(fleet, body):
    sim, router = fleet
    before = sim.total("requests")
    got = httpx.post(router.url + CHAT, content=body, headers={"Content-Type": "application/json"})
    assert (got.status_code, got.json()["error"]["code"]) == (400, "invalid_request")
    assert sim.total("requests") == before


def test_route_that_is_not_routed(fleet):
    for path in ("/metrics", "/v1/load_lora_adapter", "/sleep", "/_sim/stats", "/nowhere"):
        got = httpx.post(fleet[1].url + path, json=chat())
        assert (got.status_code, got.json()["error"]["code"]) == (404, "route_not_found"), path


def test_wrong_method(fleet):
    got = httpx.put(fleet[1].url + CHAT, json=chat())
    assert (got.status_code, got.json()["error"]["code"]) == (405, "method_not_allowed")


@pytest.fixture
def guarded(stage):
    """A router that wants a key: one in clear, one as its digest, one that may
    use a single model."""
    keys = stage.folder / "keys.yaml"
    keys.write_text(f"""keys:
  - {{name: clear, key: sk-clear}}
  - {{name: digest, sha256: {hashlib.sha256(b"sk-digest").hexdigest()}}}
  - {{name: narrow, key: sk-narrow, models: [other]}}
""")
    keys.chmod(0o600)
    return stage.router(stage.sim(1).urls, f"auth: {{keys_file: {keys}}}\n")


def test_keys(guarded):
    assert call(openai_client(guarded, "sk-clear")).choices
    assert call(openai_client(guarded, "sk-digest")).choices
    raised(openai.AuthenticationError, "invalid_api_key", openai_client(guarded, "sk-wrong"))
    raised(openai.PermissionDeniedError, "model_not_allowed", openai_client(guarded, "sk-narrow"))
    assert [m.id for m in openai_client(guarded, "sk-narrow").models.list()] == []


def test_raw_token(guarded):
    got = httpx.post(guarded.url + CHAT, json=chat(), headers={"Authorization": "sk-clear"})
    assert got.status_code == 200
    assert httpx.post(guarded.url + CHAT, json=chat()).status_code == 401


def test_keys_are_never_logged_or_exported(guarded):
    raised(openai.AuthenticationError, "invalid_api_key", openai_client(guarded, "sk-wrong"))
    call(openai_client(guarded, "sk-clear"))
    exposed = guarded.log(1000) + guarded.metrics() + httpx.get(guarded.admin + "/api/v1/config").text
    assert "sk-" not in exposed


def test_full_queue(stage):
    sim = stage.sim(1)
    router = stage.router([], f"""
instances: [{{url: "{sim.urls[0]}", max_in_flight: 1}}]
queue: {{max_size: 1}}
""")
    client = openai_client(router)
    stream = call(client, max_tokens=3000, stream=True)
    next(iter(stream))
    held = threading.Thread(target=lambda: call(openai_client(router)))
    held.start()
    eventually("one request is held", lambda: router.metric("penstock_gateway_pending") == 1)
    error = raised(openai.RateLimitError, "queue_full", client)
    assert int(error.response.headers["Retry-After"]) >= 1
    stream.close()
    held.join(10)
    assert not held.is_alive(), "the held request was not sent when its turn came"


def test_queue_timeout(stage):
    sim = stage.sim(1)
    router = stage.router([], f"""
instances: [{{url: "{sim.urls[0]}", max_in_flight: 1}}]
queue: {{max_size: 4, timeout: 200ms}}
""")
    client = openai_client(router)
    stream = call(client, max_tokens=3000, stream=True)
    next(iter(stream))
    raised(openai.RateLimitError, "queue_timeout", client)
    stream.close()


def test_no_instance(stage):
    router = stage.router([f"http://127.0.0.1:{free_ports()}"], wait=False)
    router.wait_for(router.admin + "/healthz")
    eventually("nothing can be routed to", lambda: httpx.get(router.url + "/health").status_code == 503)
    error = raised(openai.InternalServerError, "no_instance", openai_client(router))
    assert error.status_code == 503
    assert httpx.get(router.admin + "/readyz").status_code == 503


def test_all_tries_fail(stage):
    """Engines that close the connection without a word: three tries, and said so."""
    engines = [stage.engine(b"", close_after=True) for _ in range(4)]
    router = stage.router([engine.url for engine in engines])
    error = raised(openai.InternalServerError, "instance_failed", openai_client(router))
    assert error.status_code == 502
    assert "3 " in error.message, error.message
    assert sum(bool(engine.seen) for engine in engines) == 3


def test_no_answer_in_time(stage):
    engine = stage.engine([])
    router = stage.router([engine.url], "health: {response_timeout: 300ms}\n")
    error = raised(openai.InternalServerError, "instance_timeout", openai_client(router))
    assert error.status_code == 504


def test_too_large_a_body(stage):
    router = stage.router(stage.sim(1).urls, "limits: {body_bytes: 4KiB}\n")
    error = raised(openai.APIStatusError, "body_too_large", openai_client(router),
                   messages=[{"role": "user", "content": "water " * 1000}])
    assert error.status_code == 413


def test_stream_that_is_cut(stage):
    sim = stage.sim(1)
    router = stage.router(sim.urls)
    sim.fault(kind="cut", tokens=5, **{"for": "60s"})
    chunks = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in call(openai_client(router), max_tokens=50, stream=True):
            chunks.append(chunk)
    assert (type(caught.value), caught.value.code) == (openai.APIError, "instance_failed")
    assert len(chunks) >= 5


def test_instance_comes_back(stage):
    """An engine that is started after the router is found by itself."""
    sim = stage.sim(1)
    port = int(sim.urls[0].rsplit(":", 1)[1])
    router = stage.router(sim.urls)
    sim.kill()
    with pytest.raises(openai.InternalServerError):
        call(openai_client(router))
    stage.run("sim-again", [*sim.popen.args[:3], f"127.0.0.1:{port}", *sim.popen.args[4:]])
    eventually("the instance is routed to again", lambda: httpx.get(router.url + "/health").status_code == 200, 10)
    assert call(openai_client(router)).choices
