#!/usr/bin/env python3
"""Engines behind links that can be cut, delayed and slowed down, in network
namespaces of our own: nothing of the host's network is touched. Needs root,
nft and iproute2.

    gateway (…-gw)                       engine 0 (…-0)
      veth  e0  10.77.0.1 ═══════════ 10.77.0.2  gw
      tun   d0            ── Delay ──            d     only while it is delayed
      veth  e1  10.77.1.1 ═══════════ 10.77.1.2  gw    engine 1 …

A lab's namespaces carry the pid of its process; what a dead one left behind is
swept before the next is built, its processes too."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

GATEWAY = "gw"
NAMESPACES = Path("/run/netns")
DELAY = Path(__file__).resolve().with_name("delay.py")
CLONE_NEWNET = 0x40000000
BUILT_IN = itertools.count()  # one process may have several
libc = ctypes.CDLL(None, use_errno=True)


class Lab:
    """A gateway's namespace and one for each engine. A namespace is said as
    GATEWAY or as the engine's number. With a `name`: one that is there."""

    def __init__(self, engines: int = 4, name: str = ""):
        self.engines = engines
        self.name = name or f"netlab-{os.getpid()}-{next(BUILT_IN)}"

    def __enter__(self) -> Lab:
        sweep()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        destroy(self.name)

    def engine(self, n: int) -> str:
        """The address of engine n, and the gateway's towards it ends in .1."""
        return f"10.77.{n}.2"

    def namespace(self, where: int | str) -> str:
        return f"{self.name}-{where}"

    def spawn(self, where: int | str, argv: list[str], **kwargs) -> subprocess.Popen:
        """Starts `argv` there; it is killed at the latest when the lab ends."""
        with self.inside(where):
            return subprocess.Popen(argv, **kwargs)

    @contextlib.contextmanager
    def inside(self, where: int | str = GATEWAY) -> Iterator[None]:
        """Takes the calling thread there, and with it each thread and process
        that it starts meanwhile: what is on loopback is that namespace's. Unlike
        `ip netns exec` it keeps /sys, and with that cgroups and pinned maps."""
        with open("/proc/thread-self/ns/net") as here, open(NAMESPACES / self.namespace(where)) as there:
            setns(there.fileno())
            try:
                yield
            finally:
                setns(here.fileno())

    def cut(self, n: int) -> None:
        """A black hole in both directions: neither FIN, RST nor ICMP, and packets
        that were sent count as sent. ARP passes: nobody is ever told of it."""
        self._nft(n, drop(n, 'iifname != "lo"'))
        self._nft(GATEWAY, drop(n, f'iifname {{ "e{n}", "d{n}" }}'))

    def mend(self, n: int) -> None:
        for where in (n, GATEWAY):
            self._nft(where, forget(n))

    def delay(self, n: int, ms: float) -> None:
        """Makes the round trip `ms` longer; 0: no longer."""
        for where, tun in ((n, "d"), (GATEWAY, f"d{n}")):
            subprocess.run(["ip", "-n", self.namespace(where), "route", "flush", "dev", tun], check=True)
        for pid in pids(self.namespace(GATEWAY)):
            if {str(DELAY), f"d{n}"} <= set(cmdline(pid)):
                kill(pid)
        if ms <= 0:
            return
        argv = [sys.executable, str(DELAY), f"d{n}", str(NAMESPACES / self.namespace(n)), "d", str(ms)]
        relay = self.spawn(GATEWAY, argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
        with relay.stdout as said:
            if said.readline() != b"ready\n":
                raise RuntimeError(f"{DELAY.name} ended with {relay.wait()}")
        # Narrower than the veth's network, so that these win.
        ip(f"route replace {self.engine(n)}/32 dev d{n} src 10.77.{n}.1", self.namespace(GATEWAY))
        ip(f"route replace 10.77.{n}.1/32 dev d src {self.engine(n)}", self.namespace(n))

    def rate(self, n: int, mbit: float) -> None:
        """Lets `mbit` Mbit/s through in each direction; 0: whatever comes."""
        for where, device in ((GATEWAY, f"e{n}"), (GATEWAY, f"d{n}"), (n, "gw"), (n, "d")):
            tc = ["tc", "-n", self.namespace(where), "qdisc"]
            if mbit > 0:
                subprocess.run([*tc, "replace", "dev", device, "root", "tbf", "rate", f"{int(1e6 * mbit)}bit",
                                "burst", "32kb", "latency", "100ms"], check=True)
            else:
                subprocess.run([*tc, "del", "dev", device, "root"], stderr=subprocess.DEVNULL)

    def _build(self) -> None:
        numbers = range(self.engines)
        ip("".join(f"netns add {self.namespace(where)}\n" for where in (GATEWAY, *numbers)))
        near = self.namespace(GATEWAY)
        ip("".join(f"link add e{n} netns {near} type veth peer name gw netns {self.namespace(n)}\n" for n in numbers))
        ip("link set lo up\n" + "".join(end(f"e{n}", f"10.77.{n}.1", f"d{n}") for n in numbers), near)
        for n in numbers:
            ip("link set lo up\n" + end("gw", self.engine(n), "d"), self.namespace(n))

    def _nft(self, where: int | str, rules: str) -> None:
        with self.inside(where):
            subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def end(veth: str, address: str, tun: str) -> str:
    """One end of a link, and that of its detour."""
    return (f"addr add {address}/24 dev {veth}\nlink set dev {veth} up\n"
            f"tuntap add dev {tun} mode tun\nlink set dev {tun} up\n")


def drop(n: int, which: str) -> str:
    return forget(n) + (f"table inet cut{n} {{ chain in {{ type filter hook prerouting priority raw; "
                        f"{which} drop; }}; }}\n")


def forget(n: int) -> str:
    """Without an error where it is not there; nft's destroy is too new."""
    return f"add table inet cut{n}\ndelete table inet cut{n}\n"


def sweep() -> None:
    """Takes away the labs whose process is no more."""
    for name in labs():
        if not os.path.exists(f"/proc/{holder(name)}"):
            destroy(name)


def holder(name: str) -> int:
    return int(name.split("-")[1])


def labs() -> list[str]:
    """The names of all labs of this host."""
    found = [re.fullmatch(r"(netlab-\d+-\d+)-\w+", path.name) for path in NAMESPACES.glob("netlab-*")]
    return sorted({m[1] for m in found if m})


def destroy(name: str) -> None:
    """Kills what runs in a lab's namespaces and deletes them. The links go by
    name: a socket that somebody has still open keeps its namespace alive."""
    namespaces = [path.name for path in NAMESPACES.glob(name + "-*")]
    for namespace in namespaces:
        for pid in pids(namespace):
            kill(pid)
    for namespace in namespaces:
        if not namespace.endswith("-" + GATEWAY):
            subprocess.run(["ip", "-n", namespace, "link", "del", "gw"], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "del", namespace])


def pids(namespace: str) -> list[int]:
    """Whoever runs there, but us."""
    out = subprocess.run(["ip", "netns", "pids", namespace], stdout=subprocess.PIPE, text=True).stdout
    return [int(pid) for pid in out.split() if int(pid) != os.getpid()]


def kill(pid: int) -> None:
    """Kills it and waits until it is gone, or a zombie of somebody else."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 5.0
        while cmdline(pid) and time.monotonic() < deadline:
            time.sleep(0.002)


def cmdline(pid: int) -> list[str]:
    """Its command; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def ip(batch: str, namespace: str = "") -> None:
    into = ["-n", namespace] if namespace else []
    subprocess.run(["ip", *into, "-batch", "-"], input=batch, text=True, check=True)


def setns(descriptor: int) -> None:
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))


def up(args) -> None:
    """Holds a lab, with one simulated engine behind each link, until it is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), Lab(args.engines) as lab:
        urls = [f"http://{lab.engine(n)}:8000" for n in range(args.engines)]
        for n, url in enumerate(urls):
            lab.spawn(n, [args.penstock, "sim", "--listen", url.removeprefix("http://")], stdout=subprocess.DEVNULL)
        print(f"{lab.name} is up until Ctrl-C, or {sys.argv[0]} down; a router in it:\n\n  {sys.argv[0]} exec gw "
              f"{args.penstock} serve {' '.join('--instance ' + url for url in urls)}", flush=True)
        signal.pause()


def only() -> Lab:
    """The lab that `up` holds; a test's is none of ours."""
    sweep()
    names = [name for name in labs() if "up" in cmdline(holder(name))]
    if len(names) != 1:
        sys.exit(f"netlab: want one lab that is up, there are {len(names)}")
    return Lab(name=names[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do, *arguments: tuple, **about) -> argparse.ArgumentParser:
        it = commands.add_parser(name, **about)
        for flag, kwargs in arguments:
            it.add_argument(flag, **kwargs)
        it.set_defaults(do=do)
        return it

    n = ("n", {"type": int, "help": "the engine's number, from 0"})
    command("up", up, ("--engines", {"type": int, "default": 4}), ("--penstock", {"default": "bin/penstock"}),
            help="a lab with simulated engines; stays until it is ended")
    command("cut", lambda a: only().cut(a.n), n, help="a black hole from now on")
    command("mend", lambda a: only().mend(a.n), n, help="no longer")
    command("delay", lambda a: only().delay(a.n, a.ms), n, ("ms", {"type": float}),
            help="longer round trips; 0: no longer")
    command("rate", lambda a: only().rate(a.n, a.mbit), n, ("mbit", {"type": float}),
            help="so many Mbit/s; 0: whatever comes")
    command("exec", lambda a: sys.exit(only().spawn(a.where, a.argv).wait()),
            ("where", {"help": "gw, or an engine's number"}), ("argv", {"nargs": argparse.REMAINDER}),
            help="run a command there")
    command("down", lambda a: os.kill(holder(only().name), signal.SIGTERM), help="end it")
    args = parser.parse_args()
    try:
        args.do(args)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"netlab: {error}")


if __name__ == "__main__":
    main()
