"""Fixtures: what a test starts through them is ended after it, however it went,
and its output is shown if the test failed."""

from __future__ import annotations

import httpx
import pytest
from openai import OpenAI

from engine import ScriptedEngine
from processes import Process, Router, Sim


class Stage:
    """Starts the processes of one test and ends them in reverse order."""

    def __init__(self, folder):
        self.folder, self.started = folder, []

    def run(self, name: str, argv: list[str], **kwargs) -> Process:
        return self.keep(Process(name, argv, self.log(name), **kwargs))

    def sim(self, instances: int = 1, **flags) -> Sim:
        return self.keep(Sim(self.log("sim"), instances, **flags))

    def router(self, instances: list[str], *args, **kwargs) -> Router:
        return self.keep(Router(self.log("router"), instances, *args, **kwargs))

    def engine(self, *args, **kwargs) -> ScriptedEngine:
        return self.keep(ScriptedEngine(*args, **kwargs))

    def close(self) -> None:
        faults = []
        for it in reversed(self.started):
            if isinstance(it, Process):
                it.kill()
                print(f"--- {it.name} {it.pid}\n{it.log()}")
                faults += it.faults()
            else:
                it.close()
        assert not faults, faults

    def keep(self, it):
        self.started.append(it)
        return it

    def log(self, name: str):
        return self.folder / f"{len(self.started)}-{name}.log"


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Four quick engines behind a router with default settings, shared by the
    tests of one file: (sim, router)."""
    stage = Stage(tmp_path_factory.mktemp("fleet"))
    try:
        sim = stage.sim(4)
        yield sim, stage.router(sim.urls)
    finally:
        stage.close()


def openai_client(router: Router, key: str = "unused", **kwargs) -> OpenAI:
    """No retries of the client's own: they would hide the router's errors."""
    return OpenAI(base_url=router.url + "/v1", api_key=key, max_retries=0,
                  timeout=httpx.Timeout(30.0), **kwargs)
