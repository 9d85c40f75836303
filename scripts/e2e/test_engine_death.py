"""kill -9 of one engine out of four under load: nobody who had no byte yet may
notice, and a stream that was under way must say that it was cut."""

import asyncio
import random
import time
from collections import Counter

from wire import CHAT, Connection, chat

CLIENTS = 48
SECONDS = 6.0
KILL_AFTER = 2.5


async def client(router, number: int, until: float, answers: list):
    connection, dice = Connection(router.address), random.Random(number)
    while time.monotonic() < until:
        body = chat(f"client {number}", max_tokens=dice.randrange(10, 80), stream=dice.random() < 0.7)
        answers.append(await connection.post(CHAT, body))
    connection.close()


async def load(router, victim):
    answers = []
    until = time.monotonic() + SECONDS
    clients = [asyncio.create_task(client(router, n, until, answers)) for n in range(CLIENTS)]
    await asyncio.sleep(KILL_AFTER)
    victim.kill()
    killed = time.monotonic()
    await asyncio.gather(*clients)
    return answers, killed


def test_kill_one_of_four_under_load(stage):
    sims = [stage.sim(1) for _ in range(4)]
    router = stage.router([sim.urls[0] for sim in sims])
    answers, killed = asyncio.run(load(router, sims[0]))

    failed = [a for a in answers if not a.done]
    cut = [a for a in failed if a.error_event]
    print(f"{len(answers)} requests, {len(cut)} streams cut, "
          f"retries {router.metric('penstock_retries_total', outcome='ok'):.0f}, "
          f"last failure {max((1e3 * (a.finished - killed) for a in failed), default=0):.1f} ms after the kill")

    assert len(answers) > 500
    others = [str(a) for a in failed if not a.error_event]
    assert not others, f"{len(others)} requests failed that need not: {others[:5]}"
    assert cut, "no stream was under way on the killed engine: the test has shown nothing"
    assert all(a.whole and a.first_byte and a.first_byte <= killed + 0.05 for a in cut)
    assert Counter(a.error_event["code"] for a in cut).keys() == {"instance_failed"}
    assert router.metric("penstock_instance_up", instance=sims[0].urls[0].removeprefix("http://")) == 0
    assert router.metric("penstock_instance_up") == 3


def test_stream_that_breaks_off_inside_an_event(stage):
    """The error stands on lines of its own: a blank line comes first."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    first = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    torn = b'data: {"choices":[{"del'
    engine = stage.engine([head, b"%x\r\n%b\r\n" % (len(first), first), b"%x\r\n%b\r\n" % (len(torn), torn)],
                          close_after=True)
    router = stage.router([engine.url])

    async def once():
        return await Connection(router.address).post(CHAT, chat(stream=True))

    answer = asyncio.run(once())
    assert answer.whole, answer
    assert answer.body.startswith(first + torn + b"\n\n"), answer
    assert answer.error_event["code"] == "instance_failed"
    assert "[DONE]" not in answer.events
    assert len(engine.seen) == 1, "nothing is retried after a byte went out"


def test_connection_serves_on_after_a_stream_that_was_cut(stage):
    """The answer's framing was whole, so the client's next request may be under
    way on the same connection: closing it would lose a request without a byte."""
    sim = stage.sim(1)
    router = stage.router(sim.urls)

    async def twice():
        connection = Connection(router.address)
        sim.fault(kind="cut", tokens=3, **{"for": "60s"})
        first = await connection.post(CHAT, chat(stream=True))
        sim.heal()
        return first, await connection.post(CHAT, chat())

    first, second = asyncio.run(twice())
    assert first.error_event["code"] == "instance_failed", first
    assert second.done or second.headers["x-penstock-error"] == "no_instance", second
