"""Runs Autobahn's fuzzing client: against the simulator's echo, against the same
through the router, and against the router's own WebSockets; then compares the
first two case by case, and judges the third (judge.py). Fails on a difference or
a failed case."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import judge

PENSTOCK = os.environ["PENSTOCK_BIN"]
DOCS = Path(__file__).parents[2] / "docs" / "websocket.md"
BEGIN, END = "<!-- make autobahn ARGS='--all --write' -->\n", "<!-- end -->\n"
OWN = [1, 2, 3, 4, 5, 6, 7, 10]  # what the router itself can be asked: it takes no 16 MiB as a request's text
# A thousand messages of 8 KiB and more each: nine tenths of the suite's time, spent in its own Python.
SLOW = [f"{section}.{group}.{n}" for section, groups in ((12, 5), (13, 7)) for group in range(1, groups + 1)
        for n in (8, 9, 10, 14, 15, 16, 17, 18)]


class Run:
    """One process of the fuzzing client."""

    def __init__(self, args, name: str, url: str, sections: list[int], exclude: list[str]):
        self.name, self.folder = name, args.reports / name
        self.done, self.total, self.case = 0, 0, "-"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        spec = self.folder / "spec.json"
        spec.write_text(json.dumps({
            "outdir": str(self.folder), "servers": [{"agent": name, "url": url}],
            "cases": [f"{s}.*" for s in sections], "exclude-cases": exclude, "exclude-agent-cases": {},
        }))
        self.popen = subprocess.Popen([args.wstest, "-m", "fuzzingclient", "-s", spec], text=True, errors="replace",
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        self.reader = threading.Thread(target=self.follow)
        self.reader.start()

    def follow(self) -> None:
        with (self.folder / "log").open("w") as log:
            for line in self.popen.stdout:
                log.write(line)
                if m := re.match(r"Ok, will run (\d+) test cases", line):
                    self.total = int(m[1])
                elif m := re.match(r"Running test case ID (\S+)", line):
                    self.done, self.case = self.done + 1, m[1]

    def progress(self) -> str:
        return f"{self.name} {self.done}/{self.total}" + (f" ({self.case})" if self.popen.poll() is None else "")

    def reports(self) -> dict[str, dict]:
        self.reader.join()
        reports = judge.read(self.folder)
        if self.popen.wait() != 0 or len(reports) != self.total:
            raise SystemExit(f"autobahn: {self.name} ended with {self.popen.returncode} after {len(reports)} of {self.total} cases: {self.folder / 'log'}")
        return reports


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(argv: list, log: Path, ready: str) -> subprocess.Popen:
    """Starts a server and waits until it answers."""
    with log.open("w") as out:
        popen = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    for _ in range(200):
        try:
            with urllib.request.urlopen(ready, timeout=1):
                return popen
        except OSError:
            if popen.poll() is not None:
                break
        time.sleep(0.05)
    popen.kill()
    raise SystemExit(f"autobahn: {argv[0]} {argv[1]} does not answer at {ready}:\n{log.read_text()}")


def show(runs: list[Run]) -> None:
    """Says how far they are until all have ended: on a terminal at once, else from time to time."""
    terminal, said, begin = sys.stdout.isatty(), 0.0, time.monotonic()
    while any(run.popen.poll() is None for run in runs):
        time.sleep(0.2)
        now = time.monotonic() - begin
        if terminal or now - said > 20:
            said = now
            print(f"{now:4.0f} s  " + "   ".join(run.progress() for run in runs), end="\033[K\r" if terminal else "\n", flush=True)
    print(f"{time.monotonic() - begin:4.0f} s  " + "   ".join(run.progress() for run in runs))


def run(args) -> dict[str, dict[str, dict]]:
    """The reports of all three, by their names."""
    sections = args.sections or list(judge.SECTIONS)
    own = [s for s in OWN if s in sections]
    exclude = [] if args.all else SLOW
    servers = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            engine, data, admin = free_port(), free_port(), free_port()
            servers.append(serve([PENSTOCK, "sim", "--listen", f"127.0.0.1:{engine}", "--profile", "instant"],
                                 Path(folder) / "sim.log", f"http://127.0.0.1:{engine}/health"))
            config = Path(folder) / "penstock.yaml"
            config.write_text(json.dumps({
                "listen": f"127.0.0.1:{data}", "admin": f"127.0.0.1:{admin}", "engine": "vllm", "kernel": {"mode": "off"},
                "websocket": {"paths": ["/v1/echo"]}, "instances": [{"url": f"http://127.0.0.1:{engine}"}],
            }))
            servers.append(serve([PENSTOCK, "serve", "--config", config], Path(folder) / "router.log", f"http://127.0.0.1:{data}/v1/models"))
            runs = [Run(args, "direct", f"ws://127.0.0.1:{engine}/v1/echo", sections, exclude),
                    Run(args, "through", f"ws://127.0.0.1:{data}/v1/echo", sections, exclude)]
            # most of these wait for an echo that never comes: side by side they wait half as long
            runs += [Run(args, f"bridge-{n}", f"ws://127.0.0.1:{data}/v1/chat/completions", part, [])
                     for n, part in enumerate(([s for s in own if s != 6], [s for s in own if s == 6])) if part]
            show(runs)
            reports = {name: {} for name in ("direct", "through", "bridge")}
            for r in runs:
                reports[r.name.split("-")[0]] |= r.reports()
            return reports
        finally:
            for server in servers:
                server.send_signal(signal.SIGKILL)
                server.wait()


def write(text: str) -> None:
    """Puts the table into the docs."""
    page = DOCS.read_text()
    head, rest = page.split(BEGIN)
    DOCS.write_text(head + BEGIN + text + "\n" + END + rest.split(END, 1)[1])


def main() -> int:
    parser = argparse.ArgumentParser(prog="make autobahn ARGS=…")
    parser.add_argument("--wstest", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--reports", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help=f"the {len(SLOW)} slowest cases of sections 12 and 13 too")
    parser.add_argument("--sections", type=int, nargs="+", choices=judge.SECTIONS, help="these alone")
    parser.add_argument("--write", action="store_true", help="put the table into docs/websocket.md")
    args = parser.parse_args()
    if args.write and (args.sections or not args.all):
        parser.error("--write: the docs have the whole suite: --all, and no --sections")

    reports = run(args)
    outcomes = {name: {case: (judge.of_bridge if name == "bridge" else judge.of_echo)(r) for case, r in cases.items()}
                for name, cases in reports.items()}
    text = judge.table(outcomes)
    print(text)
    differ = judge.differences(reports["direct"], reports["through"])
    failed = [f"{name} {case}: {why}" for name, cases in outcomes.items() for case, (outcome, why) in cases.items() if outcome == judge.FAILED]
    for line in differ + failed:
        print(line)
    print(f"{len(differ)} differences, {len(failed)} failed; reports in {args.reports}")
    if args.write:
        write(text)
    return 1 if differ or failed else 0


if __name__ == "__main__":
    sys.exit(main())
