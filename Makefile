# The commands of modem-agent. Each brings along what it needs (.ci/setup); nothing is typed in between.
PY := .venv/bin/python

.PHONY: demo test check bench clean e2e

demo:      ## the main job on real traffic, in three network namespaces, in three minutes
	@.ci/setup demo
	@.venv/bin/modem-sim demo

test: check   ## all checks and all fast tests
	@.ci/setup test
	$(PY) -m pytest -m "not qemu and not brokers"

check:     ## ruff, mypy, import-linter
	@.ci/setup test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

e2e:       ## the tests that need a kernel of their own, in guests under QEMU
	@.ci/setup e2e
	$(PY) -m pytest -m qemu tests

clean:     ## all that the commands above made
	rm -rf .venv build dist out report .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
