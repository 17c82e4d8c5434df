# The commands of modem-agent. Each brings along what it needs (.ci/setup); nothing is typed in between.
PY := .venv/bin/python
# A bench ends with 3 where a number that depends on the machine was missed: in CI, whose machine is any, that is shown and no failure.
MISSED := $(if $(CI),|| [ $$? = 3 ])
# A second try (AGAIN=1) is of what failed in the first.
FAILED := $(if $(filter-out 0,$(AGAIN)),--last-failed)

.PHONY: bench campaign mutate fuzz report report-check test-brokers test-shaping bench-shaping demo test check clean e2e deb repo sbom campaign-power bench-guest test-matrix bench-browser bench-upgrades bench-footprint office-demo bench-office

demo:      ## the main job on real traffic, in three network namespaces, in three minutes
	@.ci/setup demo
	@.venv/bin/modem-sim demo

test: check   ## all checks and all fast tests
	@.ci/setup test
	$(PY) -m pytest -n auto --dist loadfile $(FAILED) -m "not qemu and not brokers and not browser and not office"

check:     ## ruff, mypy, import-linter
	@.ci/setup test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

e2e:       ## the tests that need a kernel of their own, in guests under QEMU
	@.ci/setup e2e
	$(PY) -m pytest -n 2 --dist loadfile $(FAILED) -m qemu tests

deb:       ## the Debian package for bookworm, trixie and Raspberry Pi OS, into dist/
	@.ci/setup deb
	$(PY) firmware-config/debian/build.py dist
	lintian --fail-on error --allow-root dist/modem-agent_*_all.deb

repo: deb  ## a signed apt repository, into dist/apt (KEY=address of the gpg key, REPO=folder)
	@.ci/setup repo
	firmware-config/debian/repository.sh $(or $(REPO),dist/apt) "$(KEY)" "$$($(PY) firmware-config/debian/build.py dist)"

sbom:      ## the software bill of materials (CycloneDX), into dist/
	@.ci/setup test
	$(PY) firmware-config/sbom.py dist/modem-agent.cdx.json

test-matrix: ## the fast tests under every Python and library pairing that a release ships (ONLY=bookworm for one)
	@.ci/setup test
	$(PY) -m tests.matrix $(ONLY)

bench:     ## every number with its target and its peer, in one table: report/bench.md (SHORT=1 for CI's form)
	@.ci/setup bench
	@.ci/setup e2e
	$(PY) -m tests.bench.all $(if $(SHORT),--short)

campaign:  ## household life with faults of every kind, against an oracle (SEED=n repeats one; SHORT=1 for CI's form)
	@.ci/setup test
	$(PY) -m tests.campaign $(if $(SEED),--seed $(SEED)) $(if $(SHORT),--short)

mutate:    ## tests of the tests: mutants of the modules that matter, by mutmut (SHORT=1 for the pure ones, ONLY=period for one)
	@.ci/setup mutate
	$(PY) -m tests.mutation $(if $(SHORT),--short) $(if $(ONLY),--only $(ONLY))

fuzz:      ## AT input, envelopes, configuration, UCI and control socket, each for a fixed time (SECONDS_EACH=60)
	@.ci/setup test
	$(PY) -m tests.fuzz --seconds $(or $(SECONDS_EACH),60)

report:    ## report/index.html: can this go into 12 000 homes? verdict, risks, cost, then all that was measured
	@.ci/setup test
	$(PY) -m tests.bench.report

report-check: report ## the page looked at in a real browser
	@.ci/setup report
	$(PY) -m pytest tests/bench/test_report.py tests/household/test_browser.py

test-shaping:   ## the shaper's tests on a Debian kernel under QEMU: cake, fq_codel, matchall, flowtables
	@.ci/setup e2e
	$(PY) -m pytest -m qemu tests/qemu/test_traffic.py

bench-shaping:  ## the shaped line measured: real TCP on this kernel and on Debian's under QEMU, beside tc and sqm's settings
	@.ci/setup bench
	@.ci/setup e2e
	$(PY) -m tests.bench.shaping_line

bench-browser: ## Chromium at 512 kbit/s: three pages and a call, alone and beside an update (SHORT=1)
	@.ci/setup browser
	@.ci/setup e2e
	$(if $(SHORT),MODEM_AGENT_BENCH_SHORT=1) $(PY) -m tests.bench.household_browser $(MISSED)

bench-footprint: ## memory, idle processor and start: on 64 bit, in a 32-bit root, and beside ModemManager in a guest
	@.ci/setup e2e
	$(PY) -m tests.bench.footprint; found=$$?; $(PY) -m tests.bench.footprint_modemmanager && exit $$found

bench-upgrades: ## twenty upgrades of the package on a slowed line under load, in one boot of the guest
	@.ci/setup e2e
	$(PY) -m tests.bench.update_upgrades

bench-guest: ## the device guest: its image built from nothing, and power-on to first report
	@.ci/setup e2e
	$(PY) -m tests.bench.simulator_guest

campaign-power: ## 100 power cuts and 50 unplugs of a guest under traffic (CUTS=10 UNPLUGS=10 for fewer)
	@.ci/setup e2e
	$(PY) -m tests.bench.simulator_power --cuts $(or $(CUTS),100) --unplugs $(or $(UNPLUGS),50) $(MISSED)

test-brokers:  ## the operator's side against RabbitMQ and NATS as well
	@.ci/setup brokers
	$(PY) -m pytest tests/brokers

office-demo: ## the operator's database, broker, exporter, Prometheus and page on this machine, with simulated devices (STAY=1)
	@.ci/setup office
	$(PY) -m pytest -m office tests/support
	$(PY) -m tests.support.office_demo $(if $(STAY),--stay)

bench-office: ## the office measured: kills, a day of 12 000 devices, views at 30 days (34.6 million reports, 12 GB)
	@.ci/setup office
	$(PY) -m tests.bench.office_kills && $(PY) -m tests.bench.office_cluster && $(PY) -m tests.bench.office_replay && $(PY) -m tests.bench.office_views

clean:     ## all that the commands above made
	rm -rf .venv build dist out report .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
