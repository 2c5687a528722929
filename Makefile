# Every command that a developer or CI runs. `make help` lists them.
PYTHON ?= python3
VENV := .venv# what the demo runs in: the lock of the replica
DEV := .venv-dev# what checks and tests run in: the lock of the development tools
STAMP := .installed

# The demo's parameters; empty means the default, which `python -m replica demo --help` tells.
SECONDS ?=
SOURCE ?=
SYMBOLS ?=
INTERVAL ?=
REPLAY_PATH ?=
REPLAY_SPEED ?=
SUMMARY ?=
KEEP ?=

# Those of `make sql`: SQL or the name of a saved query; a directory that holds raw-data/, or s3://BUCKET.
QUERY ?=
ARCHIVE ?=

# Of deploy and destroy: the stage, whose parameters are in infra/stages; more parameters (A=1 B=2); an image that is built.
STAGE ?= dev
PARAMETERS ?=
IMAGE ?=
DRY_RUN ?=

# What the Lambda zip is built for: AWS's interpreter and CPU.
PACKAGE_PYTHON ?= 3.13
PACKAGE_ARCHITECTURE ?= arm64

.DEFAULT_GOAL := help
.PHONY: help demo sql bill test e2e trials bench check format package deploy destroy lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/$(STAMP) ## the whole pipeline on this machine: SECONDS=20 SOURCE=synthetic|replay|yahoo SYMBOLS=A,B INTERVAL=1 REPLAY_PATH=dir SUMMARY=file.json KEEP=dir
	@$(VENV)/bin/python -m replica demo \
	  $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(SOURCE),--source '$(SOURCE)') $(if $(SYMBOLS),--symbols '$(SYMBOLS)') \
	  $(if $(INTERVAL),--interval '$(INTERVAL)') $(if $(REPLAY_PATH),--replay-path '$(REPLAY_PATH)') \
	  $(if $(REPLAY_SPEED),--replay-speed '$(REPLAY_SPEED)') $(if $(SUMMARY),--summary '$(SUMMARY)') \
	  $(if $(KEEP),--keep '$(KEEP)')

sql: export SQL_QUERY = $(value QUERY)
sql: $(VENV)/$(STAMP) ## ask the last demo's archive as Athena would be: QUERY="select …" or a saved query's name ARCHIVE=dir
	@$(VENV)/bin/python -m analytics sql $(if $(ARCHIVE),--archive '$(ARCHIVE)') $(SQL_ARGS) $${SQL_QUERY:+"$$SQL_QUERY"}

bill: $(VENV)/$(STAMP) ## what a month on AWS costs, line by line: BILL_ARGS="--symbols 100 --interval 1 --hours market"
	@$(VENV)/bin/python -m costs $(BILL_ARGS)

test: $(DEV)/$(STAMP) $(VENV)/$(STAMP) ## every test that needs no container engine
	@STOCKSTREAM_REPLICA_PYTHON="$(CURDIR)/$(VENV)/bin/python" $(DEV)/bin/python -m pytest $(PYTEST_ARGS)

e2e: $(DEV)/$(STAMP) ## the compose stack in real containers, put to the test; skips where no container engine answers
	@$(DEV)/bin/python -m pytest tests/e2e -m e2e $(PYTEST_ARGS)

trials: $(DEV)/$(STAMP) ## a million quotes through a Kinesis that fails, beside put_records with naive resending: a table (8 minutes)
	@$(DEV)/bin/python -m tests.trials $(TRIALS_ARGS)

bench: $(DEV)/$(STAMP) build/peer/$(STAMP) ## CPU of a quote beside what others would take, as JSON lines (3 minutes)
	@$(DEV)/bin/python -m benchmarks.delivery --peer-python build/peer/bin/python
	@$(DEV)/bin/python -m benchmarks.processing

check: $(DEV)/$(STAMP) build/checkov/$(STAMP) ## format, lint, types, import contracts, templates
	@$(DEV)/bin/ruff format --check .
	@$(DEV)/bin/ruff check .
	@$(DEV)/bin/mypy
	@$(DEV)/bin/lint-imports
	@$(DEV)/bin/cfn-lint infra/cloudformation/*.yaml
	@LOG_LEVEL=ERROR build/checkov/bin/checkov --config-file .checkov.yaml

format: $(DEV)/$(STAMP) ## write the format and the lint fixes that `make check` asks for
	@$(DEV)/bin/ruff format .
	@$(DEV)/bin/ruff check --fix .

package: $(VENV)/$(STAMP) ## the Lambda zip: PACKAGE_PYTHON=3.13 PACKAGE_ARCHITECTURE=arm64|x86_64
	@$(VENV)/bin/python -m deployment package --python $(PACKAGE_PYTHON) --architecture $(PACKAGE_ARCHITECTURE)

deploy: $(VENV)/$(STAMP) ## everything to AWS: STAGE=dev PARAMETERS="Source=yahoo Symbols=AAPL,MSFT" IMAGE=uri; DRY_RUN=1 shows what would change
	@$(VENV)/bin/python -m deployment deploy --whole --stage '$(STAGE)' --architecture $(PACKAGE_ARCHITECTURE) \
	  $(if $(wildcard infra/stages/$(STAGE).env),--parameters-file infra/stages/$(STAGE).env) \
	  $(foreach parameter,$(PARAMETERS),--parameter '$(parameter)') \
	  $(if $(IMAGE),--image '$(IMAGE)') $(if $(DRY_RUN),--dry-run)

destroy: $(VENV)/$(STAMP) ## what `make deploy` made, but for the tables and the archive: STAGE=dev
	@$(VENV)/bin/python -m deployment destroy --stage '$(STAGE)'

lock: $(DEV)/$(STAMP) ## write requirements/*.txt anew from pyproject.toml, with hashes and without addresses
	@for group in producer processor replica dev checkov; do \
	  $(DEV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links --group pyproject.toml:$$group -o requirements/$$group.txt || exit 1; \
	done

clean: ## remove the environments and what was built
	@rm -rf $(VENV) $(DEV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/$(STAMP): requirements/replica.txt
	$(call install,$(VENV),$<)

$(DEV)/$(STAMP): requirements/dev.txt
	$(call install,$(DEV),$<)

# async-kinesis pins another botocore than ours: an environment of its own, for the benchmark alone.
build/peer/$(STAMP):
	@$(PYTHON) -m venv --clear build/peer
	@build/peer/bin/python -m pip install --quiet --disable-pip-version-check async-kinesis==3.0.1 msgspec==0.22.0
	@touch $@

# checkov pins a boto3 of years ago: an environment of its own, for `make check` alone.
build/checkov/$(STAMP): requirements/checkov.txt
	$(call install,build/checkov,$<)

# A half-made environment is made again: the stamp comes last.
define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "stockstream needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1); name another with PYTHON=python3.13"; exit 1; }
@echo "installing $(2) into $(1) (once, about a minute)"
@$(PYTHON) -m venv --clear $(1) || { echo "no virtual environment could be made; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(2)
@touch $@
endef
