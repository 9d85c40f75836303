"""OpenAI's Python client against the router: what an application sees."""

import asyncio
import time

import pytest
from openai import AsyncOpenAI

from conftest import openai_client

MESSAGES = [{"role": "user", "content": "What does a penstock do?"}]


@pytest.fixture
def client(fleet):
    return openai_client(fleet[1])


def test_chat(client):
    got = client.chat.completions.create(model="llama2", messages=MESSAGES, max_tokens=12)
    assert got.choices[0].message.role == "assistant"
    assert got.choices[0].message.content
    assert got.choices[0].finish_reason == "length"
    assert got.usage.completion_tokens == 12
    assert got.usage.prompt_tokens > 0


def test_chat_stream_says_the_same_as_the_whole_answer(client):
    whole = client.chat.completions.create(model="llama2", messages=MESSAGES, max_tokens=12)
    chunks = list(client.chat.completions.create(
        model="llama2", messages=MESSAGES, max_tokens=12, stream=True,
        stream_options={"include_usage": True},
    ))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].usage.completion_tokens == 12


def test_completions(client):
    whole = client.completions.create(model="llama2", prompt="Water", max_tokens=8)
    pieces = client.completions.create(model="llama2", prompt="Water", max_tokens=8, stream=True)
    assert "".join(c.choices[0].text for c in pieces if c.choices) == whole.choices[0].text


def test_models(client):
    assert [m.id for m in client.models.list()] == ["llama2"]


def test_tokens_come_one_by_one(client):
    """A buffering proxy would hand them over together at the end."""
    stream = client.chat.completions.create(model="llama2", messages=MESSAGES, max_tokens=50, stream=True)
    times = [time.monotonic() for _ in stream]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert len(times) >= 50
    assert sum(gap > 0.002 for gap in gaps) > 40, gaps


def test_many_streams_at_once(fleet):
    async def one(client, number):
        stream = await client.chat.completions.create(
            model="llama2", messages=[{"role": "user", "content": f"number {number}"}], max_tokens=20, stream=True)
        return [c.choices[0].delta.content async for c in stream if c.choices and c.choices[0].delta.content]

    async def all_of_them():
        async with AsyncOpenAI(base_url=fleet[1].url + "/v1", api_key="unused", max_retries=0) as client:
            return await asyncio.gather(*(one(client, n) for n in range(32)))

    answers = asyncio.run(all_of_them())
    assert [len(tokens) for tokens in answers] == [20] * 32
