"""The keep-alive race: engines that close connections after 50 ms of idleness,
and bursts that come 50 ms apart. A POST must never fail because of it."""

import asyncio
import random

import pytest

from wire import CHAT, Connection, chat

REQUESTS = 10_000
CONCURRENCY = 64
IDLE_LIMIT = 0.050


async def bursts(router):
    """All connections fall idle together, and are wanted again just when the
    engines close them: each burst starts within 5 ms of the limit."""
    connections = [Connection(router.address) for _ in range(CONCURRENCY)]
    dice, answers = random.Random(1), []
    while len(answers) < REQUESTS:
        count = min(CONCURRENCY, REQUESTS - len(answers))
        answers += await asyncio.gather(*(c.post(CHAT, chat(max_tokens=1)) for c in connections[:count]))
        await asyncio.sleep(IDLE_LIMIT + dice.uniform(-0.005, 0.005))
    return answers


def test_ten_thousand_posts_against_a_50_ms_idle_limit(stage):
    sim = stage.sim(4, idle_timeout="50ms")
    router = stage.router(sim.urls)
    answers = asyncio.run(bursts(router))
    failed = [str(a) for a in answers if not a.done]
    print(f"{len(answers)} posts, {len(failed)} failed, {sim.total('requests')} seen by the engines")
    assert len(answers) == REQUESTS
    assert not failed, failed[:5]
    assert router.metric("penstock_request_errors_total") == 0


# Which way of finding a closed connection each rung of --kernel has first.
RUNGS = ("sockops", "tracepoints", "tcp_info", "off")


@pytest.mark.parametrize("kernel", RUNGS)
def test_ten_thousand_posts_against_connections_closed_at_random(stage, kernel):
    """Engines that close an idle connection after 1 to 50 ms, whichever."""
    sim = stage.sim(4, idle_timeout="50ms", idle_least="1ms", profile="instant")
    router = stage.router(sim.urls, kernel=kernel)
    before = sum(router.metric("penstock_kernel_source", mode=mode) for mode in RUNGS)
    answers = asyncio.run(bursts(router))
    failed = [str(a) for a in answers if not a.done]
    caught = {by: int(router.metric("penstock_instance_stale_connections_total", caught=by))
              for by in ("kernel", "epoll", "peek", "use")}
    print(f"| {kernel} | {len(answers)} | {len(failed)} | " + " | ".join(f"{n}" for n in caught.values()) + " |")
    assert before == 1 and router.metric("penstock_kernel_source", mode=kernel) == 1
    assert not failed, failed[:5]
    assert router.metric("penstock_request_errors_total") == 0
    assert sum(caught.values()) > 1000
    assert (caught["kernel"] > 0) == (kernel in ("sockops", "tracepoints"))
