# make test: everything that is tested, installing what it needs. make demo: the demo. See CONTRIBUTING.md.
CARGO_FLAGS := --release --locked

.PHONY: test test-rust test-contracts demo lint tools

test: test-contracts test-rust

# The ledger's scenario runs over anvil, which the contracts' tests install.
test-rust: tools test-contracts
	cargo nextest run $(CARGO_FLAGS) --workspace --no-fail-fast
	cargo test $(CARGO_FLAGS) --workspace --doc

test-contracts: tools
	sh contracts/test.sh

demo:
	cargo run $(CARGO_FLAGS) -- demo

lint: tools
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	python3 .ci/dependency-direction.py
	python3 .ci/licences.py

tools:
	@sh .ci/tools.sh
