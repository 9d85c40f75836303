"""A link that takes its time: delay.py TUN NAMESPACE TUN MS carries the packets
of a tun device of this network namespace to one of another, and back, each
MS / 2 later. It says "ready" once they flow.

tc's netem would do it, but not each kernel has that (6.18 as it is built for
small virtual machines: htb, tbf and fifo, no netem and no fq); a tun device is
everywhere, and this way there is one way to test."""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
LARGEST = 65536
QUEUE = 1000  # packets under way in one direction; more are lost, as on a link


class Direction:
    """What is under way from one device to the other."""

    def __init__(self, source: int, target: int, delay: float):
        self.source, self.target, self.delay = source, target, delay
        self.packets: deque[tuple[float, bytes]] = deque()  # (when it is due, itself)

    def take(self) -> None:
        due = time.monotonic() + self.delay
        try:
            while True:
                packet = os.read(self.source, LARGEST)
                if len(self.packets) < QUEUE:
                    self.packets.append((due, packet))
        except BlockingIOError:
            pass

    def give(self) -> float:
        """Hands over what is due; the seconds until the next is."""
        while self.packets:
            due, packet = self.packets[0]
            if (left := due - time.monotonic()) > 0:
                return left
            self.packets.popleft()
            try:
                os.write(self.target, packet)
            except BlockingIOError:
                pass  # lost
        return 3600.0


def open_tun(name: str) -> int:
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return tun


def open_tun_in(namespace: str, name: str) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as here, open(namespace) as there:
        for step in (there, here):
            if step is here:
                tun = open_tun(name)
            if libc.setns(step.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {namespace}")
    return tun


def main(near: str, namespace: str, far: str, ms: str) -> None:
    one, other = open_tun(near), open_tun_in(namespace, far)
    half = float(ms) / 2e3
    directions = {one: Direction(one, other, half), other: Direction(other, one, half)}
    poll = select.epoll()
    for source in directions:
        poll.register(source, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        wait = min(direction.give() for direction in directions.values())
        for source, _ in poll.poll(wait):
            directions[source].take()


if __name__ == "__main__":
    main(*sys.argv[1:])
