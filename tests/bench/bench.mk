# SPDX-License-Identifier: Apache-2.0

BENCHES := $(BUILD)/tests/bench/malloc $(BUILD)/tests/bench/malloc-musl $(BUILD)/tests/bench/micro
# In Go: what puts the processor under load, and the peer.
GO_BENCHES := $(BUILD)/tests/bench/load $(BUILD)/tests/bench/goserver

# The peer: the same file without the allocator that is to be compared.
$(BUILD)/tests/bench/malloc-musl: $(OBJ)/tests/bench/malloc.o
	$(call quiet,LINK,$@) $(CC) $(LDFLAGS) -o $@ $<

$(GO_BENCHES): $(BUILD)/tests/bench/%: tests/go.mod $(shell find tests/internal tests/bench -name '*.go')
	$(call quiet,GO,$@) CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" tests/go-build.sh $@ ./bench/$*

##@ Measure

## What the profiler costs the program, each figure beside a peer of the same run.
.PHONY: bench
bench: $(PROGRAM) $(BENCHES) $(GO_BENCHES)
	@tests/bench/bench.sh $(BUILD)/tests/bench $(PROGRAM)

## The load of the benches as a command: build/tests/bench/load --help.
.PHONY: bench-load
bench-load: $(GO_BENCHES)
