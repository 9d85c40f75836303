"""Explain, record, replay: what a decision was made from, while it is fresh and
afterwards."""

import asyncio
import json
import signal
import subprocess

import httpx

from processes import PENSTOCK
from wire import CHAT, Connection, chat


def penstock(*args: object) -> subprocess.CompletedProcess:
    return subprocess.run([PENSTOCK, *map(str, args)], capture_output=True, text=True, timeout=20)


async def load(router, requests: int) -> None:
    answers = await asyncio.gather(*(Connection(router.address).post(CHAT, chat(f"request {n} " * 50, 20, stream=True)) for n in range(requests)))
    assert all(a.done for a in answers)


def test_a_decision_is_explained_recorded_and_replayed(stage, tmp_path):
    sim = stage.sim(3)
    recording = tmp_path / "decisions.zst"
    router = stage.router(sim.urls, record=recording)
    asyncio.run(load(router, 40))
    sent = {"X-Request-Id": "e2e-1", "X-Session-Id": "s", "X-Penstock-Explain": "1"}
    answer = httpx.post(router.url + CHAT, headers=sent, json={
        "model": "llama2", "messages": [{"role": "user", "content": "hello " * 200}], "max_tokens": 5, "stream": True})
    assert answer.status_code == 200
    told = dict(part.split("=", 1) for part in answer.headers["x-penstock-decision"].split("; "))
    assert list(told) == ["instance", "policy", "reason", "degraded", "predicted_ttft_ms", "pending_ms"]

    [decision] = httpx.get(router.admin + "/api/v1/decisions", params={"request_id": "e2e-1"}).raise_for_status().json()["decisions"]
    assert (decision["verdict"], decision["instance"], decision["policy"]) == ("picked", told["instance"], "predictive")
    assert abs(decision["predicted_ttft_ms"] - float(told["predicted_ttft_ms"])) < 0.06
    assert decision["actual_ttft_ms"] > 0 and decision["prompt_tokens"] > 100 and decision["session"]
    assert len(decision["candidates"]) == 3 and all(c["predicted_ttft_ms"] > 0 for c in decision["candidates"])
    assert httpx.get(router.admin + "/api/v1/decisions?n=0").status_code == 400
    latest = httpx.get(router.admin + "/api/v1/decisions?n=5").json()["decisions"]
    assert len(latest) == 5 and latest[0]["request_id"] == "e2e-1"
    assert all(i["predicted_ttft_ms"] > 0 for i in router.instances() if i["requests"])

    said = penstock("explain", "e2e-1", "--admin", router.admin)
    assert said.returncode == 0 and f"{told['instance']} got it (predictive" in said.stdout, said
    assert "came after" in said.stdout and all(url.removeprefix("http://") in said.stdout for url in sim.urls)
    listed = penstock("explain", "--last", 3, "--admin", router.admin)
    assert listed.returncode == 0 and len(listed.stdout.splitlines()) == 4 and "e2e-1" in listed.stdout.splitlines()[-1]
    unknown = penstock("explain", "nobody", "--admin", router.admin)
    assert unknown.returncode == 1 and "the router remembers its last" in unknown.stderr

    assert router.metric("penstock_records_dropped_total") == 0
    assert 1 <= router.metric("penstock_prediction_error_ratio", kind="ttft") < 100
    router.signal(signal.SIGTERM)
    assert router.popen.wait(10) == 0
    table = penstock("replay", recording, "--policy", "predictive,round-robin")
    assert table.returncode == 0 and "as recorded" in table.stdout and "round-robin" in table.stdout, table
    report = json.loads(penstock("replay", recording, "--policy", "predictive,round-robin", "--json").stdout)
    assert report["verdicts"]["picked"] == 41 and report["seen"]["requests"] == 41 and "cut" not in report
    was, ours, blind = report["rows"]
    assert ours["agreed"] == ours["decisions"] == was["decisions"] > 0 and ours["skipped"] == 0
    assert blind["regret_ms"]["mean"] >= ours["regret_ms"]["mean"] and sum(blind["instances"].values()) == blind["decisions"]


def test_a_retry_is_explained_in_order(stage):
    sim = stage.sim(2)
    sim.fault(0, kind="status", code=503, ratio=1)
    router = stage.router(sim.urls)
    for n in range(20):
        assert httpx.post(router.url + CHAT, headers={"X-Request-Id": f"try-{n}"}, json={
            "model": "llama2", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}).status_code == 200
        all = httpx.get(router.admin + "/api/v1/decisions", params={"request_id": f"try-{n}"}).json()["decisions"]
        if len(all) == 2:
            break
    assert [(d["try"], d.get("unanswered", False)) for d in all] == [(2, False), (1, True)]
    assert all[0]["instance"] != all[1]["instance"]
    said = penstock("explain", f"try-{n}", "--admin", router.admin).stdout
    assert 0 < said.index("try 1:") < said.index("none came") < said.index("try 2:") < said.index("1 that had it before")
