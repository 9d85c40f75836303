"""A thousand instances that registered themselves, a tenth of them flapping,
under 200 requests a second: what the router costs, and what is left of it.

`make e2e` plays a fifth of that, `make e2e-thousand` all of it."""

from __future__ import annotations

import itertools
import os
import re
import threading
import time

from load import Load
from processes import HTTP, eventually
from test_leaks import descriptors, goroutines

INSTANCES = int(os.environ.get("THOUSAND_INSTANCES", 200))
SECONDS = float(os.environ.get("THOUSAND_SECONDS", 6))
RATE = 200.0
FLAPPING = INSTANCES // 10
DOWN, PERIOD = 1.0, 3.0  # s: each of them is down for a third of the time


class Flapping:
    """Takes one instance after the other down, for DOWN, each once in PERIOD:
    two refuse, the third resets what it has."""

    def __init__(self, sim):
        self.sim, self.over, self.faults = sim, threading.Event(), 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Flapping:
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        self.thread.join()

    def _run(self) -> None:
        victims = itertools.cycle(range(1, 1 + FLAPPING))
        at = time.monotonic()
        while not self.over.wait(max(0.0, at - time.monotonic())):
            # The first instance does it: who refuses cannot be told anything.
            kind = "reset" if self.faults % 3 == 2 else "refuse"
            HTTP.post(self.sim.urls[0] + "/_sim/fault", params={"instance": next(victims)},
                      json={"kind": kind, "for": f"{DOWN}s"}).raise_for_status()
            self.faults, at = self.faults + 1, at + PERIOD / FLAPPING


def cpu(process) -> float:
    """Seconds of CPU that the process has taken."""
    with open(f"/proc/{process.pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss(process) -> float:
    """Its memory, in MB."""
    with open(f"/proc/{process.pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) / 1e3


def heap(router) -> float:
    """What is live in the router's heap, in MB."""
    page = HTTP.get(router.admin + "/debug/pprof/heap?gc=1&debug=1").text
    return int(re.search(r"# HeapAlloc = (\d+)", page)[1]) / 1e6


def lines(router) -> int:
    return router.log_path.read_text().count("\n")


def decisions(router) -> dict[float, int]:
    """The histogram of the decisions' time: how many took at most so many seconds."""
    return {float(le): int(n) for le, n in
            re.findall(r'^penstock_decision_seconds_bucket\{le="(\S+)"\} (\d+)', router.metrics(), re.M)}


def percentile(share: float, before: dict[float, int], after: dict[float, int]) -> float:
    """The bound, in µs, that this share of the decisions between the two kept."""
    took = {le: after[le] - before[le] for le in after}
    return 1e6 * min(le for le, n in took.items() if n >= share * took[float("inf")])


def join(router, sim) -> None:
    for url in sim.urls:
        assert HTTP.post(router.admin + "/api/v1/instances", json={"url": url}).status_code == 201
    eventually("all are in", lambda: router.metric("penstock_instance_up") == len(sim.urls)
               and all(i["state"] == "healthy" for i in router.instances()), 30, 0.1)


def leave(router, sim) -> None:
    for url in sim.urls:
        assert HTTP.delete(f"{router.admin}/api/v1/instances/{url.removeprefix('http://')}").status_code == 204
    eventually("all are gone", lambda: router.instances() == [], 30, 0.1)


def left(router) -> tuple[int, int, float]:
    return goroutines(router), descriptors(router), heap(router)


def burst(router, seconds: float = 0.5) -> Load:
    with Load(router, RATE) as load:
        time.sleep(seconds)
    return load


def test_a_flapping_fleet(stage):
    # A small cache: a thousand of the default are 700 MB of simulated blocks.
    sim = stage.sim(INSTANCES, kv_blocks=512, max_model_len=4096)
    router = stage.router([], config="discovery: {register: {ttl: 5m}}\n", wait=False)
    router.wait_for(router.admin + "/metrics")
    seen = {}

    join(router, sim)
    assert burst(router, 1024 / RATE + 1).failed == []  # warms the pools, and fills the ring of decisions
    leave(router, sim)
    eventually("its connections are closed", lambda: descriptors(router) < 40, 15, 0.2)
    before = left(router)

    at = time.monotonic(), cpu(router)
    join(router, sim)
    seen["register"] = f"{time.monotonic() - at[0]:.2f} s, {cpu(router) - at[1]:.2f} s of CPU"
    at, rest = cpu(router), max(1.0, SECONDS / 4)
    time.sleep(rest)
    seen["at rest"] = f"{(cpu(router) - at) / rest:.2f} cores, {rss(router):.0f} MB"

    at, said, decided = (time.monotonic(), cpu(router)), lines(router), decisions(router)
    with Flapping(sim) as flapping, Load(router, RATE) as load:
        time.sleep(SECONDS)
    took = time.monotonic() - at[0]
    cores, memory, said = (cpu(router) - at[1]) / took, rss(router), lines(router) - said
    half, most = (percentile(share, decided, decisions(router)) for share in (0.5, 0.99))
    seen["flapping"] = (f"{cores:.2f} cores, {memory:.0f} MB, {flapping.faults} faults, "
                        f"{router.metric('penstock_instance_ejections_total'):.0f} ejections, {said / took:.1f} log lines/s")
    seen["requests"] = (f"{len(load.answers)}, {len(load.failed)} failed, {len(load.cut)} cut by a reset, "
                        f"{router.metric('penstock_retries_total', outcome='ok'):.0f} retried")
    seen["decisions"] = f"half ≤ {half:.0f} µs, p99 ≤ {most:.0f} µs"

    at = time.monotonic()
    leave(router, sim)
    seen["remove"] = f"{time.monotonic() - at:.2f} s"
    at = time.monotonic()
    eventually("goroutines are back", lambda: goroutines(router) <= before[0] + 2, 15, 0.2)
    eventually("descriptors are back", lambda: descriptors(router) <= before[1] + 2, 15, 0.2)
    after = left(router)
    seen["left"] = "goroutines {} → {}, descriptors {} → {}, heap {:.1f} → {:.1f} MB, after {:.1f} s".format(
        *itertools.chain(*zip(before, after)), time.monotonic() - at)

    print(f"{INSTANCES} instances, {FLAPPING} of them flapping, {SECONDS:.0f} s")
    for what, words in seen.items():
        print(f"| {what} | {words} |")
    assert load.failed == [], load.failed[:3]
    assert len(load.answers) > 0.8 * RATE * SECONDS
    assert flapping.faults > 0.8 * FLAPPING * SECONDS / PERIOD
    assert router.metric("penstock_panic") == 0
    assert memory < 50 + 0.25 * INSTANCES
    assert after[2] < before[2] + 3  # 13 KB of each instance was left once
    # One that flaps has so many lines a minute (scheduler/ration.go), the others next to none.
    assert said < 18 * FLAPPING + INSTANCES / 10, f"{said} log lines in {took:.0f} s"
