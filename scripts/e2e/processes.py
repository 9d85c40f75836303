"""The processes of a test: the simulator, the router, a store. Each is started
on loopback in a process group of its own and ended by that group's id."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

PENSTOCK = os.environ.get("PENSTOCK_BIN", "penstock")
START_TIMEOUT = 15.0
# One for all: making one takes 30 ms, and a test that waits asks often.
HTTP = httpx.Client(trust_env=False, timeout=30.0)


def free_ports(count: int = 1) -> int:
    """The first of `count` consecutive free ports, below the ephemeral range so
    that no outgoing connection takes one of them meanwhile."""
    for _ in range(200):
        base = random.randrange(20000, 32000 - count)
        if all(_is_free(base + i) for i in range(count)):
            return base
    raise RuntimeError(f"no {count} consecutive free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def eventually(what: str, check: Callable[[], object], within: float = 5.0, every: float = 0.01):
    """Waits for `check` to give something true, and gives it back."""
    deadline = time.monotonic() + within
    while True:
        if got := check():
            return got
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(every)


class Process:
    """A child in its own process group; its output goes to a log file."""

    def __init__(self, name: str, argv: list[str], log: Path, env: dict[str, str] | None = None):
        self.name, self.log_path = name, log
        with log.open("wb") as out:
            self.popen = subprocess.Popen(
                argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True, env={**os.environ, **(env or {})},
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait_for(self, url: str, within: float = START_TIMEOUT) -> None:
        """Waits until `url` answers 200."""

        def ready() -> bool:
            if self.popen.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.log()}")
            try:
                return HTTP.get(url, timeout=1.0).status_code == 200
            except httpx.HTTPError:
                return False

        eventually(f"{self.name} answers 200 at {url}\n{self.log()}", ready, within)

    def faults(self) -> list[str]:
        """What the router shielded a client from, and must not have happened."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return [line for line in lines if "failed inside the router" in line or line.startswith("panic:")]

    def log(self, lines: int = 40) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the whole group, as the kernel's out-of-memory killer would."""
        if self.popen.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def terminate(self, within: float = 10.0) -> int:
        """SIGTERM; the exit status, or SIGKILL after `within` seconds."""
        if self.popen.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.popen.returncode


class Sim(Process):
    """`penstock sim`: simulated engines on consecutive ports."""

    def __init__(self, log: Path, instances: int = 1, **flags: object):
        port = free_ports(instances)
        self.urls = [f"http://127.0.0.1:{port + i}" for i in range(instances)]
        argv = [PENSTOCK, "sim", "--listen", f"127.0.0.1:{port}", "--instances", str(instances)]
        super().__init__("sim", argv + to_flags({"model": "llama2"} | flags), log)
        for url in self.urls:
            self.wait_for(url + "/health")

    def stats(self, instance: int = 0) -> dict:
        return HTTP.get(self.urls[instance] + "/_sim/stats").raise_for_status().json()

    def total(self, key: str) -> int:
        return sum(self.stats(i)[key] for i in range(len(self.urls)))

    def heal(self, instance: int = 0) -> None:
        HTTP.delete(self.urls[instance] + "/_sim/fault").raise_for_status()

    def fault(self, instance: int = 0, **fault: object) -> None:
        HTTP.post(self.urls[instance] + "/_sim/fault", json=fault).raise_for_status()


class Router(Process):
    """`penstock serve` before some instances."""

    def __init__(self, log: Path, instances: list[str], config: str = "", suffix: str = ".yaml",
                 wait: bool = True, program: list[str] | None = None, **flags: object):
        port = free_ports(2)
        self.address = ("127.0.0.1", port)
        self.url, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
        argv = [*(program or [PENSTOCK]), "serve", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{port + 1}"]
        if config:
            path = log.with_suffix(suffix)
            path.write_text(config)
            argv += ["-c", str(path)]
        for url in instances:
            argv += ["--instance", url]
        super().__init__("router", argv + to_flags(flags), log)
        if wait:
            self.wait_for(self.url + "/health")

    def metrics(self) -> str:
        return HTTP.get(self.admin + "/metrics").raise_for_status().text

    def metric(self, name: str, **labels: str) -> float:
        """The sum over the series of `name` that have these labels."""
        total = 0.0
        for line in self.metrics().splitlines():
            if m := re.match(rf"{name}(?:\{{(.*)\}})? (\S+)$", line):
                if all(f'{k}="{v}"' in (m[1] or "") for k, v in labels.items()):
                    total += float(m[2])
        return total

    def instances(self) -> list[dict]:
        return HTTP.get(self.admin + "/api/v1/instances").raise_for_status().json()["instances"]


def to_flags(flags: dict[str, object]) -> list[str]:
    """`time_scale=1` becomes `--time-scale=1`."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
