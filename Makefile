# Commands for people. What a command needs is installed by scripts/setup, which does nothing when all is there.

TARGET := $(or $(CARGO_TARGET_DIR),target)
LAWS := ../shared/acceptance/laws.py
LAWS_ARGS := --all
PROFILE := release
CASES := 0
SEED := $(shell date +%s)
ROWS := 100000
TURNS := 3
SECONDS := 1800

.PHONY: help demo test soak soak-all bench bench-runner bench-lint build lint laws clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## a live migration under load on a scratch server
	@scripts/setup > /dev/null
	cargo build --release
	$(TARGET)/release/crossfade demo

test: ## every test, on every PostgreSQL that can be had here
	@installed=$$(scripts/setup browser) && matrix=$$(scripts/postgres-matrix) && \
	export CROSSFADE_PG_BINS=$$(printf '%s\n' "$$installed" "$$matrix" | sed '/^$$/d' | paste -s -d : -) && \
	set -x && cargo test --workspace

soak: ## random migrations under load and faults for SECONDS=1800; its counts go into docs/reliability.md
	@installed=$$(scripts/setup) && matrix=$$(scripts/postgres-matrix) && \
	export CROSSFADE_PG_BINS=$$(printf '%s\n' "$$installed" "$$matrix" | sed '/^$$/d' | paste -s -d : -) && \
	export CROSSFADE_SOAK_SECONDS=$(SECONDS) CROSSFADE_SOAK_REPORT=$(abspath $(TARGET))/soak.md && \
	set -x && cargo test -p crossfade --test proofs -- soak::random --include-ignored --nocapture && \
	scripts/put-soak $(TARGET)/soak.md docs/reliability.md

soak-all: ## the stress test with many rows, every case of the corpus on every server, then random databases and migrations until stopped (ROWS=300000, CASES=500 for so many, SEED=7 for the same ones again)
	@installed=$$(scripts/setup) && matrix=$$(scripts/postgres-matrix) && \
	export CROSSFADE_PG_BINS=$$(printf '%s\n' "$$installed" "$$matrix" | sed '/^$$/d' | paste -s -d : -) && \
	export CROSSFADE_SOAK=1 CROSSFADE_EVERY_CASE=1 CROSSFADE_GENERATED_CASES=$(CASES) CROSSFADE_GENERATED_SEED=$(SEED) CROSSFADE_STRESS_ROWS=$(ROWS) && \
	set -x && cargo test -p crossfade --test proofs -- stress:: survival:: --include-ignored --nocapture && \
	cargo test -p crossfade --test proofs -- crash:: laws:: schemas:: types:: && \
	cargo test -p crossfade --test proofs -- generated:: --nocapture

bench: ROWS := 3000000
bench: ## the backfill beside one big UPDATE and batches by hand, as a table of ratios (ROWS=100000 TURNS=1 for a quick look)
	@installed=$$(scripts/setup) && export CROSSFADE_PG_BIN=$$installed ROWS=$(ROWS) TURNS=$(TURNS) && \
	set -x && cargo bench -p crossfade-cli --bench backfill

bench-runner: ## 1,000 small migrations beside sqlx-cli and dbmate, and status with a long history
	@installed=$$(scripts/setup) && export CROSSFADE_PG_BIN=$$installed $$(scripts/bench-tools) && \
	set -x && cargo bench -p crossfade-cli --bench runner

bench-lint: ## lint of 1,000 files, beside squawk
	@scripts/setup > /dev/null
	cargo build --release
	scripts/bench-lint $(TARGET)/release/crossfade $(TURNS)

build: ## the release binary
	@scripts/setup > /dev/null
	cargo build --release

lint: ## formatting and clippy
	@scripts/setup > /dev/null
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

laws: ## the two laws, proven from outside (LAWS_ARGS="--tag main" for fewer, PROFILE=debug for the binary of the tests)
	@if [ ! -f $(LAWS) ]; then echo "skipped: there is no $(LAWS)"; exit 0; fi; \
	scripts/setup > /dev/null && set -x && cargo build $(if $(filter release,$(PROFILE)),--release) && \
	python3 $(LAWS) $(LAWS_ARGS) --bin $(TARGET)/$(PROFILE)/crossfade

clean: ## remove what was built and fetched
	cargo clean
	rm -rf target/postgres
