# What people and CI call. `make` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/storefront
# In CI the checkout is new each time: what can be kept is kept outside of it.
ifeq ($(CI),true)
export CARGO_TARGET_DIR := $(cache)/target
# A build that happens once gains nothing by it.
export CARGO_INCREMENTAL := 0
endif
# Readers of the documents in docs/, in a Python of their own.
schemathesis := $(cache)/schemathesis-$(word 1,$(shell cksum tests/documents/requirements.txt))
export PATH := $(schemathesis)/bin:$(PATH)
deny_version := 0.20.2
actionlint_version := 1.7.12
actionlint := $(cache)/actionlint-$(actionlint_version)/actionlint
deny := $(or $(shell command -v cargo-deny),$(cache)/cargo-deny-$(deny_version)/bin/cargo-deny)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: dev
dev: ## Run the demo shop in one process; FILE= another manifest, ARGS= more flags
	cargo run --quiet --package storefront -- dev $(or $(FILE),examples/demo.yaml) $(ARGS)

# The kit is run as built: `cargo run` would build it again with its own set of features.
.PHONY: test
test: tools kubernetes helm definitions stripe-mock ## Run every test that needs no node: beside real Kafka, PostgreSQL, Kubernetes API
	cargo build --workspace --all-features --all-targets
	$(or $(CARGO_TARGET_DIR),target)/debug/storefront-testkit up -- \
	    cargo test --workspace --all-features --no-fail-fast

.PHONY: fuzz
fuzz: ## Look for bytes that break what tests/properties holds; SECONDS= for each target (60), ONLY= some of them
	fuzz/run $(or $(SECONDS),60) $(ONLY)

.PHONY: tools
tools: ## Fetch the foreign clients and readers that the tests use
tools: $(foreach folder,tests/clients tests/browser tests/documents examples/consumers/javascript,$(folder)/node_modules/.package-lock.json) $(schemathesis)/.complete

%/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund --loglevel error
	@touch $@

$(schemathesis)/.complete:
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement tests/documents/requirements.txt
	@touch $@

# Minutes, once. Its version stands in tools/go.mod alone.
kubernetes_version := $(shell sed -n 's/^require k8s.io\/kubernetes v//p' tests/cluster/tools/go.mod)
kubernetes_programs := $(cache)/k8s-$(kubernetes_version)
.PHONY: kubernetes
kubernetes: $(if $(KUBEBUILDER_ASSETS),,$(kubernetes_programs)/kube-apiserver) ## Build the Kubernetes API server for tests
.PHONY: node
node_parts := apiserver controller-manager proxy scheduler
node: $(addprefix $(kubernetes_programs)/,$(addprefix kube-,$(node_parts)) kubectl kubelet coredns pause.tar) ## Build what tests/cluster/up starts
$(kubernetes_programs)/kube%:
	mkdir -p $(@D)
	cd tests/cluster/tools && CGO_ENABLED=0 go build -trimpath -o $@.partial -ldflags "-s -w \
	    -X k8s.io/component-base/version.gitVersion=v$(kubernetes_version) \
	    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34" \
	    k8s.io/kubernetes/cmd/$(@F)
	mv $@.partial $@
$(kubernetes_programs)/coredns:
	cd tests/cluster/tools/dns && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o $@.partial .
	mv $@.partial $@
$(kubernetes_programs)/pause.tar: tests/cluster/tools/pause.c
	tests/cluster/pause-image $@

.PHONY: policies
policies: $(kubernetes_programs)/kube-router ## Build what keeps to NetworkPolicies in that node
$(kubernetes_programs)/kube-router:
	cd tests/cluster/tools/policies && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o $@.partial \
	    github.com/cloudnativelabs/kube-router/v2/cmd/kube-router
	mv $@.partial $@

.PHONY: images
images: ## Build an image of each program that is compiled, as archives in target/images
	cargo build --workspace --all-features
	images/build $(or $(CARGO_TARGET_DIR),target)/images localhost dev

.PHONY: e2e e2e-full e2e-check
e2e-check:
	@tests/e2e/run --check
e2e: e2e-check tests/browser/node_modules/.package-lock.json helm ## Test everything in a real cluster: $KUBECONFIG, else kind, else a node of plain binaries
	PATH="$(dir $(helm)):$$PATH" tests/e2e/run $(TESTS)
e2e-full: e2e-check tests/browser/node_modules/.package-lock.json helm ## The same for what takes long: scaling, outages, secrets, topics, policies
	PATH="$(dir $(helm)):$$PATH" tests/e2e/run --full $(TESTS)

# Its flags say what a build from its own sources would: the release, and the Kubernetes that it is for.
helm_version := 3.22.0
helm := $(cache)/helm-$(helm_version)/helm
.PHONY: helm
helm: $(helm) ## Build Helm for tests
$(helm):
	GOBIN=$(@D).partial CGO_ENABLED=0 go install -trimpath -ldflags "-s -w \
	    -X helm.sh/helm/v3/internal/version.version=v$(helm_version) \
	    $(foreach package,chartutil lint/rules,-X helm.sh/helm/v3/pkg/$(package).k8sVersionMajor=1 \
	    -X helm.sh/helm/v3/pkg/$(package).k8sVersionMinor=34)" helm.sh/helm/v3/cmd/helm@v$(helm_version)
	rm -rf $(@D)
	mv $(@D).partial $(@D)

# By the Helm that is here, where there is one. A tag that was there before would not be fetched again: each time it is another.
any_helm := $(or $(shell command -v helm),$(helm))
.PHONY: kind
kind: $(any_helm) ## Start a cluster by kind with this checkout's operator in it; `kind delete cluster --name storefront` ends it
	tests/cluster/kind
	cargo build --workspace --all-features
	folder=$$(mktemp --directory) && trap 'rm -rf "$$folder"' EXIT && tag=dev-$$(date +%s) && \
	    images/build "$$folder" localhost:5001 "$$tag" && \
	    for archive in "$$folder"/*; do docker push --quiet "localhost:5001/$$(basename "$$archive" "-$$tag.tar"):$$tag"; done && \
	    $(any_helm) upgrade --install storefront-operator charts/storefront-operator --kube-context kind-storefront \
	        --namespace storefront --create-namespace --wait --set image.registry=localhost:5001,image.repository=storefront-operator \
	        --set image.tag="$$tag",shopImages.services.registry=localhost:5001,shopImages.services.tag="$$tag" \
	        --set test.image.registry=localhost:5001,test.image.repository=storefront,test.image.tag="$$tag"

# Stripe's own: it holds requests against Stripe's description of them.
stripe_mock_version := 0.203.0
stripe_mock := $(cache)/stripe-mock-$(stripe_mock_version)/stripe-mock
.PHONY: stripe-mock
stripe-mock: $(stripe_mock) ## Build Stripe's checker of requests for tests
$(stripe_mock):
	GOBIN=$(@D).partial CGO_ENABLED=0 go install -trimpath \
	    github.com/stripe/stripe-mock@v$(stripe_mock_version)
	rm -rf $(@D)
	mv $(@D).partial $(@D)

# Of the Prometheus operator, whose objects the chart can make.
monitoring_version := 0.85.0
monitoring := $(cache)/monitoring-$(monitoring_version)
.PHONY: definitions
definitions: $(monitoring)/.complete ## Fetch definitions (CRDs) of others for tests
$(monitoring)/.complete:
	mkdir -p $(@D)
	folder=$$(go mod download -json github.com/prometheus-operator/prometheus-operator@v$(monitoring_version) \
	    | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'); \
	    cp $$folder/example/prometheus-operator-crd/*_{servicemonitors,podmonitors,prometheusrules}.yaml $(@D)
	@touch $@

.PHONY: bench bench-operator bench-pipeline
bench: bench-operator bench-pipeline ## Measure everything, and write docs/benchmarks.md
bench-operator: kubernetes ## Measure the operator; SHOPS= how many Storefronts
	cargo bench --package storefront-operator --all-features --bench operator -- \
	    --shops $(or $(SHOPS),200) --into $(CURDIR)/docs/benchmarks.md
# What is built for release, together: cargo builds what they share anew for other sets of packages.
shipped := $(foreach name,gateway payment order email analytics sandbox bench chaos,storefront-$(name))
# Beside what is built: nginx, wrk, Node.
bench-pipeline: ## Measure the services beside nginx and Node; ONLY= gateway, checkout, order, email, start, backlog
	cargo build --release $(addprefix --package ,$(shipped))
	$(or $(CARGO_TARGET_DIR),target)/release/storefront-bench $(if $(ONLY),--only $(ONLY)) $(ARGS) --into docs/benchmarks.md

# Some minutes; hours with more carts. RELEASE=1 builds what ships; for WITHOUT=, which takes a guard out, with failpoints.
chaos_profile := $(if $(RELEASE),release,debug)
chaos_programs := $(filter-out storefront-bench,$(shipped))
.PHONY: chaos
chaos: $(if $(filter node,$(SHOP)),chaos-node) ## Break everything under load: is anything lost or doubled? SEED= ORDERS= RATE= SCENARIO= LASTS= TIMES= WITHOUT= SHOP=node RELEASE=1 ARGS=
	cargo build $(if $(RELEASE),--release) $(if $(and $(RELEASE),$(if $(WITHOUT),,1)), \
	    $(addprefix --package ,$(shipped)),--workspace --all-features $(addprefix --bin ,$(chaos_programs)))
	$(or $(CARGO_TARGET_DIR),target)/$(chaos_profile)/storefront-chaos $(if $(SEED),--seed $(SEED)) $(if $(ORDERS),--orders $(ORDERS)) \
	    $(if $(RATE),--rate $(RATE)) $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(LASTS),--lasts $(LASTS)) \
	    $(if $(TIMES),--times $(TIMES)) $(if $(WITHOUT),--without $(WITHOUT)) $(if $(SHOP),--shop $(SHOP)) $(ARGS)
.PHONY: chaos-node
chaos-node: tests/bench/node/node_modules/.package-lock.json

.PHONY: check
check: $(deny) $(actionlint) ## Formatting, lints, licences
	$(actionlint)
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --all-features -- --deny warnings
	cargo clippy --manifest-path fuzz/Cargo.toml --locked --target-dir $(or $(CARGO_TARGET_DIR),target) -- --deny warnings
	$(deny) --all-features check --show-stats licenses bans sources
	$(deny) --manifest-path fuzz/Cargo.toml --locked --config deny.toml check --show-stats licenses bans sources

$(cache)/cargo-deny-$(deny_version)/bin/cargo-deny:
	cargo install --quiet --locked cargo-deny --version $(deny_version) --root $(@D)/..

$(actionlint):
	GOBIN=$(@D) CGO_ENABLED=0 go install github.com/rhysd/actionlint/cmd/actionlint@v$(actionlint_version)

# The plugin is a link: the program looks by which name it was started.
installed := $(or $(CARGO_INSTALL_ROOT),$(CARGO_HOME),$(HOME)/.cargo)/bin
.PHONY: install
install: ## Install the command, and `kubectl storefront`
	cargo install --locked --path operator/cli --root $(installed)/..
	ln -sf storefront $(installed)/kubectl-storefront

.PHONY: generate
generate: ## Write the generated files: schemas, crds, docs, compose
	cargo run --quiet --package storefront-contract --bin storefront-schemas -- services/contract/schemas
	cargo run --quiet --package storefront -- crds > crds/storefront.yaml.new
	mv crds/storefront.yaml.new crds/storefront.yaml
	cp crds/storefront.yaml charts/storefront-operator/files/storefront.yaml
	cargo run --quiet --package storefront -- docs docs
	cargo run --quiet --package storefront -- render examples/demo.yaml --compose examples/compose.yaml
	cargo metadata --manifest-path fuzz/Cargo.toml --format-version 1 > /dev/null # brings its lock file in step

.PHONY: clean
clean: ## Remove what was built and what dev mode kept
	cargo clean
	rm -rf .storefront tests/*/node_modules examples/consumers/*/node_modules
