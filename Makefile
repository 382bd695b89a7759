# Every target does its own set-up; `make test` is all that a newcomer needs.
GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
FUZZTIME ?= 30s
LINT      = $(GO) tool -modfile=.ci/tools/go.mod golangci-lint

.PHONY: all build test race lint fuzz bench soak profile e2e setup
all: lint test

build:            ## one static binary, bin/stile
	CGO_ENABLED=0 $(GO) build -trimpath -pgo cmd/stile/release.pgo -ldflags "-s -w -X main.version=$(VERSION)" -o bin/stile ./cmd/stile

setup:            ## the servers that tests talk to, where they are missing
	@bash .ci/setup

test race: setup  ## everything, with the race detector
	$(GO) test -race -count=1 -timeout 15m ./...

e2e: setup        ## only through real servers
	$(GO) test -race -count=1 -timeout 15m -v ./tests/...

lint:
	$(GO) vet ./...
	$(LINT) run ./...

fuzz:             ## every fuzz target, FUZZTIME each
	@GO=$(GO) FUZZTIME=$(FUZZTIME) bash .ci/fuzz

profile: setup    ## the processor profile that releases are optimised by
	$(GO) build -o bin/bench ./tests/bench
	$(shell command -v taskset >/dev/null && echo taskset -c 0) bin/bench -profile cmd/stile/release.pgo

bench: setup      ## the tables of docs/performance.md
	$(GO) build -o bin/bench ./tests/bench
	@# the client on the first processor, the servers on the second
	$(shell command -v taskset >/dev/null && echo taskset -c 0) bin/bench
	$(shell command -v taskset >/dev/null && echo taskset -c 0) bin/bench -scale
	STILE_MEASURE=1 $(GO) test -count=1 -timeout 5m -v -run TestOutages ./tests/outage

soak: setup       ## ten minutes of load on a cluster that loses a master each minute
	STILE_SOAK=10m $(GO) test -count=1 -timeout 15m -v -run TestSoak ./tests/outage
