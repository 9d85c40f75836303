"""A real vLLM on the CPU: the model is two layers of noise, everything around it
is the engine that people run."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import httpx

from processes import HTTP, Process, free_ports

CACHE = Path(os.environ["PENSTOCK_CACHE"])
MODEL = "tiny"  # what all of them serve
START_TIMEOUT = 240.0

# The environment and the flags of a small engine: 1 GiB of KV cache, one thread.
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "PYTHONPATH": "",
}
FLAGS = ["--load-format", "dummy", "--enforce-eager", "--max-model-len", "16384", "--dtype", "float32",
         "--enable-prefix-caching", "--disable-uvicorn-access-log"]


class VLLM(Process):
    """`vllm serve`. It answers with the first name that it serves, its own one:
    so each answer tells which engine it came from."""

    def __init__(self, log: Path, number: int):
        port = free_ports()
        self.model, self.address = f"{MODEL}-{number}", f"127.0.0.1:{port}"
        self.url = f"http://{self.address}"
        super().__init__(f"vllm-{number}", [
            str(CACHE / "vllm-venv/bin/vllm"), "serve", str(CACHE / "tiny-model"), "--served-model-name", self.model, MODEL,
            "--host", "127.0.0.1", "--port", str(port), *FLAGS], log, ENVIRONMENT)

    def is_ready(self) -> bool:
        if self.popen.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.log()}")
        try:
            return HTTP.get(self.url + "/health", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def core(self) -> int:
        """The process that computes; the one before it answers HTTP."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, _, rest = stat.read_text().rpartition(")")
            except OSError:  # it ended meanwhile
                continue
            if "EngineCor" in name and os.getpgid(int(stat.parent.name)) == self.pid:
                return int(stat.parent.name)
        raise AssertionError(f"{self.name} has no engine core")

    def freeze(self) -> None:
        os.kill(self.core(), signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.core(), signal.SIGCONT)

    def metrics(self) -> str:
        return HTTP.get(self.url + "/metrics").raise_for_status().text

    def metric(self, name: str, **labels: str) -> float:
        """The sum over the series of `name` that have these labels."""
        rows = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", self.metrics(), re.MULTILINE)
        return sum(float(value) for found, value in rows if all(f'{k}="{v}"' in found for k, v in labels.items()))

    def cache_config(self, label: str) -> int:
        return int(re.search(rf'^vllm:cache_config_info\{{.*\b{label}="(\d+)"', self.metrics(), re.MULTILINE)[1])


def say(text: str) -> None:
    """To the terminal at once, past what pytest captures (with --capture=sys)."""
    print(text, file=sys.__stdout__, flush=True)


def wait_until_ready(engines: list[VLLM]) -> None:
    """Waits for all of them, and says so meanwhile."""
    start = time.monotonic()
    while waiting := [engine.name for engine in engines if not engine.is_ready()]:
        seconds = time.monotonic() - start
        if seconds > START_TIMEOUT:
            raise AssertionError(f"not ready within {START_TIMEOUT} s: {waiting}\n" + "\n".join(e.log() for e in engines))
        say(f"{seconds:4.0f} s: {', '.join(waiting)} loading (takes about a minute)")
        time.sleep(5)
    say(f"{time.monotonic() - start:4.0f} s: all ready")
