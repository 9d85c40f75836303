"""What a WebSocket costs the router in memory, idle and with an answer under way."""

from __future__ import annotations

import json
import re
import resource
import socket
from dataclasses import dataclass

import pytest

from processes import HTTP
from wire import CHAT, HEAD, chat, frame

IDLE, ACTIVE, AT_ONCE = 5_000, 500, 50
MOST_IDLE, MOST_ACTIVE = 16.0, 32.0  # KiB a connection
HELLO = (f"GET {CHAT} HTTP/1.1\r\nHost: router\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n").encode()


@dataclass
class Memory:
    """In KiB."""
    resident: float
    heap: float    # live
    spare: float   # of the heap: not live, and not given back
    stacks: float
    goroutines: float

    def per(self, count: int, before: Memory) -> str:
        return ", ".join(f"{name} {(value - vars(before)[name]) / count:.2f}" for name, value in vars(self).items())


def memory(router) -> Memory:
    """Resident memory as it is found, and then what is live in it."""
    with open(f"/proc/{router.pid}/status") as f:
        resident = float(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])
    for _ in range(3):  # what pools hold is let go of by the second
        page = HTTP.get(router.admin + "/debug/pprof/heap?gc=1&debug=1").text
    alloc, idle, released, sys = (int(re.search(rf"# {name} = (\d+)", page)[1]) / 1024
                                  for name in ("HeapAlloc", "HeapIdle", "HeapReleased", "HeapSys"))
    stacks = int(re.search(r"# Stack = (\d+)", page)[1]) / 1024
    return Memory(resident, alloc, sys - released - alloc, stacks, router.metric("go_goroutines"))


class Peer:
    """A client's connection, as small as it can be: there are thousands."""

    def __init__(self, router):
        self.socket = socket.create_connection(router.address, 20)

    def upgrade(self) -> None:
        self.socket.sendall(HELLO)
        self.until(b"\r\n\r\n")

    def until(self, what: bytes) -> None:
        got = b""
        while what not in got:
            piece = self.socket.recv(1 << 16)
            assert piece, got[-200:]
            got += piece

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def peers():
    """Opens connections, and closes them after the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened: list[Peer] = []

    def connect(router, count: int, upgraded: bool) -> list[Peer]:
        for _ in range(count):
            opened.append(Peer(router))
            if upgraded:
                opened[-1].upgrade()
        return opened[-count:]

    yield connect
    for peer in opened:
        peer.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def by_message(peer: Peer, **request) -> None:
    peer.socket.sendall(frame(chat(**request)))


def by_post(peer: Peer, **request) -> None:
    body = json.dumps(chat(**request)).encode()
    peer.socket.sendall(HEAD.format(path=CHAT, length=len(body)).encode() + body)


def ask(peers: list[Peer], by, until: bytes, **request) -> None:
    """A request of each, AT_ONCE at a time, until its answer has come that far."""
    for n in range(0, len(peers), AT_ONCE):
        for peer in peers[n:n + AT_ONCE]:
            by(peer, stream=True, **request)
        for peer in peers[n:n + AT_ONCE]:
            peer.until(until)


def test_idle(stage, peers):
    sim = stage.sim(1, profile="instant", max_num_seqs=AT_ONCE)
    router = stage.router(sim.urls, f"limits: {{connections: {2 * IDLE}}}\n")
    warm = peers(router, AT_ONCE, upgraded=True)
    for _ in range(4):
        ask(warm, by_message, b"[DONE]", max_tokens=4)

    before = memory(router)
    idle = peers(router, IDLE, upgraded=True)
    opened = memory(router)
    ask(idle, by_message, b"[DONE]", max_tokens=4)
    used = memory(router)
    print(f"KiB a connection: after the handshake {opened.per(IDLE, before)}; after an answer {used.per(IDLE, before)}")
    assert router.metric("penstock_websocket_connections") == AT_ONCE + IDLE
    assert (opened.resident - before.resident) / IDLE < MOST_IDLE
    assert (used.resident - before.resident) / IDLE < MOST_IDLE


@pytest.mark.parametrize("by", [by_post, by_message])
def test_active(stage, peers, by):
    sim = stage.sim(1, max_num_seqs=2 * ACTIVE, kv_blocks=1_000_000, time_scale=0.2)
    router = stage.router([], f"instances: [{{url: {sim.urls[0]}, max_in_flight: {2 * ACTIVE}}}]\n")
    upgraded = by is by_message
    ask(peers(router, AT_ONCE, upgraded), by, b"[DONE]", max_tokens=4)
    before = memory(router)
    active = peers(router, ACTIVE, upgraded)
    ask(active, by, b"content", max_tokens=4000)
    for _ in range(3):
        for peer in active:
            peer.until(b"content")
    during = memory(router)
    print(f"KiB a stream {by.__name__}: {during.per(ACTIVE, before)}")
    assert router.metric("penstock_gateway_requests") == ACTIVE
    assert (during.resident - before.resident) / ACTIVE < MOST_ACTIVE
