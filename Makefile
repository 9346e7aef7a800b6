# syncd: `make` lists the targets. Nothing here needs root; `make test` and `make race` use
# it, where they have it, to install a PostgreSQL server and a C compiler.

GO      ?= go
BIN     := $(CURDIR)/bin

LINT_VERSION := v2.15.0
LINT         := $(BIN)/golangci-lint-$(LINT_VERSION)

# syncd is one static binary; only the race detector needs cgo.
export CGO_ENABLED := 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: postgres ## fetch the modules, and the PostgreSQL server, that the tests need
	@echo "==> modules: go mod download (from the module cache when they are there)"
	@$(GO) mod download

# Tests of the state in PostgreSQL start a throw-away server from these binaries. Without
# them those tests fail and say what to install.
.PHONY: postgres
postgres:
	@if [ -n "$$SYNCD_TEST_DATABASE_URL" ]; then \
		echo "==> PostgreSQL: the server that SYNCD_TEST_DATABASE_URL names"; \
	elif command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb >/dev/null 2>&1; then \
		echo "==> PostgreSQL: the server binaries that are installed"; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "==> PostgreSQL: installing the server with apt-get, without a cluster of its own"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common && \
		sed -i 's/^#\? *create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; \
	else \
		echo "==> PostgreSQL: no server binaries; tests that need them will fail (Debian, Ubuntu: sudo apt-get install postgresql)" >&2; \
	fi

.PHONY: test
test: setup ## all tests, without the race detector
	@echo "==> tests: every package, CGO_ENABLED=0, no race detector"
	$(GO) test -timeout 10m ./...

.PHONY: short
short: ## the quick tests, under a minute
	$(GO) test -short -timeout 2m ./...

# modernc's SQLite is about 50 times slower under the race detector, so the suites that
# use it divide their numbers by SYNCD_TEST_SCALE.
.PHONY: race
race: setup compiler ## all tests with the race detector; SQLite suites at 1/20
	@echo "==> tests: every package, CGO_ENABLED=1 -race, SQLite suites at 1/20 (SYNCD_TEST_SCALE=20)"
	CGO_ENABLED=1 SYNCD_TEST_SCALE=20 $(GO) test -race -timeout 20m ./...

.PHONY: compiler
compiler:
	@cc="$$($(GO) env CC)"; \
	if command -v $${cc%% *} >/dev/null; then \
		echo "==> C compiler for the race detector: $$(command -v $${cc%% *})"; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "==> no C compiler: installing gcc with apt-get"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev; \
	else \
		echo "make race: the race detector needs a C compiler and there is none." >&2; \
		echo "Install one (Debian, Ubuntu: sudo apt-get install gcc libc6-dev), or name one in CC." >&2; \
		exit 1; \
	fi

# Tests behind a build tag take long, or change the code under test. They have names that
# begin with TestBench, TestSabotage and TestSoak, so that each target runs its own only.
.PHONY: bench
bench: setup ## memory, CPU and call rate against the promised numbers; FULL=1 for more
	$(GO) test -tags bench -run '^TestBench' -bench . -benchtime 1s -count 1 -timeout 60m -v ./... | grep -v 'no test files'

.PHONY: sabotage
sabotage: setup ## plant known defects and see each one caught
	$(GO) test -tags sabotage -run '^TestSabotage' -count 1 -timeout 60m -v ./... | grep -v 'no test files'

.PHONY: soak
soak: setup ## the large numbers: long, its last result is dated in docs/promises.md
	$(GO) test -tags soak -run '^TestSoak' -count 1 -timeout 0 -v ./... | grep -v 'no test files'

.PHONY: lint
lint: $(LINT) ## golangci-lint, with the import directions
	$(LINT) run

$(LINT):
	@echo "==> golangci-lint $(LINT_VERSION) into ./bin (some minutes, once)"
	GOBIN=$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv $(BIN)/golangci-lint $@

.PHONY: generate
generate: ## rewrite the generated parts of the documentation
	$(GO) generate ./...

.PHONY: build
build: ## a static binary in ./bin; its version is the tag or commit
	$(GO) build -buildvcs=auto -trimpath -ldflags '-s -w' -o $(BIN)/syncd ./cmd/syncd

.PHONY: cover
cover: setup ## coverage by package; the profile is left in cover.out
	$(GO) test -short -coverprofile cover.out -coverpkg ./... ./...
	$(GO) tool cover -func cover.out | tail -n 1

# In a pipe the tests' own exit code counts.
SHELL       := bash
.SHELLFLAGS := -o pipefail -c
