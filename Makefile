# make test: everything that is tested, installing what it needs. make demo: the demo.
# make bench-peers: Consilium beside its peers, see bench/README.md. make assurance: what takes longer than the gate may.
# See CONTRIBUTING.md.
CARGO_FLAGS := --release --locked

.PHONY: assurance test test-rust test-contracts build-tests demo bench-peers lint tools contract-tools

# The contracts' compiler keeps one core busy for minutes, so the Rust tests are built beside it.
test: tools contract-tools
	$(MAKE) -j2 test-contracts build-tests
	$(MAKE) test-rust

build-tests: tools
	cargo nextest run $(CARGO_FLAGS) --workspace --no-run

test-rust: tools contract-tools
	cargo nextest run $(CARGO_FLAGS) --workspace --no-fail-fast
	cargo test $(CARGO_FLAGS) --workspace --doc

test-contracts: contract-tools
	sh contracts/test.sh

demo:
	cargo run $(CARGO_FLAGS) -- demo

bench-peers:
	sh bench/run.sh

# Hours: thousands of seeds, larger models, ten minutes for each fuzz target, core's tests under the address sanitizer, 150
# mutants of the contracts, and what halmos proves about them.
assurance: tools
	CONSILIUM_SEEDS=20000 cargo nextest run --profile assurance $(CARGO_FLAGS) -p consilium-simulator --test seeds
	cargo run $(CARGO_FLAGS) -p consilium-model -- assurance
	cargo bench --locked -p consilium-core --bench liars
	sh fuzz/sanitize.sh
	sh fuzz/run.sh 600
	sh contracts/install.sh
	node contracts/tools/mutate.mjs --count 150 --seed $$(git rev-parse HEAD)
	sh contracts/tools/symbolic.sh

lint: tools
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	python3 .ci/dependency-direction.py
	python3 .ci/licences.py
	python3 docs/proof-constants.py --check

tools:
	@sh .ci/tools.sh

# The contracts' compiler and tests, and anvil for the ledger's scenario.
contract-tools: tools
	@sh contracts/install.sh
