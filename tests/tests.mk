# SPDX-License-Identifier: Apache-2.0
# What is tested, each kind by its own target; `make test` is all of them, and ends in one line that
# counts.

TESTED   := $(OBJ)/tests
UNITS    := $(if $(T),$(T),$(sort $(shell find tests/unit -name '*.c' 2>/dev/null)))
FUZZERS  := $(sort $(wildcard tests/fuzz/*.c))
KNOBS    := $(if $(SAN),SAN=$(SAN)) $(if $(CROSS),ARCH=$(ARCH))

##@ Test

## Everything that is fit for each change: unit tests, a short round of each fuzzer, the tests in Go
## against the built program, the chart. With SAN= the unit tests only.
.PHONY: test
test:
	@image/tools.sh need $(build_tools) test run
	@MAKE="$(MAKE) --no-print-directory" COUNTS=$(TESTED)/counts tests/test.sh unit $(if $(SAN),,fuzz test-go test-chart test-policies $(ALSO))

## Unit tests, and T=tests/unit/...c for one file; SAN= for a sanitizer.
.PHONY: unit
unit: $(UNITS:%.c=$(OBJ)/%) $(emulator_ready)
	@JOBS=$(JOBS) KNOBS="$(KNOBS)" EMULATOR="$(EMULATOR)" $(unsanitary) tests/unit/run.sh $(OBJ) $(TESTED)/counts/unit $(UNITS:.c=)

# The kernel's address space layout has more random bits than gcc's ThreadSanitizer knows how to
# live with.
unsanitary := $(if $(findstring thread,$(SAN)),setarch -R)

# White box: a test includes the .c file that it tests, and links with the rest. `// Link: FLAGS` in
# it adds to the link.
test_warnings := $(warnings) -Wno-unused-function -Wno-missing-prototypes
$(UNITS:%.c=$(OBJ)/%.run.c): $(OBJ)/%.run.c: %.c tests/unit/runner.awk
	@mkdir -p $(@D)
	@awk -f tests/unit/runner.awk $< > $@
$(UNITS:%.c=$(OBJ)/%.o): $(OBJ)/%.o: $(OBJ)/%.run.c $(ready) | $(GENERATED)
	$(call quiet,CC,$*.c) $(compile) -I. $(test_warnings) $(CFLAGS) $(depend) -c $< -o $@
$(UNITS:%.c=$(OBJ)/%): %: %.o $(LIBRARY)
	$(call quiet,LINK,$@) $(CC) $(sanitize) $(LDFLAGS) -o $@ $< $(LIBRARY) \
	    $$(sed -n 's,^// Link: ,,p' $(@:$(OBJ)/%=%).c) $(link) $(wrap) $(LIBS) -lcmocka
-include $(UNITS:%.c=$(OBJ)/%.d)

# Programs that the tests start: tests/backend, tests/truth, tests/storm. A file with a main
# function is a program, at build/tests/FOLDER/NAME; the other files of its folder are linked to it.
# Built like the product.
PROGRAM_FILES := $(wildcard tests/backend/*.c tests/truth/*.c tests/storm/*.c tests/bench/*.c)
MAIN_FILES    := $(shell grep -l '^int main' /dev/null $(PROGRAM_FILES))
PROGRAMS      := $(MAIN_FILES:%.c=$(BUILD)/%)
$(PROGRAM_FILES:%.c=$(OBJ)/%.o) $(FUZZERS:%.c=$(OBJ)/%.o): $(OBJ)/%.o: %.c $(ready) | $(GENERATED)
	@mkdir -p $(@D)
	$(call quiet,CC,$<) $(compile) -I. $(warnings) -Wno-missing-prototypes $(CFLAGS) $(depend) -c $< -o $@
.SECONDEXPANSION:
$(PROGRAMS): $(BUILD)/tests/%: $(OBJ)/tests/%.o $(LIBRARY) \
    $$(addprefix $(OBJ)/,$$(addsuffix .o,$$(basename \
        $$(filter-out $(MAIN_FILES),$$(wildcard tests/$$(*D)/*.c)))))
	@mkdir -p $(@D)
	$(call quiet,LINK,$@) $(CC) $(sanitize) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBRARY) \
	    $$(sed -n 's,^// Link: ,,p' $(@:$(BUILD)/%=%).c) $(link) $(wrap) $(LIBS)
-include $(PROGRAM_FILES:%.c=$(OBJ)/%.d)

## The programs that the tests start.
.PHONY: test-programs
test-programs: $(PROGRAMS)

# Programs of another machine are started by way of EMULATOR.
in_tests = BUILT="$(abspath $(BUILD))" EXTPROC_BINARY="$(abspath $(PROGRAM))" EMULATOR="$(EMULATOR)"

# Fuzzers are a variant of their own, by clang: their targets call make again with that sanitizer.
fuzz_san := fuzzer,address,undefined
as_fuzzer = +@$(MAKE) --no-print-directory SAN=$(fuzz_san)

## A short round of each fuzzer: a fixed number of runs over its seeds (RUNS=20000).
.PHONY: fuzz
fuzz:
	$(as_fuzzer) _fuzz-round

## A long round of each fuzzer: SECONDS=60 each; what it finds new stays in build/ as its corpus.
.PHONY: test-fuzz
test-fuzz:
	$(as_fuzzer) _fuzz-round LONG=1

RUNS    ?= 20000
SECONDS ?= 60
.PHONY: _fuzz-round
_fuzz-round: $(FUZZERS:%.c=$(OBJ)/%)
	@RUNS=$(RUNS) LONG=$(if $(LONG),$(SECONDS)) \
	    tests/fuzz/run.sh $(OBJ) $(BUILD)/release/tests/counts/fuzz $(FUZZERS:.c=)
$(FUZZERS:%.c=$(OBJ)/%): %: %.o $(LIBRARY)
	$(call quiet,LINK,$@) $(CC) $(sanitize) $(LDFLAGS) -fsanitize=$(SAN) -o $@ $< $(LIBRARY) \
	    $(link) $(wrap) $(LIBS)
-include $(FUZZERS:%.c=$(OBJ)/%.d)

G   ?= ./...
RUN ?=
## The tests in Go: contract, Envoy, page, truth, storm (G=./contract for some, RUN=TestName for one).
.PHONY: test-go
test-go: $(if $(wildcard tests/go.mod),$(PROGRAM) $(PROGRAMS)) $(emulator_ready)
	@$(if $(filter ./... ./page,$(G)),image/tools.sh need page)
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" $(in_tests) \
	    tests/go.sh $(TESTED)/counts/test-go $(G) $(if $(RUN),-run '$(RUN)')

## The page at /debug/pprof/, a part of test-go: in a real Chromium, against the program under load;
## screenshots are in build/page (RUN=TestUnits for what needs no browser).
.PHONY: test-page
test-page:
	+@$(MAKE) --no-print-directory test-go G=./page

## The program for arm64: unit and contract tests and whole stacks under qemu, and both machines' images looked
## at; minutes.
.PHONY: test-arm64
test-arm64:
	+@$(MAKE) --no-print-directory ARCH=arm64 BUILD=$(BUILD)/arm64 unit
	+@$(MAKE) --no-print-directory ARCH=arm64 BUILD=$(BUILD)/arm64 test-go G=./contract
	+@$(MAKE) --no-print-directory ARCH=arm64 BUILD=$(BUILD)/arm64 test-go G=./truth/judge RUN=StacksAreComplete
	+@$(MAKE) --no-print-directory image-scan ARCHIVE=-index

## The clients that leave at any point (tests/soak), long: REQUESTS=200000; SAN=address,undefined or
## SAN=thread for a sanitizer, without one the memory is looked at too.
.PHONY: test-soak
test-soak: $(PROGRAM)
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" BUILT="$(abspath $(BUILD))" EXTPROC_BINARY="$(abspath $(PROGRAM))" \
	    REQUESTS=$(or $(REQUESTS),200000) SANITIZER=$(SAN) \
	    $(unsanitary) tests/go.sh $(TESTED)/counts/test-soak ./soak -timeout 60m
