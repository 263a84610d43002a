# The commands of the README. `make help` lists them.

PREFIX    ?= /usr/local
PLUGINDIR ?= /usr/local/dragonfly/plugins
DESTDIR   ?=
CARGO     ?= cargo

EXAMPLES  = d7y-resource-plugin-d7yfs d7y-resource-plugin-share
# Plugins in Go, Python, Java and JavaScript, each built by a Makefile of its own.
LANGUAGES = rclone fsspec hdfs npm
# The schemes of the one in Python, each a link to it.
FSSPEC    = ftp ftps github sftp smb tar zip
BINARIES  = target/release/dfget $(EXAMPLES:%=target/release/%)
BUILD     = $(CARGO) build --release --locked -p dfget $(EXAMPLES:%=-p %)

# The demo's large file: the biggest one of the Rust compiler's own libraries.
LIBRARIES = $(shell rustc --print sysroot)/lib
LARGE     = $(shell cd "$(LIBRARIES)" && find . -type f -size +10000k -exec ls -S {} + | head -n 1 | cut -c 3-)
# Whoever may write to the checkout has built these plugins anyway.
DFGET     = DFGET_PLUGIN_DIR='$(CURDIR)/target/demo/plugins' DFGET_TRUST_PLUGIN_DIR=/ target/release/dfget
SHA256    = $(shell command -v sha256sum || echo shasum -a 256)

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:

.PHONY: help demo plugins test faults soak fuzz bench bench-profile bench-instructions bench-languages lint fmt clippy docs deny release install install-examples uninstall

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-20s%s\n", $$1, $$2 }' Makefile

demo: release ## build, install the example plugins below target/demo, download through both
	@echo; echo '--- Two plugins, put into a plugin directory:'
	install -d target/demo/plugins
	install -m 755 $(EXAMPLES:%=target/release/%) target/demo/plugins
	@echo; echo '--- What dfget can download from:'
	$(DFGET) plugin
	@echo; echo '--- A small resource through the plugin d7yfs:'
	$(DFGET) -u d7yfs://host:56001/path/to/resource -O target/demo/resource --overwrite
	@cat target/demo/resource; echo
	@echo; echo '--- A large file, the compiler'\''s own library, through the plugin share:'
	$(DFGET) -u 'share:///$(LARGE)' --opt 'root=$(LIBRARIES)' -O target/demo/large --overwrite
	$(SHA256) '$(LIBRARIES)/$(LARGE)' target/demo/large
	@test "$$($(SHA256) < '$(LIBRARIES)/$(LARGE)')" = "$$($(SHA256) < target/demo/large)"
	@echo; echo 'The demo is through: the copy has the sha256 of the original.'

plugins: release ## build the example plugins of all languages into target/plugins, as far as their tools are here, and list them
	DFGET='$(CURDIR)/target/release/dfget' .ci/examples build
	@rm -rf target/plugins
	@$(MAKE) --no-print-directory install-examples PLUGINDIR='$(CURDIR)/target/plugins' DESTDIR=
	DFGET_PLUGIN_DIR='$(CURDIR)/target/plugins' DFGET_TRUST_PLUGIN_DIR=/ target/release/dfget plugin

test: ## all tests; one that needs a tool this machine lacks says that it is skipped
	@mkdir -p target; status=0; \
	{ failed=0; $(CARGO) test --workspace --locked --no-fail-fast || failed=1; \
	.ci/examples test || failed=1; exit $$failed; } 2>&1 | tee target/test.log || status=$$?; \
	awk -f .ci/count-tests target/test.log; exit $$status

faults: ## the fault matrix: each row with its tests and their results (LOG=target/test.log: those of make test)
	.ci/faults $(LOG)

soak: ## N random histories of kills, changes and damage (200), from SEED: every complete file must be right
	DFGET_HISTORIES=$(or $(N),200) $(if $(SEED),DFGET_SEED=$(SEED)) \
	$(CARGO) test -p dfget --test binary --locked histories::

fuzz: ## invent input for all that comes from outside: SECONDS (60) a target, or for TARGET alone
	.ci/fuzz $(or $(SECONDS),60) $(TARGET)

# The last one is the plugin of the tests: it serves whatever scheme its file name says, so a hundred can be listed.
bench: ## install the peers that are missing, measure dfget and them side by side (QUICK=1: fewer and smaller runs; CASE=WORD: some)
	bench/install
	$(BUILD) -p faultplug
	python3 -m unittest discover -q bench
	python3 bench/bench.py $(if $(QUICK),--quick) $(if $(CASE),--case '$(CASE)')

bench-profile: release ## show where the time goes: perf, strace and valgrind on a few downloads (CASE=WORD: some)
	python3 bench/profile.py $(if $(CASE),--case '$(CASE)')

bench-instructions: release ## count the instructions of the hot paths, and fail where they are more than in bench/instructions.json (UPDATE=1)
	python3 bench/instructions.py $(if $(UPDATE),--update)

bench-languages: release ## measure the example plugin of each language beside the Rust one, as far as they are built (make plugins)
	python3 bench/languages.py $(if $(QUICK),--quick)

lint: fmt clippy docs deny ## formatting, clippy, documentation, dependencies

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

docs:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked

deny:
	@.ci/deny

release: ## build dfget and the example plugins into target/release
	$(BUILD)

$(BINARIES):
	$(BUILD)

install: target/release/dfget ## put dfget into $(DESTDIR)$(PREFIX)/bin; builds only what is missing
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 target/release/dfget '$(DESTDIR)$(PREFIX)/bin/dfget'

install-examples: $(BINARIES) ## put the example plugins, as far as they are built, into $(DESTDIR)$(PLUGINDIR)
	install -d '$(DESTDIR)$(PLUGINDIR)'
	install -m 755 $(EXAMPLES:%=target/release/%) '$(DESTDIR)$(PLUGINDIR)'
	@for name in $(LANGUAGES); do \
	    test ! -e examples/$$name/dist/d7y-resource-plugin-$$name || \
	    $(MAKE) --no-print-directory -C examples/$$name install DESTDIR='$(DESTDIR)' PLUGINDIR='$(PLUGINDIR)'; \
	done

uninstall: ## remove what install and install-examples put there
	rm -f '$(DESTDIR)$(PREFIX)/bin/dfget' $(EXAMPLES:%='$(DESTDIR)$(PLUGINDIR)/%')
	rm -f $(foreach scheme,$(LANGUAGES) $(FSSPEC),'$(DESTDIR)$(PLUGINDIR)/d7y-resource-plugin-$(scheme)')
	rm -rf '$(DESTDIR)$(PLUGINDIR)/fsspec-plugin' '$(DESTDIR)$(PLUGINDIR)/hdfs'
