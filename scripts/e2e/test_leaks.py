"""After 5,000 requests, 500 of them aborted, nothing of them is left."""

import asyncio
import os
import re

from processes import HTTP, eventually
from wire import CHAT, Connection, chat


def goroutines(router) -> int:
    page = HTTP.get(router.admin + "/debug/pprof/goroutine?debug=1").text
    return int(re.search(r"goroutine profile: total (\d+)", page)[1])


def descriptors(router) -> int:
    return len(os.listdir(f"/proc/{router.pid}/fd"))


async def client(router, aborting: bool, count: int):
    connection = Connection(router.address)
    for number in range(count):
        if aborting and number % 2:
            reader, writer = await asyncio.open_connection(*router.address)
            raw = Connection(router.address)
            raw.reader, raw.writer = reader, writer
            stream = asyncio.create_task(raw.post(CHAT, chat(max_tokens=2000, stream=True)))
            await asyncio.sleep(0.02 * (number % 5))  # before the first byte, and after it
            writer.transport.abort()
            stream.cancel()
        else:
            answer = await connection.post(CHAT, chat(max_tokens=2, stream=number % 3 == 0))
            assert answer.done, answer
    connection.close()


async def many(router):
    await asyncio.gather(*(client(router, n < 30, 50) for n in range(100)))


def test_nothing_is_left(stage):
    sim = stage.sim(4, max_num_seqs=256)
    router = stage.router(sim.urls)
    asyncio.run(many(router))  # warms the pools
    eventually("idle connections to the engines close", lambda: goroutines(router) and descriptors(router) < 40, 15, 0.2)
    before = goroutines(router), descriptors(router)
    aborted = router.metric("penstock_aborts_total")

    asyncio.run(many(router))
    eventually("no request is left", lambda: router.metric("penstock_gateway_requests") == 0)
    eventually("goroutines are back", lambda: goroutines(router) <= before[0], 15, 0.2)
    eventually("descriptors are back", lambda: descriptors(router) <= before[1], 15, 0.2)
    assert router.metric("penstock_instance_in_flight") == 0
    assert sim.total("running") == 0
    aborts = router.metric("penstock_aborts_total") - aborted
    assert aborts >= 500  # those that left at once may not count: their request had not come
    print(f"goroutines {before[0]} → {goroutines(router)}, descriptors {before[1]} → {descriptors(router)}, "
          f"aborts {aborts:.0f}")
