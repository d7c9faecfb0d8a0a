# SPDX-License-Identifier: Apache-2.0

BENCHES := $(BUILD)/tests/bench/malloc $(BUILD)/tests/bench/malloc-musl $(BUILD)/tests/bench/micro

# The peer: the same file without the allocator that is to be compared.
$(BUILD)/tests/bench/malloc-musl: $(OBJ)/tests/bench/malloc.o
	$(call quiet,LINK,$@) $(CC) $(LDFLAGS) -o $@ $<

##@ Measure

## What the profiler costs the program, each figure beside a peer of the same run.
.PHONY: bench
bench: $(BENCHES)
	@tests/bench/bench.sh $(BUILD)/tests/bench
