# Every command that a developer or CI runs. `make help` lists them.
PYTHON ?= python3
# Environments are installed with uv if this command exists, and otherwise with pip.
UV ?= uv
# The one environment. It has the command `stockstream`, and what the tests and checks need is added to it.
VENV := .venv
# An environment is complete when it holds this file.
STAMP := .installed
RUN := $(VENV)/$(STAMP)
DEV := $(VENV)/.installed-dev
HISTORY := $(VENV)/.installed-history

# The variables of `make demo`. An empty one stands for the default, which `.venv/bin/stockstream demo --help` shows.
SECONDS ?=
SOURCE ?=
SYMBOLS ?=
INTERVAL ?=
LATENCY ?=
REPLAY_PATH ?=
REPLAY_SPEED ?=
REPLAY_TIMEZONE ?=
REPLAY_STAMP ?=
RULES ?=
SUMMARY ?=
KEEP ?=
PORT ?=
DEMO_VARIABLES := \
  SECONDS SOURCE SYMBOLS INTERVAL LATENCY REPLAY_PATH REPLAY_SPEED REPLAY_TIMEZONE REPLAY_STAMP RULES SUMMARY KEEP PORT AUTH
# Another variable would have no effect. Those of the producer reach it through the environment.
ifeq ($(MAKECMDGOALS),demo)
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
UNKNOWN := $(strip $(filter-out $(DEMO_VARIABLES) PYTHON VENV UV PRODUCER_%,$(GIVEN)))
$(if $(UNKNOWN),$(error make demo has no variable $(UNKNOWN). Its variables are $(DEMO_VARIABLES)))
endif

# The variables of `make sql`.
QUERY ?=
ARCHIVE ?=

# The variables of `make deploy` and `make destroy`.
STAGE ?= dev
PARAMETERS ?=
RULES ?=
WATCHLIST ?=
RESET ?=
YES ?=
ADOPT ?=
IMAGE ?=
OF ?=
ZIP ?=
SERVICE_ROLE ?=
DRY_RUN ?=
WATCH_MINUTES ?=
STAGE_FILE = $(if $(wildcard infra/stages/$(STAGE).env),--parameters-file infra/stages/$(STAGE).env)
CONFIRMED = $(if $(filter 1,$(YES)),--yes,$(if $(YES),--confirm '$(YES)'))

# What `make package` and `make deploy` build for: the interpreter and the CPU of the Lambda function. By default, the
# CPU is arm64, or that of the deployment.
PACKAGE_PYTHON ?= 3.13
PACKAGE_ARCHITECTURE ?=

# What `make deploy` and `make smoke` deploy.
DEPLOY_OPTIONS = $(if $(PACKAGE_ARCHITECTURE),--architecture $(PACKAGE_ARCHITECTURE)) \
  $(foreach name,$(ADOPT),--adopt '$(name)') $(foreach parameter,$(PARAMETERS),--parameter '$(parameter)') \
  $(foreach name,$(RESET),--reset '$(name)') $(if $(RULES),--rules '$(RULES)') $(if $(IMAGE),--image '$(IMAGE)') \
  $(if $(WATCHLIST),--watchlist '$(WATCHLIST)') $(if $(WATCH_MINUTES),--watch-minutes $(WATCH_MINUTES)) \
  $(foreach file,$(ZIP),--zip '$(file)') $(if $(SERVICE_ROLE),--service-role '$(SERVICE_ROLE)')

# How many processes run the tests: a number, or `auto` for one on each core.
WORKERS ?= auto
# A test of `make e2e` fails after this many seconds, because the first one builds the images. pyproject.toml has the limit
# of the other tests.
E2E_TIMEOUT := 900

UPGRADE ?=

# No target builds a file of its own name.
.PHONY: help demo sql history bill yahoo unit integration timed test e2e trials bench check web-check screenshots format lock clean
.PHONY: package images image sbom deploy destroy smoke
.PHONY: web web-dev web-test
.DEFAULT_GOAL := help

help: ## Show this list.
	@awk ' \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { name = $$0; sub(/:.*/, "", name); sub(/.*## /, ""); printf "  make %-11s %s\n", name, $$0 } \
	  /^##   / { printf "                   %s\n", substr($$0, 6) }' $(firstword $(MAKEFILE_LIST))

##@ Try it

demo: $(RUN) ## Run the whole pipeline on this machine, without AWS and Docker, until Ctrl-C.
##   SECONDS=20         stop by itself
##   SOURCE=synthetic   where quotes come from: synthetic, replay, yahoo or yahoo_stream
##   SYMBOLS=A,B        the symbols to poll
##   INTERVAL=1         seconds from one poll to the next
##   LATENCY=fast       how the function reads the stream: fast (pushed) or cheap (polled once a second)
##   REPLAY_PATH=dir    the recordings to replay, with REPLAY_SPEED=60 for an hour in a minute
##   REPLAY_TIMEZONE=UTC  the clock of their bars, with REPLAY_STAMP=start or end (docs/replay.md)
##   RULES=file.toml    alert by the rules of a file (docs/alerts.md)
##   SUMMARY=file.json  write the closing figures to a file
##   AUTH=true          enforce the deployed IAM policies, the function's role included (needs openssl)
##   KEEP=dir           keep the archive in another directory than build/demo-archive
##   PORT=8000          the port of the dashboard; without it, 8000 or a free one
	@$(VENV)/bin/stockstream demo \
	  $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(SOURCE),--source '$(SOURCE)') $(if $(SYMBOLS),--symbols '$(SYMBOLS)') \
	  $(if $(INTERVAL),--interval '$(INTERVAL)') $(if $(LATENCY),--latency '$(LATENCY)') \
	  $(if $(REPLAY_PATH),--replay-path '$(REPLAY_PATH)') \
	  $(if $(REPLAY_SPEED),--replay-speed '$(REPLAY_SPEED)') $(if $(REPLAY_TIMEZONE),--replay-timezone '$(REPLAY_TIMEZONE)') \
	  $(if $(REPLAY_STAMP),--replay-stamp '$(REPLAY_STAMP)') $(if $(RULES),--rules '$(RULES)') \
	  $(if $(SUMMARY),--summary '$(SUMMARY)') $(if $(KEEP),--keep '$(KEEP)') \
	  $(if $(PORT),--port '$(PORT)')

# The query reaches the shell in a variable, because it holds quotes and dollar signs.
sql: export SQL_QUERY = $(value QUERY)
sql: $(RUN) ## Query the archive of the last demo by SQL, as Athena would. Without QUERY it prompts.
##   QUERY="select 1"   SQL, or names of saved queries, with semicolons between them
##   ARCHIVE=dir        another archive: a directory that holds raw-data/, or s3://BUCKET
##   SQL_ARGS=--csv     more options: --csv or --json, and --allow-files for COPY … TO 'file.parquet'
	@$(VENV)/bin/stockstream sql $(if $(ARCHIVE),--archive '$(ARCHIVE)') $(SQL_ARGS) $${SQL_QUERY:+"$$SQL_QUERY"}

history: $(HISTORY) ## Install pyarrow and PyIceberg, which the commands compact and export need (200 MB).

bill: $(RUN) ## Price a month on AWS, line by line.
##   BILL_ARGS="--symbols 100 --interval 1 --hours market"
	@$(VENV)/bin/stockstream bill $(BILL_ARGS)

yahoo: $(DEV) ## Run a local Yahoo with generated prices until Ctrl-C, and show how to use it.
##   YAHOO_ARGS=--help  show its options
	@$(VENV)/bin/python -m tests.fakes.yahoo $(YAHOO_ARGS)

##@ Test it

# The three kinds of tests that need no container engine, as commands. `make test` runs them one after the other.
PYTEST := $(VENV)/bin/python -m pytest
UNIT = $(PYTEST) -n $(WORKERS) -m 'not timed' tests/unit tests/model tests/contract tests/infra $(PYTEST_ARGS)
INTEGRATION = $(PYTEST) -n $(WORKERS) -m 'not timed and not trials' \
  tests/integration tests/browser tests/trials $(PYTEST_ARGS)
# Only the files that have such tests are collected, because collecting all takes 20 s.
TIMED = $(PYTEST) -n 0 -m timed $$(grep -rl --include='test_*.py' '^ *@pytest.mark.timed' tests) $(PYTEST_ARGS)

# pytest rewrites the assertions of every test file. It keeps the result as byte code, if Python may write any.
unit integration timed test: export PYTHONDONTWRITEBYTECODE =

unit: $(DEV) ## Run the tests that start no process and no server (1.5 minutes).
##   PYTEST_ARGS="-k fold -n 0"  more arguments for pytest; `-n 0` runs all tests in one process
##   WORKERS=4                   the number of processes, which is the number of cores by default
	@$(UNIT)

integration: $(DEV) ## Run the tests that start processes and servers (10 minutes).
	@$(INTEGRATION)

timed: $(DEV) ## Run the tests that bound how long something takes, alone in one process (1 minute).
	@$(TIMED)

# Arguments may select tests of one kind only. pytest ends with status 5 where it selects none, which is a failure only if
# no kind has any.
test: $(DEV) ## Run every test that needs no container engine: unit, integration and timed (14 minutes on 2 cores).
##   STOCKSTREAM_FULL=1 make test  run the longest tests at full size, as CI does
	@run() { code=0; "$$@" || code=$$?; case $$code in 0) passed=0 ;; 5) ;; *) failed=$$code ;; esac; }; \
	run $(UNIT); run $(INTEGRATION); run $(TIMED); exit $${failed:-$${passed:-5}}

e2e: $(DEV) ## Test the compose stack in containers (7 minutes). Skips where no container engine answers.
	@$(VENV)/bin/python -m pytest tests/e2e -m e2e --timeout $(E2E_TIMEOUT) $(PYTEST_ARGS)

trials: $(DEV) ## Send a million quotes through a Kinesis that fails, and compare with naive resending (8 minutes).
##   TRIALS_ARGS="--quotes 100000"  a smaller load
	@$(VENV)/bin/python -m tests.trials $(TRIALS_ARGS)

bench: $(DEV) build/peer/$(STAMP) ## Compare the CPU of a quote with that of other clients, as JSON lines (3 minutes).
	@$(VENV)/bin/python -m benchmarks.delivery --peer-python build/peer/bin/python
	@$(VENV)/bin/python -m benchmarks.processing
	@$(VENV)/bin/python -m benchmarks.query

##@ Change it

check: $(DEV) build/checkov/$(STAMP) ## Check format, lint, types, import contracts, templates and workflows (1 minute).
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/cfn-lint --include-checks I -- infra/cloudformation/*.yaml
	@LOG_LEVEL=ERROR build/checkov/bin/checkov --config-file .checkov.yaml
	@$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(VENV)/bin/check-jsonschema --builtin-schema vendor.renovate .github/renovate.json
	@$(VENV)/bin/zizmor --offline --no-progress --quiet --strict-collection .github/workflows

web-check: ## Check the dashboard's page, and that web/dist is what its sources build. Skips without npm.
	@bash web/check

screenshots: $(DEV) ## Write the screenshots of the dashboard to docs/images. Needs Chromium.
	@STOCKSTREAM_SCREENSHOTS=docs/images $(VENV)/bin/python -m pytest -n 0 tests/browser/test_screenshots.py $(PYTEST_ARGS)

format: $(DEV) ## Write the format and the lint fixes that `make check` asks for.
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

# What the dashboard's sources need. Only who changes them needs Node.js, because web/dist is committed.
NODE_MODULES := web/node_modules/$(STAMP)

web: $(NODE_MODULES) ## Build the dashboard's page from web/src to web/dist (needs Node.js).
	@npm --prefix web run --silent build

web-dev: $(NODE_MODULES) ## Show the dashboard while you change it, with made-up prices, until Ctrl-C (needs Node.js).
##   MOCK_SYMBOLS=3000  how many symbols there are
	@npm --prefix web run --silent dev

web-test: $(NODE_MODULES) ## Test the decisions and the login of the dashboard (needs Node.js).
	@npm --prefix web run --silent test

# The locks hold hashes and no addresses, so that any index with the same files serves them. What shares an environment, or
# is tested in it and runs elsewhere, has the pins of the replica.
COMPILE := $(VENV)/bin/uv pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 --generate-hashes \
  --no-header --no-emit-index-url --no-emit-find-links
lock: $(DEV) ## Write requirements/*.txt from pyproject.toml. Pins that still fit stay as they are.
##   UPGRADE=1  take the newest version of everything
	@$(COMPILE) pyproject.toml -o requirements/replica.txt
	@for group in producer processor query history dev; do \
	  $(COMPILE) --constraint requirements/replica.txt --group pyproject.toml:$$group -o requirements/$$group.txt || exit 1; \
	done
	@for group in checkov peer sbom; do \
	  $(COMPILE) --group pyproject.toml:$$group -o requirements/$$group.txt || exit 1; \
	done

clean: ## Remove the environment, the caches and everything that was built, the demo's archive included.
	@rm -rf $(VENV) build web/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

##@ Deploy it

package: $(RUN) ## Build the zips of the Lambda functions.
##   PACKAGE_PYTHON=3.13 PACKAGE_ARCHITECTURE=arm64  the interpreter and the CPU: arm64 or x86_64
	@for function in processor query; do \
	  $(VENV)/bin/stockstream package $$function --python $(PACKAGE_PYTHON) \
	    $(if $(PACKAGE_ARCHITECTURE),--architecture $(PACKAGE_ARCHITECTURE)) || exit 1; \
	done

images: ## Build the images of the producer and of the tools with Docker.
	@docker compose version >/dev/null 2>&1 || { echo "there is no docker with Compose: install Docker and its Compose plugin"; exit 1; }
	@docker compose build

image: $(RUN) ## Build an image with Docker, push it to the registry on AWS, and print its URI.
##   OF=producer                 which one: producer, or operations, that of the history's tasks
##   PACKAGE_ARCHITECTURE=arm64  the CPU: arm64 or x86_64
##   SERVICE_ROLE=arn            the role with which CloudFormation makes the registry
	@$(VENV)/bin/stockstream image --stage '$(STAGE)' $(if $(OF),--of '$(OF)') \
	  $(if $(PACKAGE_ARCHITECTURE),--architecture $(PACKAGE_ARCHITECTURE)) \
	  $(if $(SERVICE_ROLE),--service-role '$(SERVICE_ROLE)')

# The locks of the images and of the zips. The image of the history's tasks has both producer and history.
SBOM_PARTS := producer history processor query
sbom: build/cyclonedx/$(STAMP) ## Write bills of materials of the images and the zips to build/sbom, in CycloneDX's format.
	@mkdir -p build/sbom
	@for part in $(SBOM_PARTS); do \
	  PYTHONWARNINGS=ignore build/cyclonedx/bin/cyclonedx-py requirements requirements/$$part.txt --pyproject pyproject.toml --mc-type application \
	    --spec-version 1.6 --output-reproducible --output-file build/sbom/$$part.json || exit 1; \
	done
	@ls build/sbom/*.json

deploy: $(RUN) ## Deploy everything to AWS.
##   STAGE=dev                                the stage, whose parameters are in infra/stages
##   PARAMETERS="Source=yahoo Symbols=A,B"    more parameters of the templates
##   WATCHLIST=my-watchlist.toml              a file of watch groups; a stage file may name one too (docs/symbols.md)
##   RULES=my-rules.toml                      a file of alert rules, or default; a stage file may name one too
##   RESET="Calendar LogLevel"                parameters that get their defaults again; all others stay as they are
##   YES=1                                    do not ask before an ordinary change
##   YES=dev                                  the name of the stage confirms a change that stops the stream, too
##   ADOPT=found                              adopt what a destroyed stage left: found, new, or the names that it printed
##   IMAGE=uri                                an image that is built already
##   ZIP="file file"                          zips of functions that are built already
##   SERVICE_ROLE=arn                         the role with which CloudFormation changes resources (docs/cicd.md)
##   DRY_RUN=1                                show what would change, and change nothing
##   DRY_RUN=existing                         the same, without the resources of stacks that do not exist yet
##   WATCH_MINUTES=10                         how long alarms may roll back a new release of the function
	@$(VENV)/bin/stockstream deploy --whole --stage '$(STAGE)' $(STAGE_FILE) $(DEPLOY_OPTIONS) $(CONFIRMED) \
	  $(if $(DRY_RUN),--dry-run $(if $(filter existing,$(DRY_RUN)),--existing-only))

destroy: $(RUN) ## Delete what `make deploy` made, except the tables and the archive.
##   STAGE=dev  the stage, whose account and region are in infra/stages
##   YES=dev    the name of the stage confirms it; otherwise the command asks
	@$(VENV)/bin/stockstream destroy --stage '$(STAGE)' $(STAGE_FILE) $(if $(YES),--confirm '$(YES)')

smoke: $(RUN) ## Prove on an account that a stage works: deploy it, test it, remove it (about an hour).
##   STAGE=dev  the stage, which must not exist yet; the variables of `make deploy` choose what is deployed
##   KEEP=1     keep the stage, which may then exist already
##   YES=1      do not ask before the test begins
	@$(VENV)/bin/stockstream smoke --stage '$(STAGE)' $(STAGE_FILE) $(if $(KEEP),--keep) $(if $(YES),--yes) -- \
	  $(DEPLOY_OPTIONS)

# Measured on 2 cores: pip takes 40 s of CPU for the demo and 15 s more for the tests, and uv 6 s and 3 s. Byte code is
# compiled only where Python may not keep what it compiles (PYTHONDONTWRITEBYTECODE), because that takes another 40 s.
$(RUN): requirements/replica.txt requirements/environment.py
	$(call install,$(VENV),$<,--wheels-only --command)

$(DEV): requirements/dev.txt $(RUN)
	$(call install,$(VENV),$<,--add)

$(HISTORY): requirements/history.txt $(RUN)
	$(call install,$(VENV),$<,--add --wheels-only)

# async-kinesis pins another botocore than ours, so `make bench` runs it in an environment of its own.
build/peer/$(STAMP): requirements/peer.txt
	$(call install,build/peer,$<)

# checkov pins a boto3 of 2024, so `make check` runs it in an environment of its own.
build/checkov/$(STAMP): requirements/checkov.txt
	$(call install,build/checkov,$<)

# Nothing else needs what writes the bills of materials.
build/cyclonedx/$(STAMP): requirements/sbom.txt
	$(call install,build/cyclonedx,$<)

$(NODE_MODULES): web/package-lock.json
	@command -v npm >/dev/null || { echo "there is no npm: install Node.js 20.19 or newer"; exit 1; }
	@npm --prefix web ci --loglevel=error
	@touch $@

# Install the lock file $(2) into the environment $(1). The stamp comes last, so an interrupted installation starts again.
define install
@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON): install Python 3.11 or newer, or name one, such as PYTHON=python3.13"; exit 1; }
@$(PYTHON) requirements/environment.py $(1) $(2) --uv '$(UV)' $(3)
@touch $@
endef
