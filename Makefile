# `make help` lists the targets. Each installs what it needs and may be run again at any time.
PYTHON ?= python3
VENV ?= .venv
SIM ?= sim
BIN := $(VENV)/bin
# What a file of tests shares is made once, where one process has all of its tests.
PYTEST ?= -n 2 --dist loadfile
# A path, no import hook, which would make every interpreter that a job starts twice as slow to start.
EDITABLE := --config-settings editable_mode=compat

.DEFAULT_GOAL := help
.PHONY: help install run check test long-test crash-test error-test mutants lint types format imports lock closure closure-short proof fresh-test quiet service-test pool-test pool-short pool-bench browser-test bench diagram configuration wheel-test clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## make the virtual environment and install auto-iter into it

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) sh tools/make-venv.sh $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(EDITABLE) -e '.[dev]'
	@touch $@

run: install ## simulate a detector and align it until it converges: constants and plots at the end
	$(BIN)/auto-iter simulate $(SIM) --year 2023 --run 011705 --files 400-404
	$(BIN)/auto-iter run -y 2023 -r 011705 -f 400-404 -i 10 --config $(SIM)/config.yaml

# Two test processes share two cores: threads of linear algebra would only wait for each other.
check test long-test closure closure-short quiet proof: export OPENBLAS_NUM_THREADS = 1
# They start some hundred interpreters: none of them has to compile the program anew.
check test long-test: export PYTHONDONTWRITEBYTECODE =

check: lint ## what CI begins with, before the slow parts: lint and the unit tests (two minutes)
	$(BIN)/python -m pytest $(PYTEST) -m "not long" --durations=15 tests/unit

test: install ## unit and integration tests, on the embedded batch system (about five minutes of CPU time)
	$(BIN)/python -m pytest $(PYTEST) -m "not long" --durations=15

long-test: install ## their long forms: every strategy, twenty kills, each moment of an export (minutes)
	$(BIN)/python -m pytest $(PYTEST) -m long --dist load --durations=15 tests/integration tests/unit

crash-test: install ## power cuts before and after every side effect of a small alignment (minutes)
	$(BIN)/python -m tests.crash --cuts

error-test: install ## disk errors at every side effect of a small alignment (a quarter of an hour)
	$(BIN)/python -m tests.crash --errors

mutants: install ## takes each defence against crashes away: which test sees it? (minutes)
	$(BIN)/python -m tests.mutants

lint: install ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

format: install ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel-test: install ## build the wheel, install it elsewhere and run the main job from it
	sh tools/wheel-test.sh $(BIN)/python

fresh-test: ## `make run` and `make test` on a new Debian in a chroot (root); takes it away again
	bash tools/fresh-machine.sh

quiet: install ## 50 sound alignments: the guards raise no false alarm, no verdict but converged (minutes)
	$(BIN)/python -m pytest $(PYTEST) --dist load tests/proof/test_quiet.py

proof: install ## samples of one detector or two, a campaign of five ranges, surveys against the truth (minutes)
	$(BIN)/python -m pytest $(PYTEST) --dist load tests/proof/test_same_detector.py tests/proof/test_campaign.py tests/proof/test_survey.py

service-test: install ## a service under a real systemd user manager, in namespaces of its own (root)
	tests/service/user_manager.sh $(BIN)/python -m pytest -q -n 0 tests/service

browser-test: install ## the report in headless Chromium (apt install chromium; skipped without it)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(EDITABLE) -e '.[dev,browser]'
	$(BIN)/python -m pytest -q -n 0 tests/browser

pool-test: ## the same alignment on a real HTCondor pool (root, Debian); takes it down again
	bash tests/pool/run.sh

# What takes minutes each and has a shorter sister is left out.
POOL_SHORT := not (transferred or phases_that_converge or daemon_to_dag or memory_that_a_file \
	or brings_its_program or kills_and_holds or twenty_kills or go_in_in_portions \
	or fits_two_runs or ran_too_long or asks_once_for_all)

pool-short: ## the same without its longest tests: what CI has time for
	bash tests/pool/run.sh -k "$(POOL_SHORT)"

pool-bench: ## what polling costs and how soon the next iteration starts, on that pool
	bash tests/pool/run.sh --command sh -c 'python benchmarks/schedd.py && python benchmarks/reaction.py'

bench: install ## conversion and solver beside uproot, status beside Python, a DAG beside a loop, as ratios
	$(BIN)/python benchmarks/convert.py
	$(BIN)/python benchmarks/solver.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/dag.py

closure: install ## every strategy on simulated detectors against the truth (ten minutes); writes docs/closure.md
	$(BIN)/python -m tests.closure --page docs/closure.md

closure-short: install ## the same with few tracks and detectors (minutes); writes nothing
	$(BIN)/python -m tests.closure --seeds 1 --walks 2 --events 400 --walk-events 400

diagram: install ## draw the state machine in the README anew
	$(BIN)/python -m states.diagram

configuration: install ## write docs/configuration.md anew from the configuration's model
	$(BIN)/python -m auto_iter.config.reference > docs/configuration.md

lock: ## write constraints.txt anew from what the ranges in setup.cfg give today
	sh tools/lock.sh $(PYTHON)

clean: ## remove what the targets made (not your alignments)
	rm -rf $(VENV) $(SIM) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
