# hishub. `make` alone builds bin/hishub.
GO ?= go
export CGO_ENABLED ?= 0
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BUILD = $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)'

.PHONY: build demo test check bench torture month rush sockets soak lint generate web shots clean

build:
	$(BUILD) -o bin/hishub ./cmd/hishub

# The main job on embedded defaults, browsable until Ctrl-C. ONCE=1 ends by
# itself with the assertions as exit status; FULL=1 uses real RabbitMQ and Redis.
demo: build
	@tools/install postgresql $(if $(FULL),rabbitmq redis)
	@bin/hishub demo --report bin $(if $(ONCE),--once) $(if $(FULL),--full)

# Everything, against private PostgreSQL, RabbitMQ, Redis and MariaDB.
test: build
	@tools/install postgresql rabbitmq redis mariadb chromium
	@tools/test

# Build, vet, lint and the tests that need no server.
check:
	$(GO) build ./...
	$(GO) vet ./...
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) tool -modfile=tools/go.mod golangci-lint run
	$(GO) test -short $$($(GO) list ./... | grep -v -E '/(servers|private|postgres|rabbit|redis|dbhis|prochis|db|api|platform|cmd/hishub)(/|$$)')

# HISTORY=10m is the long history where the disk allows, 0 leaves it out.
HISTORY ?= 1m
bench: build
	@tools/install postgresql redis
	@bin/hishub bench --history $(HISTORY)

# kill -9 and every fault at full size, each line for 20 minutes at most, and a table of
# them at the end; SEED=n repeats a run.
torture: build
	@tools/install postgresql rabbitmq redis
	HISHUB_TORTURE=full HISHUB_SEED=$(SEED) $(GO) test -count=1 -timeout 6h -v -run 'TestTorture' ./cmd/hishub/torture

# 30 days of five hospitals with everything wrong that finance knows; SEED=n repeats a run.
month: build
	@tools/install postgresql
	HISHUB_MONTH=full HISHUB_SEED=$(SEED) $(GO) test -count=1 -timeout 60m -v ./cmd/hishub/month

# Who asks for the last place: 20,000 requests for 50 places at three processes, of which one is killed, with the broker.
rush: build
	@tools/install postgresql rabbitmq redis
	HISHUB_RUSH=full $(GO) test -count=1 -timeout 30m -v ./cmd/hishub/rush

# Who hears what: 1,000 sockets at two nodes, 100,000 messages, connections that break.
sockets: build
	@tools/install postgresql redis
	HISHUB_SOCKETS=full $(GO) test -count=1 -timeout 30m -v ./cmd/hishub/sockets

soak: torture month rush sockets

# The console's bundle, which is committed; nothing else needs Node (20.19 or newer) and npm.
web:
	@tools/install postgresql
	$(GO) test -count=1 -run TestConsoleSpeaksTheAPI ./cmd/hishub -update-console
	cd platform/console/web && npm ci --no-audit --no-fund && npx openapi-typescript openapi.json -o src/api/schema.d.ts && npm run build
	$(GO) test -count=1 -run TestBundleIsOfItsSources ./platform/console -seal

# Pictures of every page for the docs.
shots:
	@tools/install postgresql chromium
	HISHUB_SHOTS=1 $(GO) test -count=1 -timeout 20m -run TestEveryPage ./cmd/hishub

clean:
	rm -rf bin
