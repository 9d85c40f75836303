"""What an engine can do wrong, under 50 requests a second on four of them: when
it is out, who notices, when it has its share again. No request may fail that
another engine could still have answered.

Each fault has a fleet and a router of its own; all run side by side. The table
that comes of it is printed (pytest -s) and kept in docs/health.md."""

from __future__ import annotations

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from processes import HTTP, eventually
from wire import CHAT, Connection, chat

RATE = 50.0
BEFORE, FAULT, AFTER = 3.0, 6.0, 14.0
LONG = "word " * 60_000


@dataclass
class Case:
    name: str
    fault: dict                       # of the simulator; {} for none
    out: float | None = None          # seconds in which it has to be out; None: it stays in
    state: str = "ejected"            # when it is out
    dead: tuple[str, ...] = ()        # signals that die
    cut: bool = False                 # streams under way may be cut
    long: bool = False                # a prompt of 60,000 tokens goes to it
    back: bool = True                 # it comes back
    stall_timeout: str = "60s"        # the router's, how long a stream may stand still
    seen: dict = field(default_factory=dict)


CASES = [
    Case("exit", {"kind": "exit"}, out=0.2, cut=True, back=False),
    Case("refuse", {"kind": "refuse"}, out=1.2),
    Case("reset", {"kind": "reset"}, out=0.2, cut=True),
    Case("hang", {"kind": "hang"}, out=5.0, cut=True, stall_timeout="4s"),
    Case("stall", {"kind": "stall"}, out=5.5, cut=True, stall_timeout="4s"),
    Case("slow", {"kind": "slow", "factor": 10}),
    Case("status", {"kind": "status", "code": 503}, out=1.0),
    Case("metrics gone", {"kind": "metrics_gone"}, dead=("running", "waiting")),
    Case("metrics frozen", {"kind": "metrics_frozen"}, dead=("running", "waiting")),
    Case("metrics renamed", {"kind": "metrics_renamed"}, dead=("running", "waiting")),
    Case("long prompt", {"kind": "slow", "factor": 10}, long=True),
    Case("asleep", {"kind": "asleep"}, out=1.0, state="starting"),
    Case("scaling", {"kind": "scaling"}, out=1.5, state="starting"),
]


@dataclass
class Run:
    answers: list = field(default_factory=list)
    states: list = field(default_factory=list)  # (when, instance 0 as the API shows it)


async def load(router, run: Run, until: float) -> None:
    """Chats at random times, whatever became of those before."""
    tasks, number, at = [], 0, time.monotonic()
    while at < until:
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        tasks.append(asyncio.create_task(one(router, run, number)))
        number, at = number + 1, at + 1 / RATE
    await asyncio.gather(*tasks)


async def one(router, run: Run, number: int, prompt: str = "", **kwargs) -> None:
    connection = Connection(router.address)
    kwargs.setdefault("max_tokens", 10 + number % 40)
    kwargs.setdefault("stream", number % 10 != 0)
    run.answers.append(await connection.post(CHAT, chat(prompt or f"question {number} " * 60, **kwargs)))
    connection.close()


async def watch(router, run: Run, until: float) -> None:
    while time.monotonic() < until:
        shown = await asyncio.to_thread(lambda: router.instances())
        run.states.append((time.monotonic(), shown[0]))
        await asyncio.sleep(0.02)


async def play(case: Case, sims: list, router) -> tuple[Run, float, float]:
    run = Run()
    begin = time.monotonic()
    end = begin + BEFORE + FAULT + AFTER
    tasks = [asyncio.create_task(load(router, run, end)), asyncio.create_task(watch(router, run, end))]
    await asyncio.sleep(BEFORE)
    broken = time.monotonic()
    await asyncio.to_thread(sims[0].fault, **case.fault)
    if case.long:
        # Sent to the slow engine alone: the others are drained for a moment.
        names = [s.urls[0].removeprefix("http://") for s in sims]
        for name in names[1:]:
            HTTP.post(f"{router.admin}/api/v1/instances/{name}/drain").raise_for_status()
        tasks.append(asyncio.create_task(one(router, run, 1, LONG, max_tokens=5, stream=True)))
        await asyncio.sleep(0.3)
        for name in names[1:]:
            HTTP.delete(f"{router.admin}/api/v1/instances/{name}/drain").raise_for_status()
    await asyncio.sleep(max(0.0, broken + FAULT - time.monotonic()))
    case.seen |= {"signals": router.instances()[0]["signals"], "degraded": router.metric("penstock_policy_degraded_total")}
    healed = time.monotonic()
    if case.back and case.fault["kind"] != "refuse":  # that one heals itself: nobody can reach it to tell it
        await asyncio.to_thread(sims[0].heal)
    await asyncio.gather(*tasks)
    return run, broken, healed


def share(run: Run, begin: float, end: float) -> float:
    """The part of the requests that were given to instance 0 in that time."""
    seen = [(t, s) for t, s in run.states if begin <= t <= end]
    got = seen[-1][1]["requests"] - seen[0][1]["requests"]
    return got / max(1.0, RATE * (seen[-1][0] - seen[0][0]))


def first(run: Run, since: float, states: tuple[str, ...]) -> float | None:
    return next((t - since for t, s in run.states if t >= since and s["state"] in states), None)


def verdict(case: Case, run: Run, broken: float, healed: float) -> dict:
    failed = [a for a in run.answers if not a.done]
    cut = [a for a in failed if a.error_event]
    others = [str(a)[:300] for a in failed if not a.error_event]
    out = first(run, broken, ("ejected", "starting"))
    back = first(run, healed, ("healthy",))
    full = None
    for t, _ in run.states:
        if t > healed and t + 1.0 < run.states[-1][0] and share(run, t, t + 1.0) >= 0.18:
            full = t - healed
            break
    return {"fault": case.name, "out": out, "requests": len(run.answers), "failed": len(others), "cut": len(cut),
            "back": back, "full": full, "others": others[:3],
            "reason": next((s["reason"] for t, s in run.states if t >= broken and s["reason"]), "")}


def perform(stage, case: Case) -> dict:
    sims = [stage.sim(1, profile="8b-h100", max_model_len=100_000) for _ in range(4)]
    router = stage.router([s.urls[0] for s in sims], config=f"limits: {{stall_timeout: {case.stall_timeout}}}\n")
    eventually("all four are in", lambda: all(i["state"] == "healthy" for i in router.instances()))
    if case.fault["kind"] == "refuse":
        case.fault["for"] = f"{FAULT}s"
    run, broken, healed = asyncio.run(play(case, sims, router))
    return verdict(case, run, broken, healed)


GROUPS = [CASES[n:n + 3] for n in range(0, len(CASES), 3)]  # as many as two cores can carry


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: ", ".join(case.name for case in group))
def test_faults_under_load(stage, group):
    with ThreadPoolExecutor(len(group)) as pool:
        found = list(pool.map(lambda case: perform(stage, case), group))
    for f in found:
        print(row(f))
    if path := os.environ.get("FAULTS_JSON"):
        with open(path, "a") as out:
            out.writelines(json.dumps(f) + "\n" for f in found)
    for case, f in zip(group, found):
        assert f["requests"] > 0.9 * RATE * (BEFORE + FAULT + AFTER), f
        assert f["failed"] == 0, f
        assert case.cut or f["cut"] == 0, f
        if case.out is None:
            assert f["out"] is None, f
        else:
            assert f["out"] is not None and f["out"] < case.out, f
        if case.back and case.out is not None:
            assert f["back"] is not None and f["back"] < 4.0, f
            assert f["full"] is not None and f["full"] < 15.0, f
        for name in case.dead:
            assert not case.seen["signals"][name]["alive"], case.seen
        if case.dead:
            assert case.seen["degraded"] > 0, case.seen


def row(f: dict) -> str:
    def seconds(v):
        return "—" if v is None else f"{v:.2f} s"
    return (f"| {f['fault']} | {seconds(f['out'])} | {f['requests']} | {f['failed']} | {f['cut']} | "
            f"{seconds(f['back'])} | {seconds(f['full'])} | {f['reason'][:90]} |")
