# Everything that a day with Cuepost needs; `make help` lists it.
# Nothing has to be there but Python 3.11 or newer: the first target makes .venv and fills it.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# Two workers on two cores; a file's tests stay together, so that what they share is made once.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile

# What `check --deploy` is asked about: an installation as the README describes it.
PRODUCTION := DJANGO_SETTINGS_MODULE=config.settings.production \
	SECRET_KEY=only-for-the-check-and-0123456789-long-enough-and-mixed \
	HASH_KEY=only-for-the-check-and-0123456789-long-enough \
	DATABASE_URL=postgres://cuepost@127.0.0.1/cuepost \
	BASE_URL=https://mail.shop.example \
	EMAIL_URL=smtp://user:password@smtp.shop.example:587 \
	DEFAULT_FROM_EMAIL="Shop <hello@shop.example>" \
	POSTAL_ADDRESS="1 Harbour Street, Sampletown" \
	DEMO=0

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench snippet requirements base dev

help: ## List every target
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: base ## Start everything on this machine; PORT=8001 moves it, Ctrl-C stops it
	@exec $(BIN)/python -m config.supervisor

test: dev ## Run the tests on a real PostgreSQL; ARGS="-k cart" picks some
	@$(PYTEST) $(ARGS)

lint: dev ## Check style, types, imports, migrations and production settings
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@DJANGO_SETTINGS_MODULE=config.settings.test \
		$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

format: dev ## Put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: dev ## Measure against the bare counterparts and print the table
	@$(BIN)/python -m benchmarks $(ARGS)

snippet: ## Pack cuepost.js as browsers are served it, after a change to it; needs npx
	@source=static/public/cuepost.js packed=static/public/cuepost.min.js; \
	{ printf '/* From cuepost.js, sha256 %s */\n' $$(sha256sum $$source | cut -d' ' -f1) && \
		npx --yes terser@5.51.4 $$source --compress passes=2 --mangle; } > $$packed.new && \
	mv $$packed.new $$packed && gzip -9c $$packed | wc -c

requirements: dev ## Compile requirements/*.txt from *.in, with hashes
	@for name in base dev production uv; do \
		$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --no-header \
			--generate-hashes requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

base dev:
	@$(PYTHON) -I config/bootstrap.py $@
