# SPDX-License-Identifier: Apache-2.0
# `make` shows what can be made. Knobs (give them on the command line, or export them):
#@   V=1                       show each command
#@   SAN=address,undefined     build and test with these sanitizers, against glibc (or SAN=thread)
#@   T=tests/unit/...c         run one unit test file
#@   OPT=-O0                   another optimisation level
#@   WERROR=0                  warnings do not stop the build
#@   JOBS=2                    how many commands run at once (all processors)
#@   G=./contract RUN=TestX    test-go: these packages, these tests
#@   RUNS=20000 SECONDS=60     runs of each fuzzer in `fuzz`, seconds of each in `test-fuzz`
#@   CACHE=folder              third-party sources and libraries (~/.cache/extproc-build)
#@   TARBALLS=folder           take the sources named in image/dependencies.lock from here
#@   BUILD=build               where everything that is made goes (build/ARCH if it is another machine's)
#@   VERSION=v1.2.3            what the program says it is (git describe)
#@   CFLAGS= LDFLAGS=          added last to ours

SAN ?=
OPT ?= -O2
WERROR ?= 1
JOBS := $(or $(JOBS),$(shell nproc))
XDG_CACHE_HOME ?= $(HOME)/.cache
CACHE ?= $(XDG_CACHE_HOME)/extproc-build
TARBALLS ?=
VERSION := $(or $(VERSION),$(shell git describe --tags --always --dirty 2>/dev/null),unknown)

include image/machine.mk

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables $(if $(filter 0,$(MAKELEVEL)),-j$(JOBS))
ifeq ($(V),)
quiet = @printf '  %-4s %s\n' $(1) $(2);
endif

# A variant is a folder of objects: changing a knob never needs `make clean`.
comma := ,
ifeq ($(SAN),)
VARIANT := release
LIBC := musl
else
VARIANT := $(subst $(comma),-,$(SAN))
LIBC := $(if $(findstring thread,$(SAN)),glibc-thread,glibc)
endif
OBJ := $(BUILD)/$(VARIANT)
GEN := $(BUILD)/gen

# Flags by purpose.
language  := -std=gnu11 -D_GNU_SOURCE -Isrc -Isrc/pprof/stack/$(ARCH) -I$(GEN)
warnings  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
             -Wold-style-definition -Wwrite-strings -Wformat=2 -Wno-format-nonliteral \
             -Wnull-dereference $(if $(filter 0,$(WERROR)),,-Werror)
# Stacks and names are what this program is about: frame pointers everywhere, line tables, unwind
# rows for leaves.
debug     := -g1 -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -fasynchronous-unwind-tables
# The same bytes in any folder.
repeat    := -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(BUILD)/=
sections  := -fPIE -fvisibility=hidden -ffunction-sections -fdata-sections
ifeq ($(SAN),)
CC        := $(CROSS)gcc $(MACHINE) -specs=image/musl.specs --sysroot=$(BUILD)/musl
hardening := -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero
# ld gives functions that it drops the address 0 in the debug data: nothing real may lie there, or
# it takes their names.
link      := -Wl,--gc-sections -Wl,--section-start=.init=0x400000 \
             -Wl,--compress-debug-sections=zlib -Wl,--whole-archive -ltcmalloc -Wl,--no-whole-archive
else
compiler  := $(if $(findstring fuzzer,$(SAN)),clang-14 -w,gcc)
CC        := $(compiler) -isystem $(BUILD)/$(LIBC)/include -L$(BUILD)/$(LIBC)/lib
sanitize  := -fsanitize=$(SAN:fuzzer%=fuzzer-no-link%) -fno-sanitize-recover=all
link      := -pie -pthread
endif
LIBS       = -Wl,--start-group $(LIBRARY) -lmicrohttpd -lnghttp2 -luv -lbacktrace -lprotobuf-c \
             -lyyjson -lz -lm -Wl,--end-group
# Beside what the profiler watches, what is made faster (src/base/copy.c).
WRAPPED   := $(shell sed 's/\#.*//' src/pprof/wrapped 2>/dev/null) memcpy
# Each wrapper is linked also where only libc calls it: libc comes after the library.
wrap      := $(foreach name,$(WRAPPED),-Wl$(comma)--wrap=$(name) -Wl$(comma)--undefined=__wrap_$(name))
compile    = $(CC) $(language) $(OPT) $(debug) $(repeat) $(hardening) $(sections) $(sanitize)
depend     = -MMD -MP -MF $(@:.o=.d)
# Of the program; image/linked asks gcc what ld gets of it.
linking    = $(CC) $(sanitize) $(LDFLAGS) $(MAIN) $(LIBRARY) $(link) $(wrap) $(LIBS)
# What every object waits for: the libraries' headers, and itself anew when the flags change.
ready     := $(BUILD)/$(LIBC).ready $(OBJ)/flags

SOURCES   := $(sort $(shell find src -name '*.c' 2>/dev/null))
PROTOS    := $(sort $(shell find src -name '*.proto' 2>/dev/null))
MESSAGES  := $(PROTOS:src/%.proto=$(GEN)/%.pb-c.c)
NAMES     := $(GEN)/sandbox/names.h
GENERATED := $(MESSAGES) $(NAMES)
PAGE      := $(sort $(wildcard src/pprof/page/*.mjs src/pprof/page/*.css src/pprof/page/*.html))
ASSETS    := $(GEN)/pprof/page/assets.c
OBJECTS   := $(SOURCES:src/%.c=$(OBJ)/src/%.o) \
             $(patsubst $(GEN)/%.c,$(OBJ)/gen/%.o,$(MESSAGES) $(ASSETS))
MAIN      := $(OBJ)/src/main.o
LIBRARY   := $(OBJ)/libsrc.a
PROGRAM   := $(if $(SAN),$(OBJ)/extproc,$(BUILD)/extproc)

##@ Start here

## This list.
.PHONY: help
help:
	@awk -f tests/lint/help.awk $(MAKEFILE_LIST)

##@ Build

## The program, at build/extproc: static, with its debug data inside.
.PHONY: build
build: $(PROGRAM)

$(PROGRAM): $(MAIN) $(LIBRARY) $(wildcard src/pprof/wrapped)
	$(call quiet,LINK,$@) $(linking) -Wl,-Map=$(OBJ)/extproc.map -o $@

$(LIBRARY): $(filter-out $(MAIN),$(OBJECTS)) $(OBJ)/members
	$(call quiet,AR,$@) rm -f $@ && $(CROSS)ar qcsDP $@ $(filter %.o,$^)

$(OBJ)/src/%.o: src/%.c $(ready) | $(GENERATED)
	@mkdir -p $(@D)
	$(call quiet,CC,$<) $(compile) $(warnings) $(CFLAGS) $(define) $(depend) -c $< -o $@

$(OBJ)/gen/%.o: $(GEN)/%.c $(ready)
	@mkdir -p $(@D)
	$(call quiet,CC,$<) $(compile) -w $(CFLAGS) $(depend) -c $< -o $@

$(GEN)/%.pb-c.c: src/%.proto $(BUILD)/$(LIBC).ready
	@mkdir -p $(GEN)
	$(call quiet,GEN,$<) protoc-c --proto_path=src --c_out=$(GEN) $<

# Every system call that the C library's headers know, for who is told of one by number.
$(NAMES): | $(BUILD)/$(LIBC).ready
	@mkdir -p $(@D)
	$(call quiet,GEN,$@) echo '#include <sys/syscall.h>' | $(CC) -E -dM - | LC_ALL=C sort | \
	    sed -n 's/^#define \(SYS_\([a-z0-9_]*\)\) .*/#ifdef \1\n[\1] = "\2",\n#endif/p' > $@

$(ASSETS): src/pprof/page/embed.sh $(PAGE)
	@mkdir -p $(@D)
	$(call quiet,GEN,src/pprof/page) $< $(PAGE) > $@

# Only main knows the version, so that a commit does not compile everything anew.
$(MAIN): define = -DEXTPROC_VERSION='"$(VERSION)"'
$(MAIN): $(BUILD)/version
$(BUILD)/version: content = $(VERSION)
$(OBJ)/flags: content = $(compile) $(warnings) $(CFLAGS)
$(OBJ)/members: content = $(OBJECTS)
# Written only when the content is another.
$(BUILD)/version $(OBJ)/flags $(OBJ)/members: _force
	@mkdir -p $(@D)
	@echo '$(content)' | cmp -s - $@ || echo '$(content)' > $@
.PHONY: _force
_force:

-include $(OBJECTS:.o=.d)
include image/image.mk image/oci/oci.mk
-include charts/charts.mk policies/policies.mk tests/tests.mk tests/run/run.mk tests/bench/bench.mk tests/kind/kind.mk tests/lint/lint.mk

##@ Clean

## Removes build/; the cache stays.
.PHONY: clean
clean:
	rm -rf $(BUILD)
