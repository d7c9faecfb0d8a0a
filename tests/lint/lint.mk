# SPDX-License-Identifier: Apache-2.0
# Each lint prints file:line, the rule, the reason and the fix.

OURS     := $(sort $(shell find src -name '*.[ch]'))
TEST_C   := $(sort $(shell find tests -name '*.[ch]'))
MACHINES := $(filter-out src/pprof/stack/$(ARCH)/%,$(wildcard src/pprof/stack/*/registers.h))
HEADERS  := $(filter-out $(MACHINES),$(filter src/%.h,$(OURS)))
SCRIPTS  := $(sort .ci/run $(shell find src image tests -name '*.sh'))
LINTS    := lint-format lint-layers lint-headers lint-signal lint-banned lint-shell lint-paths \
            lint-program lint-readme lint-seccomp lint-chart lint-help

##@ Check

## All of the lints below.
.PHONY: lint
lint:
	@$(MAKE) --no-print-directory --keep-going $(LINTS) && echo "lint: all good"

## The C is laid out as .clang-format says (`make fmt` does it).
.PHONY: lint-format
lint-format: $(BUILD)/lint.ready
	@clang-format-14 --dry-run --Werror --ferror-limit=3 $(OURS) $(TEST_C) || { echo "Fix: make fmt"; exit 1; }

## A folder includes only what tests/lint/layers lets it; a third-party header has one owner.
.PHONY: lint-layers
lint-layers:
	@awk -f tests/lint/layers.awk tests/lint/layers $(OURS)

## Each header of src compiles alone.
.PHONY: lint-headers
lint-headers: $(HEADERS:%.h=$(OBJ)/%.h.alone)
$(OBJ)/%.h.alone: %.h $(ready) | $(GENERATED)
	@mkdir -p $(@D)
	@$(compile) $(warnings) -Wno-error -fsyntax-only -x c -include $< /dev/null || \
	    { echo "$<:1: headers: it does not compile alone. Fix: let it include what it uses"; exit 1; }
	@touch $@

## The file with the signal handler refers to nothing but what tests/lint/signal-safe lists.
.PHONY: lint-signal
lint-signal: $(if $(wildcard src/pprof/sample/tick.c),$(OBJ)/src/pprof/sample/tick.o)
	@for object in $^; do tests/lint/signal.sh $$object src/pprof/sample/tick.c; done

## Functions that src does not call: tests/lint/banned, with the reasons.
.PHONY: lint-banned
lint-banned:
	@awk -f tests/lint/banned.awk tests/lint/banned $(OURS)

## The shell scripts, by shellcheck.
.PHONY: lint-shell
lint-shell: $(BUILD)/lint.ready
	@shellcheck -x $(SCRIPTS)

## No path of one machine and no registry's host in the tree or in the program.
.PHONY: lint-paths
lint-paths: $(PROGRAM) $(BUILD)/lint.ready
	@CROSS="$(CROSS)" tests/lint/paths.sh $(PROGRAM) $(CURDIR) $(abspath $(CACHE)) $(HOME)

## The README's table of settings is what the program says.
.PHONY: lint-readme
lint-readme: $(PROGRAM)
	@tests/lint/readme.sh $(PROGRAM) README.md

## The program is hardened, static, and carries its debug data.
.PHONY: lint-program
lint-program: $(PROGRAM)
	@tests/lint/program.sh $(PROGRAM)

## Every target has a line in `make help`.
.PHONY: lint-help
lint-help:
	@awk '/^## / { helped = 1; next } /^\.PHONY: [a-z]/ && !helped { printf "%s:%d: help: `%s` has no ## line above it. Fix: write one\n", FILENAME, FNR, $$2; bad = 1 } \
	    { helped = 0 } END { exit bad }' $(filter %akefile %.mk,$(MAKEFILE_LIST))

$(BUILD)/lint.ready: image/tools.sh
	@mkdir -p $(@D)
	@image/tools.sh need lint
	@touch $@

##@ Change

## Writes the settings table into README.md.
.PHONY: readme
readme: $(PROGRAM)
	@tests/lint/readme.sh $(PROGRAM) README.md write

## Lays out the C (writes to src and tests).
.PHONY: fmt
fmt: $(BUILD)/lint.ready
	@clang-format-14 -i $(OURS) $(TEST_C)

## The compile commands of all C, for editors (writes compile_commands.json into this folder).
.PHONY: compile_commands.json
compile_commands.json: $(BUILD)/$(LIBC).ready $(MESSAGES)
	@{ printf '['; separator=; for file in $(SOURCES); do \
	    printf '%s\n{"directory": "%s", "file": "%s", "command": "%s"}' "$$separator" '$(CURDIR)' "$$file" \
	        '$(compile) $(warnings) -c '"$$file"; separator=,; done; printf '\n]\n'; } > $@
