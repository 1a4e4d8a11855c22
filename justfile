# Short names for the tasks; the tasks themselves are in xtask/ (`cargo xtask help`).

# List what there is.
default:
    @just --list

# All tests; installs what they need.
test:
    cargo xtask test

# What CI runs.
ci:
    .ci/run

# Format, then the quick checks.
check:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings
    cargo xtask check-deps
    cargo xtask tidy

# Write the generated files again.
generate:
    cargo xtask generate

# Licences, advisories and sources of the dependencies (needs cargo-deny).
deny:
    cargo deny check

# Two releases, a bad third one, and the way back, in a temporary folder.
demo:
    cargo run --release -- demo
