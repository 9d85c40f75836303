"""A client that leaves: the engine must stop working for it, at once, whether
it was streaming, before its first token, or not sent to any engine yet."""

import asyncio
import time

from conftest import openai_client
from processes import eventually
from wire import CHAT, Connection, chat


def test_while_streaming(stage):
    sim = stage.sim(1)
    router = stage.router(sim.urls)
    stream = openai_client(router).chat.completions.create(
        model="llama2", messages=[{"role": "user", "content": "go on"}], max_tokens=3000, stream=True)
    for _, _ in zip(range(5), stream):
        pass
    stream.close()
    left = time.monotonic()
    eventually("the engine aborts", lambda: sim.stats()["aborted"] == 1, within=0.5, every=0.002)
    print(f"aborted at the engine {1e3 * (time.monotonic() - left):.1f} ms after the client left")
    assert sim.stats()["running"] == 0
    eventually("it is counted", lambda: router.metric("penstock_aborts_total", when="streaming") == 1)
    assert router.metric("penstock_tokens_saved_total") > 2900


async def leave(router, body, until):
    """Sends a request and closes the connection as soon as `until` holds."""
    _, writer = connection = await asyncio.open_connection(*router.address)
    call = Connection(router.address)
    call.reader, call.writer = connection
    pending = asyncio.create_task(call.post(CHAT, body))
    await asyncio.to_thread(until)
    writer.transport.abort()
    pending.cancel()


def test_before_the_first_byte(stage):
    sim = stage.sim(1)
    router = stage.router(sim.urls)
    sim.fault(kind="hang", **{"for": "60s"})
    asyncio.run(leave(router, chat(stream=True), lambda: eventually("it is sent", lambda: sim.stats()["requests"] == 1)))
    eventually("the engine aborts", lambda: sim.stats()["aborted"] == 1, within=0.5)
    assert router.metric("penstock_aborts_total", when="before_first_byte") == 1


def test_while_pending(stage):
    sim = stage.sim(1)
    router = stage.router([], f'instances: [{{url: "{sim.urls[0]}", max_in_flight: 1}}]\n')
    stream = openai_client(router).chat.completions.create(
        model="llama2", messages=[{"role": "user", "content": "go on"}], max_tokens=3000, stream=True)
    next(iter(stream))

    def is_held():
        eventually("it is held", lambda: router.metric("penstock_gateway_pending") == 1)

    asyncio.run(leave(router, chat(), is_held))
    eventually("it is dropped", lambda: router.metric("penstock_gateway_pending") == 0, within=0.5)
    assert router.metric("penstock_aborts_total", when="pending") == 1
    stream.close()
    eventually("the engine is idle", lambda: sim.stats()["running"] == 0)
    assert sim.stats()["requests"] == 1, "a request whose client had left was sent to the engine"
