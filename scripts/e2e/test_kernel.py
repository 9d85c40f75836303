"""What the kernel tells, seen from outside: counts against what was sent, and
the way down the ladder of who may ask it nothing."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from processes import PENSTOCK, eventually
from wire import CHAT, Connection, chat

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="programs in the kernel, and becoming somebody else, need root")

CHATS = 50


async def chats(router):
    async def one(number):
        connection = Connection(router.address)
        return await connection.post(CHAT, chat(f"question {number}", 20, stream=number % 2 == 0))

    return await asyncio.gather(*map(one, range(CHATS)))


def rows(router) -> list[dict]:
    return [i["kernel"] for i in router.instances()]


# How many connections beside the pool's each rung sees (the keepers'), and whether
# it counts bytes while a connection stays open.
RUNGS = {"sockops": (2, True), "tracepoints": (2, False), "tcp_info": (0, True)}


@pytest.mark.parametrize("mode", RUNGS)
def test_counts_are_those_of_what_was_sent(stage, mode):
    keepers, live = RUNGS[mode]
    sim = stage.sim(2)
    # Each has to get its share: predictive sends a chat where its like was.
    router = stage.router(sim.urls, kernel=mode, policy="round-robin")
    assert router.metric("penstock_kernel_source", mode=mode) == 1
    assert all(a.done for a in asyncio.run(chats(router)))
    dials = router.metric("penstock_instance_dials_total")

    def counted() -> bool:
        return sum(r["total_connections"] for r in rows(router)) >= dials + keepers

    eventually("the connections are counted", counted)
    print(mode, *rows(router), sep="\n")
    for row in rows(router):
        assert row["active_connections"] > 0 and row["bytes_in"] > 0
        assert row["bytes_out"] > CHATS * 100 or not live
        assert row["refused"] == row["timeouts"] == row["unanswered"] == 0
        assert 0 < row["srtt_us"] < 100_000
    sim.kill()
    eventually("they are out", lambda: all(i["state"] == "ejected" for i in router.instances()))
    eventually("nothing is open", lambda: all(r["active_connections"] == 0 for r in rows(router)))


@pytest.fixture
def public():
    """A folder that everybody may enter, with the program."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield shutil.copy(PENSTOCK, folder / "penstock")
    shutil.rmtree(folder)


def test_unprivileged_user_is_told_the_rung_and_served(stage, public):
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--", public]
    sim = stage.sim(2)
    router = stage.router(sim.urls, program=nobody)
    assert router.metric("penstock_kernel_source", mode="tcp_info") == 1
    assert all(a.done for a in asyncio.run(chats(router)))
    log = router.log(1000)
    assert log.count("kernel: one rung down") == 2 and "CAP_BPF" in log and "mode=tcp_info" in log, log
    eventually("its connections are sampled", lambda: all(r["active_connections"] > 0 for r in rows(router)))

    said = subprocess.run([*nobody, "version"], capture_output=True, text=True, check=True).stdout
    assert "kernel   tcp_info" in said, said
    assert "not sockops: " in said and "not tracepoints: " in said, said
    print(said)


def test_forced_rung_that_does_not_work_goes_down(stage, public):
    router = stage.router(stage.sim(1).urls, program=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                                      "--bounding-set=-all", "--", public], kernel="sockops")
    assert router.metric("penstock_kernel_source", mode="tcp_info") == 1
    assert "CAP_NET_ADMIN" in router.log(1000)
