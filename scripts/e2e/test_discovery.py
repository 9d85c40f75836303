"""Instances come and go: by registration, by a watched file, by the operator's
word. Whatever takes one out under load, no request fails for it.

DNS is left to the Go tests: the router asks the system's name servers alone."""

from __future__ import annotations

import asyncio
import signal
import time

import httpx
import pytest

from load import Load
from processes import HTTP, PENSTOCK, eventually
from wire import CHAT, Connection, chat

TOKEN = {"Authorization": "Bearer sesame"}


def name_of(url: str) -> str:
    return url.removeprefix("http://")


def named(router, url: str) -> dict | None:
    return next((i for i in router.instances() if i["url"] == url), None)


def in_state(router, url: str, state: str) -> bool:
    i = named(router, url)
    return i is not None and i["state"] == state


def register(router, headers: dict | None = None, **body) -> httpx.Response:
    return HTTP.post(router.admin + "/api/v1/instances", json=body, headers=TOKEN if headers is None else headers)


@pytest.fixture
def registry(stage):
    """A router that has no instance yet, and takes registrations by a token."""
    (stage.folder / "register.token").write_text("sesame\n")
    router = stage.router([], config="discovery: {register: {token_file: register.token, ttl: 1s}}\n", wait=False)
    router.wait_for(router.admin + "/metrics")
    return router


def registrar(stage, router, url: str, token: str = "register.token"):
    return stage.run("register", [PENSTOCK, "register", "--scheduler", router.admin, "--instance", url,
                                  "--token-file", str(stage.folder / token)])


def since(at: float, what: str, check, within: float) -> float:
    """How long after `at` something became true, in milliseconds."""
    eventually(what, check, within, every=0.001)
    return 1e3 * (time.monotonic() - at)


def test_registration_wants_the_token(stage, registry):
    url = stage.sim(1).urls[0]
    for wrong in {}, {"Authorization": "Bearer guess"}, {"Authorization": TOKEN["Authorization"] + "s"}:
        refused = register(registry, wrong, url=url)
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["code"] == "invalid_token"
        assert "discovery.register.token_file" in refused.json()["error"]["message"]
    assert HTTP.delete(f"{registry.admin}/api/v1/instances/{name_of(url)}").status_code == 401
    assert HTTP.post(f"{registry.admin}/api/v1/instances/{name_of(url)}/drain").status_code == 401
    assert registry.instances() == []

    for body, said in (({"url": "10.0.0.1:8000"}, "write http://10.0.0.1:8000"), ({"uri": url}, "uri"),
                       ({"url": url, "engine": "abacus"}, "engine"), ({"url": registry.admin}, "own admin port")):
        refused = register(registry, **body)
        assert refused.status_code == 400 and said in refused.json()["error"]["message"], refused.text

    (stage.folder / "wrong.token").write_text("guess\n")
    beside = registrar(stage, registry, url, "wrong.token")
    eventually("it says so", lambda: "the scheduler refuses" in beside.log())
    assert beside.popen.poll() is None  # the token may be put right
    assert "401" in beside.log() and "token_file" in beside.log() and len(beside.log().splitlines()) == 1
    assert beside.terminate() == 0

    assert [register(registry, url=url).status_code for _ in range(2)] == [201, 200]
    assert register(registry, url="http://127.0.0.1:9", name=name_of(url)).status_code == 409  # the name is taken
    eventually("it is in", lambda: in_state(registry, url, "healthy"))
    assert HTTP.delete(f"{registry.admin}/api/v1/instances/{name_of(url)}", headers=TOKEN).status_code == 204
    eventually("it is gone", lambda: registry.instances() == [])


def test_registration_ends_with_its_process(stage, registry):
    sims = [stage.sim(1) for _ in range(4)]
    urls = [sim.urls[0] for sim in sims]
    beside = [registrar(stage, registry, url) for url in urls]
    for url in urls:
        eventually("it is in", lambda: in_state(registry, url, "healthy"))
    took = {}
    with Load(registry) as load:
        time.sleep(0.5)
        # The machine is gone, its engine too.
        beside[0].kill()
        sims[0].kill()
        at = time.monotonic()
        took["machine gone, out"] = since(
            at, "it is out", lambda: not registry.metric("penstock_instance_up", instance=name_of(urls[0])), 0.2)
        # The registrar alone is gone: another may take its place at once, so its engine stays for a moment.
        beside[1].kill()
        at = time.monotonic()
        took["registrar killed, doubted"] = since(at, "it is doubted", lambda: any(
            c["to"] == "suspect" and "lost touch" in c["reason"] for c in named(registry, urls[1])["changes"]), 0.2)
        took["registrar killed, gone"] = since(
            at, "it is gone", lambda: (named(registry, urls[1]) or {"state": "draining"})["state"] == "draining", 1.0)
        at = time.monotonic()
        assert beside[2].terminate() == 0
        took["registrar told to end, gone"] = since(
            at, "it is gone", lambda: (named(registry, urls[2]) or {"state": "draining"})["state"] == "draining", 0.5)
        time.sleep(0.3)
    print(", ".join(f"{what} after {ms:.0f} ms" for what, ms in took.items()), f"({len(load.answers)} requests)")
    assert load.failed == []
    assert len(load.answers) > 40 and len(load.cut) <= 10
    eventually("one is left", lambda: [i["url"] for i in registry.instances()] == [urls[3]])


def test_silence_ends_a_registration(stage, registry):
    one, two, three = stage.sim(3).urls
    beside = [registrar(stage, registry, url) for url in (one, two)]
    assert register(registry, url=three).status_code == 201
    for url in one, two, three:
        eventually("it is in", lambda: in_state(registry, url, "healthy"), every=0.001)
    beside[1].signal(signal.SIGSTOP)  # its connection stays: a machine that froze, a network that swallows
    at = time.monotonic()
    with Load(registry) as load:
        took = since(at, "those that are silent are gone", lambda: [i["url"] for i in registry.instances()] == [one], 4.0)
        time.sleep(0.3)
    print(f"silent registrations of ttl 1 s gone after {took:.0f} ms")
    assert 500 < took < 2000
    assert load.failed == [] and load.cut == []
    assert registry.log().count("nothing was heard of it") == 2  # … and of no other way
    assert in_state(registry, one, "healthy")  # renewed several times meanwhile


def write(path, text: str) -> float:
    """Replaces the file as an editor or a configuration manager does."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)
    return time.monotonic()


def listing(*urls: str) -> str:
    return "instances:\n" + "".join(f"  - url: {url}\n" for url in urls)


def test_watched_file(stage):
    sim = stage.sim(3)
    one, two, three = sim.urls
    path = stage.folder / "instances.yaml"
    write(path, listing(one, two))
    router = stage.router([], config="discovery: {file: instances.yaml}\n")
    with Load(router) as load:
        time.sleep(0.5)
        came = since(write(path, listing(one, two, three)), "the third is asked", lambda: sim.stats(2)["requests"], 2.0)
        went = since(write(path, listing(two, three)), "the first is gone", lambda: not named(router, one), 3.0)
        served = sim.stats(0)["requests"]

        for broken, said in ((listing(two) + "  - url: [\n", "instances.yaml"), (listing(two, "tcp://10.0.0.1:9"), "tcp://10.0.0.1:9")):
            write(path, broken)
            eventually("the log says so", lambda: "instances are kept as they were" in (last := router.log(1)) and said in last)
            assert [i["url"] for i in router.instances()] == [two, three]
        path.unlink()
        eventually("the log says so", lambda: "no such file" in router.log(1))
        assert [i["state"] for i in router.instances()] == ["healthy", "healthy"]

        back = since(write(path, listing(one)), "the file is followed again",
                     lambda: [i["url"] for i in router.instances()] == [one], 3.0)
        time.sleep(0.2)
    print(f"added and asked after {came:.0f} ms, removed and idle after {went:.0f} ms, "
          f"two for another after {back:.0f} ms ({len(load.answers)} requests)")
    assert load.failed == [] and load.cut == []
    assert len(load.answers) > 40 and sim.stats(0)["requests"] > served > 0
    assert router.log(1000).count("kept as they were") == 3


def test_drain(stage):
    sim = stage.sim(2)
    router = stage.router(sim.urls)
    first = f"{router.admin}/api/v1/instances/{name_of(sim.urls[0])}"
    eventually("both are in", lambda: all(i["state"] == "healthy" for i in router.instances()))

    async def streams():
        under_way = [asyncio.create_task(Connection(router.address).post(CHAT, chat(f"stream {n}", 150, stream=True)))
                     for n in range(10)]
        while sim.stats(0)["running"] < 4:
            await asyncio.sleep(0.01)
        assert HTTP.post(first + "/drain").json()["state"] == "draining"
        asked = await asyncio.to_thread(drained)
        return await asyncio.gather(*under_way), asked

    def drained() -> tuple[int, int]:
        before = sim.stats(0)
        with Load(router) as load:
            time.sleep(1.0)
        assert before["running"] >= 4, "nothing was under way: the test has shown nothing"
        assert load.failed == [] and load.cut == [] and len(load.answers) > 40
        return before["requests"], sim.stats(0)["requests"]

    answers, (before, after) = asyncio.run(streams())
    assert [a.done for a in answers] == [True] * 10, [str(a) for a in answers if not a.done]
    assert after == before, f"{after - before} requests came to an instance that drains"
    assert named(router, sim.urls[0])["reason"] == "the operator drains it"

    assert HTTP.delete(first + "/drain").json()["state"] == "healthy"
    with Load(router):
        took = since(time.monotonic(), "it is asked again", lambda: sim.stats(0)["requests"] > after, 1.0)
    print(f"asked again {took:.0f} ms after it was let in")
    assert HTTP.post(router.admin + "/api/v1/instances/nobody/drain").status_code == 404


def test_sources_that_overlap_are_one_instance(stage):
    url, other = stage.sim(2).urls
    path = stage.folder / "instances.yaml"
    write(path, listing(url, other))
    router = stage.router([url], config="discovery: {file: instances.yaml, register: {ttl: 30s}}\n")

    def urls() -> list[str]:
        return [i["url"] for i in router.instances()]

    def ends(u: str) -> int:
        return HTTP.delete(f"{router.admin}/api/v1/instances/{name_of(u)}").status_code

    assert [register(router, {}, url=u).status_code for u in (url, other)] == [201, 201]
    assert urls() == [url, other]
    with Load(router) as load:
        time.sleep(0.3)
        assert [ends(url), ends(url), ends(other)] == [204, 409, 204]  # 409: others name it still
        assert urls() == [url, other]
        write(path, listing(url))
        eventually("no source names the other", lambda: urls() == [url])
        write(path, listing(other))
        eventually("the file is read", lambda: urls() == [url, other])  # the configuration has the first
    assert load.failed == [] and load.cut == []
    assert [c["to"] for c in named(router, url)["changes"]] == ["healthy"]  # it was one and the same all the time
