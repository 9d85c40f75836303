# Everything that is done to this repository, by name. `make help` lists it.

SHELL   := bash
GO      ?= go
BIN     := bin/penstock
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# Arguments for the program behind run, e2e and peers: make run ARGS='--for 20s'
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help build run test race e2e e2e-thousand e2e-vllm autobahn bpf generate check bench peers policies realism

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## the static binary, bin/penstock
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/penstock

run: build ## the 60-second look: simulated engines, the router, a load, a live table
	$(BIN) demo $(ARGS)

test: ## all tests that need neither root nor another program (the race detector needs gcc)
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 5m ./...
	CGO_ENABLED=0 $(GO) test -run Allocat ./...   # what the race detector would make allocate

race: ## the same tests twenty times over, in new orders: for hunting a race
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -count=20 -timeout 60m ./...

check: ## gofmt, go vet, staticcheck
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs -r ls 2>/dev/null | xargs -r gofmt -l); \
	if [[ -n "$$unformatted" ]]; then echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

bench: ## the Go benchmarks, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

e2e: build ## against real clients and stores: openai (Python, Node), VictoriaMetrics, promtool
	scripts/e2e/run.sh $(ARGS)

e2e-thousand: build ## a thousand instances, a tenth of them flapping: CPU, memory, decisions, the log
	THOUSAND_INSTANCES=1000 THOUSAND_SECONDS=20 scripts/e2e/run.sh test_thousand.py -s $(ARGS)

e2e-vllm: build ## against two real vLLM on the CPU (installs 6.5 GB on the first run; not in CI)
	scripts/e2e/vllm.sh $(ARGS)

autobahn: build ## WebSockets by Autobahn's fuzzing client: an echo, the same through the router, the router's own (2 minutes, 10 with ARGS=--all; needs Python 2.7)
	scripts/autobahn/run.sh $(ARGS)

peers: build ## CPU, latency and memory beside HAProxy and a proxy that knows nothing, in one run
	$(GO) run ./bench/peers --penstock $(BIN) --json bin/peers.json $(ARGS)

policies: build ## each policy over HTTP before simulated engines, beside what penstock fleet foretells (9 minutes)
	$(GO) run ./bench/policies --penstock $(BIN) $(ARGS)

realism: build ## the simulator's and the prefix index's word beside a real vLLM on the CPU (7 minutes, up to 13 beside other programs; installs like e2e-vllm)
	GO=$(GO) scripts/realism.sh $(ARGS)

bpf: generate ## compile the eBPF programs and test them on this kernel (root, clang, llvm-strip)
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 5m ./bpf

generate: ## compile the committed eBPF objects anew (clang, llvm-strip); building needs neither
	$(GO) generate ./bpf
