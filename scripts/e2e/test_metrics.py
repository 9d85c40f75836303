"""Everything that the managed service's six charts show, through a real
VictoriaMetrics, pushed and scraped; and promtool has nothing to say."""

import asyncio
import json
import subprocess
import threading

import httpx
import pytest

from processes import eventually, free_ports
from wire import CHAT, Connection, chat

# One row per line of a chart: its title and a query that must give a value above
# zero while the load below runs. $S is the selector of one source.
CHARTS = {
    "Token Throughput IN": "sum(rate(penstock_prompt_tokens_total{$S}[10s]))",
    "Token Throughput OUT": "sum(rate(penstock_generation_tokens_total{$S}[10s]))",
    "GPU Cache Usage": "max(max_over_time(penstock_instance_kv_usage_ratio{$S}[10s]))",
    "Engine Current Requests Running": "sum(max_over_time(penstock_instance_running{$S}[10s]))",
    "Engine Current Requests Waiting": "sum(max_over_time(penstock_instance_waiting{$S}[10s]))",
    "Gateway Current Requests Total": "sum(max_over_time(penstock_gateway_requests{$S}[10s]))",
    "Gateway Current Requests Pending": "sum(max_over_time(penstock_gateway_pending{$S}[10s]))",
    **{f"{title} {stat}": f'max(max_over_time(penstock_{name}_window_seconds{{$S,stat="{stat}"}}[10s]))'
       for title, name in (("Time To First Token", "ttft"), ("Time Per Output Token", "tpot"))
       for stat in ("max", "avg", "min", "p50", "p90", "p95", "p99")},
    "Time To First Token histogram": "histogram_quantile(0.9, sum by (le) (rate(penstock_ttft_seconds_bucket{$S}[10s])))",
    "Time Per Output Token histogram": "histogram_quantile(0.9, sum by (le) (rate(penstock_tpot_seconds_bucket{$S}[10s])))",
}

SCRAPE = """
scrape_configs:
  - job_name: penstock
    scrape_interval: 1s
    honor_labels: true
    static_configs: [{{targets: ["{admin}"]}}]
"""


class Load:
    """Twelve clients in a closed loop on two instances that take two requests
    each and run one: so one waits in each engine and eight in the gateway."""

    def __init__(self, router):
        self.router, self.stopping = router, False
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()

    async def _run(self):
        await asyncio.gather(*(self._client(n) for n in range(12)))

    async def _client(self, number):
        connection = Connection(self.router.address)
        while not self.stopping:
            await connection.post(CHAT, chat(f"client {number} " * 50, max_tokens=20, stream=True))
        connection.close()


def victoria(stage, scrape: str = ""):
    port = free_ports()
    argv = ["victoria-metrics", f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={stage.folder}/vm",
            "-retentionPeriod=1", "-search.latencyOffset=0s", "-search.disableCache"]
    if scrape:
        (stage.folder / "scrape.yaml").write_text(scrape)
        argv.append(f"-promscrape.config={stage.folder}/scrape.yaml")
    store = stage.run("victoria-metrics", argv)
    store.url = f"http://127.0.0.1:{port}"
    store.wait_for(store.url + "/health")
    return store


def query(store, expression: str) -> float:
    got = httpx.get(store.url + "/api/v1/query", params={"query": expression}).raise_for_status().json()
    values = [float(row["value"][1]) for row in got["data"]["result"]]
    return max(values, default=0.0)


def overloaded_router(stage, more: str = ""):
    sim = stage.sim(2, max_num_seqs=1)
    instances = "".join(f'\n  - {{url: "{url}", max_in_flight: 2}}' for url in sim.urls)
    return stage.router([], f"instances:{instances}\nscrape: {{every: 100ms}}\n{more}")


def assert_charts(store, selector: str):
    def missing():
        return [title for title, expression in CHARTS.items()
                if not query(store, expression.replace("$S", selector)) > 0]

    try:
        eventually("", lambda: not missing(), within=20, every=0.5)
    except AssertionError:
        raise AssertionError(f"no value in the store for: {missing()}") from None


def test_pushed(stage):
    store = victoria(stage)
    router = overloaded_router(stage, f"""
metrics: {{push: ["{store.url}/api/v1/import/prometheus"], every: 1s, labels: {{node: gw-1}}}}
""")
    with Load(router):
        assert_charts(store, 'node="gw-1"')


def test_scraped(stage):
    router = overloaded_router(stage)
    store = victoria(stage, SCRAPE.format(admin=router.admin.removeprefix("http://")))
    with Load(router):
        assert_charts(store, 'job="penstock"')
    assert query(store, 'up{job="penstock"}') == 1


def test_a_store_that_is_away_is_in_nobodys_way(stage):
    sim = stage.sim(1)
    router = stage.router(sim.urls, f"""
metrics: {{push: ["http://127.0.0.1:{free_ports()}/api/v1/import/prometheus"], every: 1s}}
""")
    for _ in range(50):
        assert httpx.post(router.url + CHAT, json=chat(max_tokens=1)).status_code == 200
    assert router.terminate() == 0


@pytest.fixture(scope="module")
def page(fleet):
    _, router = fleet
    for stream in (False, True):
        httpx.post(router.url + CHAT, json=chat(stream=stream)).raise_for_status()
    httpx.post(router.url + CHAT, json=chat() | {"model": "nope"})
    return router.metrics()


def test_promtool_is_silent(page):
    out = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    assert (out.returncode, out.stdout + out.stderr) == (0, "")


INTERFACE = """
penstock_requests_total penstock_request_errors_total penstock_gateway_requests penstock_gateway_pending
penstock_prompt_tokens_total penstock_generation_tokens_total penstock_ttft_seconds_bucket penstock_tpot_seconds_bucket
penstock_itl_seconds_bucket penstock_request_seconds_bucket penstock_pending_seconds_bucket penstock_ttft_window_seconds
penstock_tpot_window_seconds penstock_instance_up penstock_instance_state penstock_instance_running
penstock_instance_waiting penstock_instance_kv_usage_ratio penstock_instance_in_flight penstock_instance_requests_total
penstock_instance_failures_total penstock_instance_ejections_total penstock_kernel_source penstock_decision_seconds_bucket
penstock_overhead_seconds_bucket penstock_signal_age_seconds penstock_signal_alive penstock_retries_total
penstock_aborts_total penstock_tokens_saved_total penstock_scrape_seconds penstock_scrape_errors_total penstock_build_info
""".split()


def test_names_of_the_interface(page):
    names = {line.split("{")[0].split(" ")[0] for line in page.splitlines() if not line.startswith("#")}
    # penstock_scrape_seconds may be a histogram or a gauge: the interface leaves it open.
    names |= {name.removesuffix("_count") for name in names}
    assert [name for name in INTERFACE if name not in names] == []


def test_unknown_model_and_route_are_one_label_value(fleet):
    _, router = fleet
    for n in range(20):
        httpx.post(f"{router.url}/v1/route-{n}", json=chat())
        httpx.post(router.url + CHAT, json=chat() | {"model": f"model-{n}"})
    page = router.metrics()
    assert "route-1" not in page and "model-1" not in page
    assert 'route="other"' in page


def test_errors_have_every_reason_from_the_start(fleet):
    page = fleet[1].metrics()
    for reason in ("bad_request auth forbidden not_found too_large queue_full queue_timeout rate_limited no_instance "
                   "instance_failed instance_timeout client_gone draining internal").split():
        assert f'penstock_request_errors_total{{reason="{reason}"}}' in page, reason
    for when in ("pending", "before_first_byte", "streaming"):
        assert f'penstock_aborts_total{{when="{when}"}}' in page, when


def test_instances_api(fleet):
    sim, router = fleet
    rows = router.instances()
    assert sorted(row["url"] for row in rows) == sorted(sim.urls)
    wanted = {"name", "url", "engine", "models", "state", "reason", "running", "waiting", "kv_usage",
              "kv_capacity_tokens", "in_flight", "pending", "signals"}
    for row in rows:
        assert wanted <= row.keys(), wanted - row.keys()
        assert (row["state"], row["models"], row["engine"]) == ("healthy", ["llama2"], "vllm"), json.dumps(row)
