# Dunlin: everything that people and CI run, by name. `make help` lists it.

GO      ?= go
BIN     := build/dunlin
FUZZ_S  ?= 10s
LINT    := $(GO) tool -modfile=internal/tools/go.mod
PKGS    := ./...

# Tests of exact figures that the race detector falsifies: run again without it.
EXACT      := ^(TestMemoryAndDisk|TestMemoryIsBounded|TestIdleCost|TestOneOfThousandsOfModels|TestDifferencesAmongThousands|TestSilence|TestSitesTrade|TestSiteFetchesOnce|TestFastPeerGoesSilent|TestAllRestart)$$
EXACT_PKGS := ./store ./transfer ./gossip ./fleet

# Packages whose tests take longest, and mostly wait, begin first.
LONG       := ./testnet ./transfer ./cmd/dunlin ./store

# Packages of arithmetic: with the race detector their tests take an hour, so it
# sees the short ones of those that start goroutines.
SUMS       := ./codec/... ./delta/... ./internal/synth
SUMS_RACED := ./codec ./delta

.PHONY: help setup setup-clients setup-openvino build demo test race lint format fuzz bench bench-delta bench-tools bench-swarm bench-swarm-tools bench-serve bench-serve-tools check tidy clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: ## fetch the modules and put ONNX Runtime in place (from its PyPI package)
	$(GO) mod download
	$(GO) run ./internal/setup

setup-openvino: ## put an ONNX Runtime with OpenVINO in place for tests (linux/amd64, from PyPI)
	$(GO) run ./internal/setup -openvino

setup-clients: ## put Python clients of the Open Inference Protocol in place for tests (500 MB from PyPI)
	$(GO) run ./internal/setup -clients

build: ## build the one binary, build/dunlin
	$(GO) build -trimpath -o $(BIN) ./cmd/dunlin

demo: setup build ## a real mesh on this machine: publish, update twice, infer, compare
	$(GO) run ./testnet/demo -dunlin $(BIN)

test: setup ## every test with the race detector; prints how many ran
	-$(MAKE) setup-clients # without PyPI their tests are skipped, and say so
	$(GO) vet $(PKGS)
	CGO_ENABLED=0 $(GO) build -o build/dunlin-nocgo ./cmd/dunlin
	{ $(GO) test -race -json -timeout 20m $(LONG) $$($(GO) list $(PKGS) | grep -vE '/(codec|delta|internal/synth)(/|$$)'); \
	  $(GO) test -race -short -json -timeout 10m $(SUMS_RACED); \
	  $(GO) test -json -timeout 20m $(SUMS); \
	  $(GO) test -json -timeout 10m -run '$(EXACT)' $(EXACT_PKGS); } | $(GO) run ./internal/testcount

race: test ## the same: tests always run with the race detector

lint: ## the linters of .golangci.yml
	$(LINT) golangci-lint run

format: ## gofumpt, in place
	$(LINT) gofumpt -l -w .

fuzz: ## every fuzz target for FUZZ_S (10s) each
	@set -e; for pkg in $$($(GO) list $(PKGS)); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZ_S) $$pkg; \
	  done; done

bench: setup build ## benchmarks, next to the tools they are measured against
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m $(PKGS)

bench-delta: build bench-tools ## deltas next to those of zstd, xdelta3 and bsdiff; BENCH="-only PATTERN -json -skip-tools"
	$(GO) run ./delta/bench -dunlin $(BIN) $(BENCH)

bench-tools: ## the tools that bench-delta compares with, by apt-get if missing (root on Debian)
	-@for t in zstd xdelta3 bsdiff bspatch; do command -v $$t >/dev/null || missing=1; done; \
	  test -z "$$missing" || { apt-get update -qq && apt-get install -y -qq zstd xdelta3 bsdiff; }

bench-swarm: build bench-swarm-tools ## one file to many nodes over narrow uplinks, next to rsync, aria2, syncthing (root); BENCH="-only PATTERN -json -skip-tools"
	$(GO) build -o build/swarm ./testnet/swarm
	build/swarm -dunlin $(BIN) $(BENCH)

bench-swarm-tools: ## the tools that bench-swarm compares with, by apt-get if missing (root on Debian)
	-@for t in ip tc rsync aria2c syncthing zstd xdelta3; do command -v $$t >/dev/null || missing=1; done; \
	  test -z "$$missing" || { apt-get update -qq && apt-get install -y -qq iproute2 rsync aria2 syncthing zstd xdelta3; }

bench-serve: setup build ## requests to a node next to ONNX Runtime called directly and to FastAPI; BENCH="-json -skip-python -swaps N"
	@case " $(BENCH) " in *" -skip-python "*) ;; *) $(MAKE) bench-serve-tools ;; esac
	$(GO) build -o build/servebench ./testnet/servebench
	build/servebench -dunlin $(BIN) $(BENCH)

bench-serve-tools: ## Python's onnxruntime and FastAPI, pinned, in build/servebench-venv
	@test -x build/servebench-venv/bin/uvicorn || { python3 -m venv build/servebench-venv && \
	  build/servebench-venv/bin/pip install -q -r testnet/servebench/requirements.txt; }

tidy: ## go.mod and go.sum as the code needs them
	$(GO) mod tidy

check: ## everything CI runs
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) mod tidy -diff
	$(MAKE) lint
	$(MAKE) test

clean: ## remove what was built
	rm -rf build
