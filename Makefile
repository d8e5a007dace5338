# Each target is a line or two; the logic is in the programs that they call. `make help` lists the targets.

# The environment in samconfig.toml: dev or prod.
ENVIRONMENT ?= dev
STACK = $(if $(filter prod,$(ENVIRONMENT)),trading-prod,trading)
UV_VERSION := 0.13.9
export SAM_CLI_TELEMETRY := 0
# Trust this machine's certificates, as pip does: a corporate proxy may need additional ones.
export UV_SYSTEM_CERTS := 1

# Keep compiled modules, even if the image says otherwise: each start would compile them again.
unexport PYTHONDONTWRITEBYTECODE

# Programs run as modules: their scripts do not work in a folder with a space in its name.
RUN := .venv/bin/python -m
SAM := .venv-sam/bin/python -m samcli
UV := .venv/bin/python -m uv

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: start
start: .venv/.ready ## run the whole system on this machine (PORT=8000)
	@$(MAKE) --no-print-directory page || echo "The system starts without its page."
	@exec $(RUN) local

.PHONY: reset
reset: .venv/.ready ## delete all data of the local system, without asking
	@$(RUN) local.host.reset

.PHONY: page
page: .venv/.ready ## build the browser page
	$(npm)
	@$(RUN) local.tools.build_page

# Installs Node.js in this checkout if the machine has none.
define npm
@command -v npm >/dev/null || $(MAKE) --no-print-directory .venv-web/.ready
endef

.PHONY: demo
demo: .venv/.ready ## run a tour of the system, in half a minute
	@$(RUN) local.host.demo

.PHONY: test
test: .venv/.ready ## run the tests; needs no Docker
	$(RUN) pytest --ignore=tests/sam --ignore=tests/web --numprocesses=logical --maxprocesses=4 --dist=worksteal

.PHONY: torture
torture: .venv/.ready ## kill parts of the system under load for a minute, and count what is lost
	$(RUN) tests.torture.under_fire
	$(RUN) tests.torture.previous_code
	CASES=20000 $(RUN) pytest -q tests/torture/faults.py tests/torture/test_stateful_api.py

.PHONY: break
break: .venv/.ready ## break parts of the system that `make start` runs, from a menu, and say what was lost
	@$(RUN) tests.torture.menu

.PHONY: soak
soak: .venv/.ready ## run a system under light load, and measure the growth of its processes (HOURS=2)
	$(RUN) tests.torture.soak $(or $(HOURS),2)

.PHONY: test-web
test-web: page .venv-browser/.ready ## test the page in a browser; needs Chromium
	PYTHONPATH=layers/trading .venv-browser/bin/python -m pytest tests/web --numprocesses=2

.PHONY: pictures
pictures: page .venv-browser/.ready ## take the screenshots of the page for the documents; needs Chromium
	PYTHONPATH=layers/trading .venv-browser/bin/python -m local.tools.pictures

.PHONY: test-sam
test-sam: .venv/.ready .venv-sam/.ready .venv-ministack/.ready ## build and deploy with SAM, and run the functions in Lambda's containers; needs Docker
	$(RUN) pytest tests/sam

.PHONY: lint
lint: .venv/.ready ## check style and types
	$(RUN) ruff format --check . && $(RUN) ruff check . && $(RUN) mypy
	$(npm)
	$(RUN) local.tools.build_page --check

.PHONY: validate
validate: .venv/.ready .venv-sam/.ready .venv-checkov/.ready ## check the template, before and after the SAM transform
	$(SAM) validate --region eu-west-1 && $(SAM) validate --lint --region eu-west-1
	@mkdir -p .build && $(RUN) local.host.template > .build/template.json
	.venv/bin/cfn-lint .build/template.json .github/deploy-role.yaml --regions eu-west-1
	.venv-checkov/bin/python -m checkov.main --config-file .checkov.yaml --file .build/template.json
	$(RUN) local.tools.rules

.PHONY: build
build: .venv-sam/.ready ## build the functions and layers (ENVIRONMENT=dev or prod)
	$(SAM) build --config-env $(ENVIRONMENT)
	@# /opt is read-only in Lambda: without bytecode in the layers, each cold start would compile them.
	.venv-sam/bin/python -m compileall -q --invalidation-mode unchecked-hash .aws-sam/build/*Layer

.PHONY: bench
bench: page .venv-peers/.ready .venv-browser/.ready ## measure speed against a floor and a peer (ROWS=100000 PARTS=trades: a look)
	$(RUN) benchmarks $(if $(ROWS),--rows $(ROWS)) $(PARTS)

.PHONY: deploy
deploy: build ## build and deploy to AWS, after confirming the changes (ENVIRONMENT=dev or prod)
	@# Not --guided: it would also ask for Architecture, but the layers are already built for one.
	$(SAM) deploy --config-env $(ENVIRONMENT) --no-fail-on-empty-changeset
	@$(MAKE) --no-print-directory publish

.PHONY: release
release: .venv/.ready .venv-sam/.ready ## deploy the existing build and page without asking, for CI
	@test -f .build/web/index.html || { echo "Build the page first: make page"; exit 1; }
	$(SAM) deploy --config-env $(ENVIRONMENT) --no-confirm-changeset --no-fail-on-empty-changeset
	$(RUN) local.tools.publish $(STACK)

.PHONY: publish
publish: page ## upload the page to the bucket of a deployed stack
	$(RUN) local.tools.publish $(STACK)

.PHONY: logs
logs: .venv-sam/.ready ## follow the logs of a deployed stack
	$(SAM) logs --config-env $(ENVIRONMENT) --stack-name $(STACK) --tail

.PHONY: destroy
destroy: .venv-sam/.ready ## delete a deployed stack, after confirmation; the bucket and a database snapshot are kept
	$(SAM) delete --config-env $(ENVIRONMENT) --stack-name $(STACK)

.PHONY: openapi
openapi: .venv/.ready ## write docs/openapi.json from the code
	$(RUN) local.tools.openapi > docs/openapi.json

.PHONY: inventory
inventory: .venv/.ready ## list what the template deploys, in docs/inventory.md
	$(RUN) local.tools.inventory

.PHONY: lock
lock: .venv/.ready ## pin the newest versions of the packages in requirements/*.in
	@for list in runtime analytics numerics dev sam checkov ministack peers web browser; do \
	  lock=requirements/$$list.txt; [ ! -d layers/$$list ] || lock=layers/$$list/requirements.txt; \
	  $(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.13 --output-file $$lock requirements/$$list.in || exit 1; done

# An environment is ready when its pinned packages are installed; it is rebuilt when they change.
.venv/.ready: requirements/dev.txt
	@sh local/tools/environment.sh $(UV_VERSION)  # PYTHON=… selects the Python

.venv-%/.ready: requirements/%.txt .venv/.ready
	$(UV) venv --quiet --clear --python .venv/bin/python .venv-$*
	$(UV) pip install --quiet --require-hashes --python .venv-$*/bin/python -r $<
	@touch $@
