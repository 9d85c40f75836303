"""A key's limits and priority, as the clients of applications meet them."""

import time

import httpx
import openai
import pytest

from conftest import openai_client
from processes import eventually
from wire import CHAT, chat

MESSAGES = [{"role": "user", "content": "hello"}]

KEYS = """keys:
  - {name: free, key: sk-free}
  - {name: rare, key: sk-rare, requests_per_minute: 30}
  - {name: few, key: sk-few, max_in_flight: 1}
  - {name: short, key: sk-short, tokens_per_minute: 120}
  - {name: batch, key: sk-batch, priority: -10}
"""


@pytest.fixture
def router(stage):
    keys = stage.folder / "keys.yaml"
    keys.write_text(KEYS)
    return stage.router(stage.sim(1, max_num_seqs=8).urls, f"auth: {{keys_file: {keys}}}\n")


def call(client, **kwargs):
    return client.chat.completions.create(**{"model": "llama2", "messages": MESSAGES, "max_tokens": 4} | kwargs)


def limited(client, limit, **kwargs):
    """The refusal, after a look at what all of them must have."""
    with pytest.raises(openai.RateLimitError) as caught:
        call(client, **kwargs)
    error = caught.value
    assert (error.code, error.type) == ("rate_limited", "rate_limit_error")
    assert error.response.headers["X-Penstock-Error"] == "rate_limited"
    assert int(error.response.headers["Retry-After"]) >= 1
    assert limit in error.message, error.message
    return error


def test_requests_per_minute(router):
    client = openai_client(router, "sk-rare")
    for n in range(30):  # all at once; one more comes in meanwhile, each two seconds
        got = client.chat.completions.with_raw_response.create(model="llama2", messages=MESSAGES, max_tokens=1)
        assert got.headers["x-ratelimit-limit-requests"] == "30"
    error = None
    while error is None:  # a slow machine may have refilled some
        try:
            call(client)
        except openai.RateLimitError:
            error = limited(client, "requests_per_minute")
    assert "rare" in error.message
    assert call(openai_client(router, "sk-free")).choices, "another key has limits of its own"
    time.sleep(int(error.response.headers["Retry-After"]))
    assert call(client).choices, "refused after Retry-After"
    assert router.metric("penstock_key_limited_total", key="rare", limit="requests") >= 2
    assert router.metric("penstock_request_errors_total", reason="rate_limited") >= 2


def test_a_client_that_retries_gets_through(router):
    """openai's clients heed Retry-After by themselves."""
    client = openai_client(router, "sk-rare").with_options(max_retries=3)
    for _ in range(32):
        assert call(client, max_tokens=1).choices


def test_max_in_flight(router):
    client = openai_client(router, "sk-few")
    stream = call(client, max_tokens=3000, stream=True)
    next(iter(stream))
    assert router.metric("penstock_key_requests_in_flight", key="few") == 1
    assert limited(client, "max_in_flight").response.headers["Retry-After"] == "1"
    stream.close()
    eventually("the place is free", lambda: router.metric("penstock_key_requests_in_flight", key="few") == 0)
    for _ in range(20):  # one after another is one at a time, on a new connection each
        assert call(openai_client(router, "sk-few")).choices


def test_tokens_per_minute(router):
    client = openai_client(router, "sk-short")
    used = call(client, max_tokens=100).usage.total_tokens
    error = limited(client, "tokens_per_minute", max_tokens=100)
    assert "120 tokens a minute" in error.message
    assert int(error.response.headers["x-ratelimit-remaining-tokens"]) <= 120 - used + 10
    assert router.metric("penstock_key_tokens_total", key="short") == used
    assert [m.id for m in client.models.list()] == ["llama2"], "costs no tokens"


def test_request_that_failed_costs_no_tokens(router):
    client = openai_client(router, "sk-short")
    for _ in range(5):
        with pytest.raises(openai.NotFoundError):
            call(client, model="nope", max_tokens=100)
    assert call(client, max_tokens=100).choices


def test_priority(router):
    def status(key, said):
        return httpx.post(router.url + CHAT, json=chat(max_tokens=1),
                          headers={"Authorization": key, "X-Penstock-Priority": said}).status_code

    assert [status("sk-batch", said) for said in ("-20", "5", "high", "1e3", "5000")] == [200, 200, 400, 400, 400]
