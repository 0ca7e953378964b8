# make help says what can be made. Two commands are all that a fresh machine needs: make run, make test.

MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

# Says what is made in a word; make V=1 says how.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(patsubst $(CURDIR)/%,%,$(2)))

CC := gcc
BUILD ?= build
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Warnings are errors in CI, but not of sanitizer builds: what they add to the code makes gcc see ghosts.
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wimplicit-fallthrough $(if $(SANITIZE),,$(if $(CI),-Werror))
HARDENING := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
# h2o's pkg-config file leaves H2O_USE_LIBUV out, and its headers do not compile as strict C17.
CPPFLAGS := -D_GNU_SOURCE -DH2O_USE_LIBUV=0 -Iwebhook
# Optimized across files: a cached login takes 4 % less. Objects are fat, so that tests link them as they were compiled, with
# malloc() wrapped.
OPTIMIZE ?= -O2 -flto=auto -ffat-lto-objects $(HARDENING)
CFLAGS = -std=gnu17 -g $(OPTIMIZE) $(WARNINGS) $(SANITIZE) -pthread
LDFLAGS := -pie -Wl,--compress-debug-sections=zlib -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(SANITIZE) -pthread
LIBS := -lh2o-evloop -lcurl -lhttp_parser -ljansson -lyaml -lssl -lcrypto -lm

# Layers, lowest first: a file includes from its own layer and those before it (hack/verify-includes.sh).
LAYERS := base wire core ops net command
sources = $(wildcard webhook/$(1)/*.c)
objects = $(patsubst webhook/%.c,$(BUILD)/webhook/%.o,$(1))
OBJECTS := $(foreach layer,$(LAYERS),$(call objects,$(call sources,$(layer)))) $(BUILD)/webhook/main.o
archive = $(BUILD)/lib$(1).a
ARCHIVES := $(foreach layer,$(LAYERS),$(call archive,$(layer)))
# The archives that a test of a layer links: its own and the lower ones, highest first.
below_base := base
below_wire := wire base
below_core := core wire base
below_ops := ops core wire base
below_net := net ops core wire base
below_command := command net ops core wire base
linked = $(foreach layer,$(below_$(1)),$(call archive,$(layer)))

##@ Build
.PHONY: build
build: $(BUILD)/kube-introspect ## build build/kube-introspect

$(BUILD)/kube-introspect: $(BUILD)/webhook/main.o $(ARCHIVES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(OPTIMIZE) $(LDFLAGS) -o $@ $< $(call linked,command) $(LIBS)

define archive_rule
$(call archive,$(1)): $(call objects,$(call sources,$(1))) $(BUILD)/sources
	@rm -f $$@
	@gcc-ar rcs $$@ $$(filter %.o,$$^)
endef
$(foreach layer,$(LAYERS),$(eval $(call archive_rule,$(layer))))

# Every byte of every body goes through the scanner.
$(BUILD)/webhook/wire/scan.o $(BUILD)/webhook/wire/scan_string.o: private OPTIMIZE += -O3

$(BUILD)/webhook/%.o: webhook/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The version is the only thing that changes without a source: it has an object of its own.
$(BUILD)/webhook/base/version.o: CPPFLAGS += -DVERSION='"$(VERSION)"'
$(BUILD)/webhook/base/version.o: $(BUILD)/version

# A source that was removed must leave its archive as well.
$(BUILD)/sources: FORCE
	@mkdir -p $(@D); echo '$(OBJECTS)' | cmp -s - $@ || echo '$(OBJECTS)' > $@

.PHONY: FORCE
$(BUILD)/version: FORCE
	@mkdir -p $(@D); echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS)' > $@

##@ Test
# A unit test lies in test/unit/LAYER/MODULE.c and links its layer and the lower ones.
UNIT_SOURCES := $(wildcard test/unit/*/*.c)
UNIT_TESTS := $(patsubst test/unit/%.c,$(BUILD)/test/unit/%,$(UNIT_SOURCES))
TEST_LIB := $(wildcard test/lib/*.c)

define unit_rule
$(BUILD)/test/unit/$(1)/%: test/unit/$(1)/%.c $(TEST_LIB) $(call linked,$(1))
	@mkdir -p $$(@D)
	$$(call say,TEST,$$<)
	$$(Q)$(CC) $(CPPFLAGS) $(if $(SANITIZE),-Itest/lib/threads) -Itest $(CFLAGS) -fno-lto -Wno-missing-prototypes $(LDFLAGS) -MMD -MP -MF $$@.d -o $$@ $$< $(TEST_LIB) $(call linked,$(1)) -lcriterion $(LIBS) $$(UNIT_LDFLAGS)
endef
$(foreach layer,$(LAYERS),$(eval $(call unit_rule,$(layer))))
# Criterion cannot start under ThreadSanitizer, and never runs the leak check: test/lib/threads stands in for it there.
# malloc() and friends go through test/lib/memory.c, which can make the n-th of them fail.
UNIT_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup

.PHONY: unit
unit: $(if $(TEST),$(BUILD)/test/unit/$(TEST),$(UNIT_TESTS)) ## run unit tests (one module: make unit TEST=core/cache)
	@hack/run-unit.sh $^

-include $(OBJECTS:.o=.d) $(addsuffix .d,$(UNIT_TESTS))

PYTEST := /usr/bin/python3 -m pytest -q -p no:cacheprovider

.PHONY: integration
integration: $(BUILD)/kube-introspect ## run integration tests: the real binary, real TLS, a scripted provider (some: make integration TEST=expression)
	KUBE_INTROSPECT_BINARY=$(abspath $<) $(PYTEST) test/integration $(if $(TEST),-k '$(TEST)')

# Clocks that a test moves, preloaded into the real binary.
CLOCK := $(BUILD)/test/clock.so
$(CLOCK): test/integration/lib/clock.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu17 -O2 $(WARNINGS) -fPIC -shared -o $@ $<

.PHONY: model
model: $(BUILD)/kube-introspect $(CLOCK) ## hold random sequences against a model of what may be answered (STEPS=10000 SEED=n SHRINK=0)
	@CLOCK_LIBRARY=$(abspath $(CLOCK)) KUBE_INTROSPECT_BINARY=$(abspath $<) STEPS=$(STEPS) SEED=$(SEED) SHRINK=$(SHRINK) \
		$(PYTEST) test/model

.PHONY: e2e
e2e: $(BUILD)/kube-introspect ## run end-to-end tests: the real binary, a real OpenID provider, a real kube-apiserver (one: make e2e TEST=name)
	KUBE_INTROSPECT_BINARY=$(abspath $<) $(PYTEST) test/e2e --ignore=test/e2e/kind $(if $(TEST),-k '$(TEST)')
.PHONY: e2e-provider
e2e-provider: $(BUILD)/kube-introspect ## the part of them that needs no Kubernetes, in a minute
	KUBE_INTROSPECT_BINARY=$(abspath $<) $(PYTEST) test/e2e --ignore=test/e2e/cluster --ignore=test/e2e/kind $(if $(TEST),-k '$(TEST)')
.PHONY: revocation-times
revocation-times: $(BUILD)/kube-introspect ## measure the tables of docs/revocation.md through kubectl and HTTP, in five minutes
	KUBE_INTROSPECT_SLOW=1 KUBE_INTROSPECT_BINARY=$(abspath $<) $(PYTEST) test/e2e/cluster -k test_the_times_of_the_documentation

.PHONY: door-costs
door-costs: $(BUILD)/kube-introspect ## measure what asking about requests and changes costs the API server, in three minutes
	KUBE_INTROSPECT_SLOW=1 KUBE_INTROSPECT_BINARY=$(abspath $<) $(PYTEST) test/e2e/cluster -k test_the_costs_of_the_documentation

.PHONY: e2e-kind
e2e-kind: $(BUILD)/kube-introspect ## run end-to-end tests in a kind cluster of our own (KIND_NODE_IMAGE=name, KEEP=1: leave it up)
	@BUILD=$(BUILD) KEEP=$(KEEP) TEST='$(TEST)' hack/e2e-kind.sh

.PHONY: alerts
alerts: ## check the alerts, and what fires in which outage, by Prometheus' promtool
	$(PYTEST) test/alerts $(if $(TEST),-k '$(TEST)')

# Who logs in, and a provider that is told what to do: for make bench, make chaos.
LOAD_TOOLS := $(BUILD)/test/bench/load $(BUILD)/test/bench/provider
LOAD_SOURCES := $(addprefix test/bench/,load.c client.c crowd.c token.c histogram.c cpu_time.c)
LOAD_FLAGS := $(CPPFLAGS) -std=gnu17 -O2 -g $(WARNINGS) -Wno-conversion
$(BUILD)/test/bench/load: $(LOAD_SOURCES) $(wildcard test/bench/*.h) test/lib/program.h
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(LOAD_FLAGS) -o $@ $(filter %.c,$^) -lssl -lcrypto
$(BUILD)/test/bench/provider: test/bench/provider.c test/bench/token.c test/bench/token.h test/lib/program.h
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(LOAD_FLAGS) -o $@ $(filter %.c,$^) -lh2o-evloop -lssl -lcrypto
.PHONY: load-tools
load-tools: $(LOAD_TOOLS)

.PHONY: chaos
chaos: $(BUILD)/kube-introspect $(LOAD_TOOLS) $(CLOCK) ## 2,000 logins a second while everything around goes wrong (some: make chaos TEST='silent slow' SECONDS=60; CUT=1: as CI)
	CLOCK_LIBRARY=$(abspath $(CLOCK)) KUBE_INTROSPECT_BINARY=$(abspath $<) /usr/bin/python3 test/chaos --programs $(BUILD)/test/bench $(if $(SECONDS),--seconds $(SECONDS)) $(if $(CUT),--ci --seconds 3 --rate 1000 --ttl 1 --after 2.5) $(TEST)

.PHONY: check
check: unit ## run unit tests, then integration tests, which are about time and want the machine for themselves
	@$(MAKE) integration

.PHONY: test
test: ## install what tests need, then run all that CI runs
	@hack/install.sh build test run lint go
	@hack/test.sh

ASAN := OPTIMIZE='-O1 -fno-omit-frame-pointer' SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all'
TSAN := OPTIMIZE='-O1 -fno-omit-frame-pointer' SANITIZE='-fsanitize=thread'

.PHONY: asan
asan: ## run unit and integration tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@LSAN_OPTIONS=suppressions=$(abspath test/lsan.supp):print_suppressions=0 KUBE_INTROSPECT_SLOWNESS=4 $(MAKE) BUILD=build-asan $(ASAN) check
.PHONY: tsan
tsan: ## run unit and integration tests under ThreadSanitizer
	@TSAN_OPTIONS=suppressions=$(abspath test/tsan.supp):exitcode=66 KUBE_INTROSPECT_SLOWNESS=6 $(MAKE) BUILD=build-tsan $(TSAN) check

.PHONY: fuzz
fuzz: ## run every fuzz target for a while, two at a time (make fuzz TEST=scan SECONDS=600)
	@printf '%s\n' $(if $(TEST),$(TEST),$(basename $(notdir $(wildcard test/fuzz/*.c)))) | \
		xargs -P 2 -I TARGET sh -c 'echo TARGET; hack/fuzz.sh TARGET $(if $(SECONDS),$(SECONDS),60) -verbosity=0'

# In C: what Python is too slow for, and the client whose time is taken.
ATTACK_PROGRAMS := $(patsubst test/attack/%.c,$(BUILD)/attack/%,$(wildcard test/attack/*.c))
$(BUILD)/attack/%: test/attack/%.c test/lib/program.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< -lssl -lcrypto

.PHONY: attack
attack: $(BUILD)/kube-introspect $(ATTACK_PROGRAMS) ## attack the real binary in every way of docs/attacks.md, beside a good client (one: make attack TEST=name; QUICK=1: the cut of CI)
	@KUBE_INTROSPECT_BINARY=$(abspath $<) KUBE_INTROSPECT_ATTACK_PROGRAMS=$(abspath $(BUILD)/attack) \
		/usr/bin/python3 test/attack --table $(BUILD)/attacks.md $(if $(QUICK),--quick) $(TEST)

.PHONY: coverage
coverage: ## print the line coverage of webhook/ by unit and integration tests
	@hack/coverage.sh

.PHONY: bench
bench: $(BUILD)/kube-introspect ## measure against a static h2o reply and a plain Go webhook, in one run (a part: make bench TEST=handshakes)
	@hack/install.sh build go
	@hack/bench.sh $(if $(TEST),--only $(TEST))

##@ Look after the code
.PHONY: verify
verify: ## check the rules of the tree: layers, fences, sizes, banned functions
	@hack/verify.sh
.PHONY: lint
lint: ## shellcheck and yamllint
	@hack/lint.sh
.PHONY: format
format: ## format the C sources
	clang-format-14 -i $(wildcard webhook/*.c webhook/*/*.[ch] test/lib/*.[ch] test/unit/*/*.c test/fuzz/*.c)

##@ Ship it
.PHONY: image
image: ## build the image with docker, podman or buildah, from a registry's debian:bookworm
	@hack/image.sh
.PHONY: image-offline
image-offline: $(BUILD)/kube-introspect ## make the same image of Debian packages, without a registry: build/kube-introspect-image.tar, build/sbom.spdx.json
	@BUILD=$(BUILD) hack/image-offline.sh
.PHONY: image-test
image-test: image-offline ## make that image, and check it and the list of what is in it
	BUILD=$(BUILD) $(PYTEST) test/image

##@ Try it
.PHONY: run
run: ## build, start a real OpenID provider and the webhook on loopback, log in, revoke (CLUSTER=1: kube-apiserver too; ONCE=1: then end)
	@ONCE=$(ONCE) CLUSTER=$(CLUSTER) hack/run.sh

##@ Help
.PHONY: help
help: ## print this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
.PHONY: clean
clean: ## remove what was built
	rm -rf build build-*
