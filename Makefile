# What people and CI call. `make` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/storefront
# In CI the checkout is new each time: what can be kept is kept outside of it.
ifeq ($(CI),true)
export CARGO_TARGET_DIR := $(cache)/target
endif
deny_version := 0.20.2
deny := $(or $(shell command -v cargo-deny),$(cache)/cargo-deny-$(deny_version)/bin/cargo-deny)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: dev
dev: ## Run the demo shop in one process; FILE= another manifest, ARGS= more flags
	cargo run --quiet --package storefront -- dev $(or $(FILE),examples/demo.yaml) $(ARGS)

# The kit is run as built: `cargo run` would build it again with its own set of features.
.PHONY: test
test: node-modules ## Run every test that needs no cluster, beside real Kafka and PostgreSQL
	cargo build --workspace --all-features --all-targets
	$(or $(CARGO_TARGET_DIR),target)/debug/storefront-testkit up -- \
	    cargo test --workspace --all-features --no-fail-fast

.PHONY: node-modules
node-modules: $(foreach folder,tests/clients tests/browser,$(folder)/node_modules/.package-lock.json)
%/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund --loglevel error
	@touch $@

.PHONY: check
check: $(deny) ## Formatting, lints, licences
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- --deny warnings
	$(deny) --all-features check --show-stats licenses bans sources

$(cache)/cargo-deny-$(deny_version)/bin/cargo-deny:
	cargo install --quiet --locked cargo-deny --version $(deny_version) --root $(@D)/..

.PHONY: generate
generate: ## Write the generated files: schemas, crds
	cargo run --quiet --package storefront-contract --bin storefront-schemas -- services/contract/schemas
	cargo run --quiet --package storefront -- crds > crds/storefront.yaml.new
	mv crds/storefront.yaml.new crds/storefront.yaml

.PHONY: clean
clean: ## Remove what was built and what dev mode kept
	cargo clean
	rm -rf .storefront tests/clients/node_modules tests/browser/node_modules
