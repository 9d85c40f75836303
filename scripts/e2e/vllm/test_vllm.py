"""The router before two real vLLM: what it reads of them, that a client that
leaves is heard, that one whose core hangs costs nobody anything, and that the
death of one costs nobody more than a stream that was under way. The tests share the two engines and run in this order."""

import asyncio
import time
from dataclasses import dataclass

import openai
import pytest
from openai import AsyncOpenAI

import processes
from conftest import Stage, openai_client
from real_engine import MODEL, VLLM, say, wait_until_ready

CHATS = 200
CONCURRENCY = 16
KILL_AFTER = 60   # chats that were answered
TOKENS = 80
LONG = 400        # tokens of every tenth chat, a stream
ENDLESS = 16000   # tokens: a minute
PATIENCE = 30.0   # seconds: two engines, the router and its clients share what may be two cores

MESSAGES = [{"role": "user", "content": "What does a penstock do?"}]


@pytest.fixture(scope="module")
def report():
    """Lines to print when all is over: what, and a figure."""
    lines = []
    yield lines
    width = max(len(what) for what, _ in lines) if lines else 0
    say("\n" + "\n".join(f"  {what:<{width}}  {figure}" for what, figure in lines))


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    stage = Stage(tmp_path_factory.mktemp("vllm"))
    try:
        started = [stage.keep(VLLM(stage.log(f"vllm-{n}"), n)) for n in range(2)]
        wait_until_ready(started)
        yield started
    finally:
        stage.close()


@pytest.fixture(scope="module")
def router(engines, tmp_path_factory):
    stage = Stage(tmp_path_factory.mktemp("router"))
    try:
        yield stage.router([engine.url for engine in engines], f"scrape: {{timeout: {PATIENCE:.0f}s}}\n")
    finally:
        stage.close()


def eventually(what: str, check):
    return processes.eventually(what, check, within=PATIENCE, every=0.02)


def row_of(router, engine) -> dict:
    return next(row for row in router.instances() if row["url"] == engine.url)


def create(client, model: str = MODEL, tokens: int = TOKENS, **more):
    """A chat of exactly so many tokens: noise may contain the end of the text."""
    return client.chat.completions.create(
        **{"model": model, "messages": MESSAGES, "max_tokens": tokens, "extra_body": {"ignore_eos": True}} | more)


def test_what_is_read_of_an_idle_engine(engines, router, report):
    for engine in engines:
        row = eventually(f"{engine.name} is read", lambda: (r := row_of(router, engine))["kv_capacity_tokens"] and r)
        assert (row["state"], row["engine"]) == ("healthy", "vllm"), row
        assert sorted(row["models"]) == [MODEL, engine.model]
        assert (row["running"], row["waiting"], row["kv_usage"], row["in_flight"]) == (0, 0, 0, 0), row
        assert row["kv_capacity_tokens"] == engine.cache_config("kv_cache_size_tokens")
        assert all(row["signals"][name]["alive"] for name in ("running", "waiting", "kv_usage", "tokens")), row["signals"]
        assert router.metric("penstock_scrape_errors_total", instance=engine.address) == 0
        report.append((f"{engine.name}: read as", f"{row['engine']}, KV cache of {row['kv_capacity_tokens']:,} tokens"))


def test_models_of_both(engines, router):
    client = openai_client(router)
    assert {m.id for m in client.models.list()} == {MODEL} | {engine.model for engine in engines}
    for engine in engines:
        assert [create(client, engine.model, 2).model for _ in range(4)] == [engine.model] * 4
    with pytest.raises(openai.NotFoundError):
        create(client, "nope")


def test_load_is_read_of_both(engines, router):
    client = openai_client(router)
    streams = [create(client, engine.model, ENDLESS, stream=True) for engine in engines for _ in range(3)]
    for stream in streams:
        next(iter(stream))

    def loaded(engine) -> bool:
        row = row_of(router, engine)
        return (row["running"], row["in_flight"]) == (3, 3) and 0 < row["kv_usage"] < 0.1

    for engine in engines:
        eventually(f"the load of {engine.name} is read", lambda: loaded(engine))
    for stream in streams:
        stream.close()
    for engine in engines:
        eventually(f"{engine.name} is idle again", lambda: row_of(router, engine)["running"] == 0)


@dataclass
class Abort:
    """What a client that leaves must bring about at its engine."""

    engine: VLLM

    def __post_init__(self) -> None:
        self.finished = self.engine.metric("vllm:request_success_total")

    def wait(self) -> float:
        """Seconds until the engine is idle. The request has not come to its end
        there: vLLM counts those, and not the aborted ones."""
        left = time.monotonic()
        eventually("vLLM is idle", lambda: self.engine.metric("vllm:num_requests_running") == 0)
        took = time.monotonic() - left
        assert self.engine.metric("vllm:request_success_total") == self.finished, "it ran to its end"
        return took


def test_client_leaves_while_streaming(engines, router, report):
    engine, abort = engines[0], Abort(engines[0])
    stream = create(openai_client(router), engine.model, ENDLESS, stream=True)
    for _ in zip(range(5), stream):
        pass
    stream.close()
    report.append(("client left while streaming, vLLM idle after", f"{1e3 * abort.wait():.0f} ms"))


def test_client_leaves_before_the_answer(engines, router, report):
    engine, abort = engines[0], Abort(engines[0])

    def runs() -> bool:
        return engine.metric("vllm:num_requests_running") == 1

    async def leave():
        async with async_client(router) as client:
            call = asyncio.create_task(create(client, engine.model, ENDLESS))
            await asyncio.to_thread(eventually, "it runs", runs)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    asyncio.run(leave())
    report.append(("client left before the answer, vLLM idle after", f"{1e3 * abort.wait():.0f} ms"))
    assert router.metric("penstock_aborts_total", when="before_first_byte") == 1


def async_client(router) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=router.url + "/v1", api_key="unused", max_retries=0, timeout=60.0)


@dataclass
class Chat:
    """One of the many, as its application saw it."""

    number: int
    engine: str = ""  # which answered
    chunks: int = 0
    whole: bool = False
    failure: openai.APIError | None = None
    finished: float = 0.0

    @property
    def streamed(self) -> bool:
        return self.number % 2 == 0

    @property
    def tokens(self) -> int:
        return TOKENS if self.number % 10 else LONG

    @property
    def under_way(self) -> bool:
        """A long stream with half of it still to come: this client may be that
        far behind the engine."""
        return not self.finished and self.tokens == LONG and 0 < self.chunks < LONG // 2

    @property
    def was_cut(self) -> bool:
        """A stream that had begun, and ended with the router's own event."""
        return self.chunks > 0 and type(self.failure) is openai.APIError and self.failure.code == "instance_failed"

    async def run(self, client) -> None:
        messages = [{"role": "user", "content": f"Chat {self.number}: how high is the water?"}]
        try:
            got = await create(client, tokens=self.tokens, messages=messages, stream=self.streamed)
            await (self._follow(got) if self.streamed else self._take(got))
        except openai.APIError as failure:
            self.failure = failure
        self.finished = time.monotonic()

    async def _follow(self, stream) -> None:
        async for chunk in stream:
            self.engine, self.chunks = chunk.model, self.chunks + 1
            self.whole = chunk.choices[0].finish_reason == "length"

    async def _take(self, answer) -> None:
        self.engine, self.whole = answer.model, answer.usage.completion_tokens == self.tokens


FROZEN = 8.0       # seconds
HANG_WITHIN = 5.0  # seconds until it must be out


@dataclass
class Hang:
    """What was seen of an engine whose core stood still."""

    victim: VLLM
    out: float = 0.0     # seconds until it was out
    health: int = 0      # what its /health said meanwhile
    reason: str = ""     # the router's
    back: float = 0.0    # seconds from its first instruction until it was in again
    served: float = 0.0  # and until it had answered a chat

    async def watch(self, router, chats: list[Chat]) -> None:
        def state(*wanted: str):
            return lambda: row_of(router, self.victim)["state"] in wanted

        start = time.monotonic()
        self.victim.freeze()
        try:
            await asyncio.to_thread(eventually, "it is out", state("ejected"))
            self.out = time.monotonic() - start
            self.reason = row_of(router, self.victim)["reason"]
            self.health = (await asyncio.to_thread(processes.HTTP.get, self.victim.url + "/health")).status_code
            await asyncio.sleep(FROZEN - self.out)
        finally:
            thawed = time.monotonic()
            self.victim.thaw()
        await asyncio.to_thread(eventually, "it is in again", state("healthy"))
        self.back = time.monotonic() - thawed
        later = len(chats)
        while not any(c.whole and c.engine == self.victim.model for c in chats[later:]):
            await asyncio.sleep(0.02)
        self.served = time.monotonic() - thawed


async def chats_and_a_hang(engines, router) -> tuple[list[Chat], Hang]:
    """Chats without a pause, while one engine's core stands still and goes on."""
    chats, over = [], False

    async def worker():
        while not over:
            chats.append(chat := Chat(len(chats)))
            await chat.run(client)

    async with async_client(router) as client:
        workers = [asyncio.create_task(worker()) for _ in range(CONCURRENCY)]
        while not all(sum(c.whole and c.engine == e.model for c in chats) >= 10 for e in engines):
            await asyncio.sleep(0.02)
        hang = Hang(engines[0])
        try:
            await asyncio.wait_for(hang.watch(router, chats), 3 * PATIENCE)
        finally:
            over = True
        await asyncio.gather(*workers)
    return chats, hang


def test_core_that_stands_still(engines, router, report):
    saved = router.metric("penstock_retries_total", outcome="ok")
    chats, hang = asyncio.run(chats_and_a_hang(engines, router))
    saved = router.metric("penstock_retries_total", outcome="ok") - saved

    report.append((f"{hang.victim.name}'s core stopped (SIGSTOP), /health {hang.health}, out after", f"{hang.out:.2f} s"))
    report.append(("because", hang.reason))
    report.append(("it goes on (SIGCONT), in again after", f"{hang.back:.2f} s"))
    report.append(("and answered its next chat after", f"{hang.served:.2f} s"))
    report.append(("chats meanwhile", f"{len(chats)}, {sum(not c.whole for c in chats)} failed, {saved:.0f} saved on the other engine"))
    assert hang.health == 200, "then it was no hang"
    assert hang.out < HANG_WITHIN
    failed = [(chat, repr(chat.failure)) for chat in chats if not chat.whole]
    assert not failed, f"{len(failed)} chats failed that need not: {failed[:5]}"
    assert saved > 0
    assert row_of(router, engines[1])["state"] == "healthy"


async def chats_and_a_death(engines, router) -> tuple[list[Chat], VLLM, float]:
    """All chats, the engine that was killed, with a stream under way on it and
    other requests, and when."""
    chats = [Chat(n) for n in range(CHATS)]
    remaining = iter(chats)

    def busy() -> VLLM | None:
        if sum(chat.whole for chat in chats) < KILL_AFTER:
            return None
        streaming = {chat.engine for chat in chats if chat.under_way}
        return next((e for e in engines if e.model in streaming and row_of(router, e)["in_flight"] >= 3), None)

    async def worker():
        for chat in remaining:
            await chat.run(client)

    async with async_client(router) as client:
        workers = [asyncio.create_task(worker()) for _ in range(CONCURRENCY)]
        while not (victim := busy()):
            assert not all(chat.finished for chat in chats), "no engine was ever busy enough to be killed"
            await asyncio.sleep(0.02)
        killed = time.monotonic()
        await asyncio.to_thread(victim.kill)
        await asyncio.gather(*workers)
    return chats, victim, killed


def test_200_chats_and_one_engine_is_killed(engines, router, report):
    def blamed(engine) -> tuple[float, float]:
        return tuple(router.metric(name, instance=engine.address)
                     for name in ("penstock_instance_failures_total", "penstock_scrape_errors_total"))

    before = {engine.name: blamed(engine) for engine in engines}
    retried = router.metric("penstock_retries_total", outcome="ok")
    start = time.monotonic()
    chats, victim, killed = asyncio.run(chats_and_a_death(engines, router))
    took = time.monotonic() - start
    survivor = next(engine for engine in engines if engine is not victim)

    failed = [chat for chat in chats if not chat.whole]
    cut = [chat for chat in failed if chat.was_cut]
    retried = router.metric("penstock_retries_total", outcome="ok") - retried
    for engine in engines:
        whole = [chat for chat in chats if chat.whole and chat.engine == engine.model]
        report.append((f"chats answered by {engine.name}", f"{len(whole)}, {sum(c.streamed for c in whole)} streamed"))
    report.append(("chats in all", f"{CHATS} in {took:.1f} s, {CONCURRENCY} at a time"))
    report.append((f"{victim.name} killed (SIGKILL) after", f"{killed - start:.1f} s"))
    report.append(("streams cut after their first byte, told so", f"{len(cut)}"))
    report.append(("requests saved on the other engine", f"{retried:.0f}"))
    report.append(("requests failed", f"{len(failed) - len(cut)}"))

    others = [(chat, repr(chat.failure)) for chat in failed if not chat.was_cut]
    assert not others, f"{len(others)} chats failed that need not: {others[:5]}"
    assert cut and all(chat.streamed and chat.engine == victim.model for chat in cut)
    assert retried > 0
    assert router.metric("penstock_retries_total", outcome="exhausted") == 0
    assert row_of(router, victim)["state"] == "ejected"
    assert row_of(router, survivor)["state"] == "healthy"
    assert blamed(victim)[0] > before[victim.name][0]
    assert blamed(survivor) == before[survivor.name]
    eventually("nothing is left", lambda: row_of(router, survivor)["in_flight"] == 0)
