# SPDX-License-Identifier: Apache-2.0
#@   ROUNDS=7                  bench: rounds of each figure

BENCHES := $(addprefix $(BUILD)/tests/bench/,malloc malloc-musl micro null) $(BUILD)/tests/backend/backend
# In Go: what puts the processor under load, the peer, and what compares.
GO_BENCHES := $(addprefix $(BUILD)/tests/bench/,load goserver compare)
bench_package_load     := ./bench/load
bench_package_goserver := ./bench/goserver
bench_package_compare  := ./bench/speed test -c

# The peer: the same file without the allocator that is to be compared.
$(BUILD)/tests/bench/malloc-musl: $(OBJ)/tests/bench/malloc.o
	$(call quiet,LINK,$@) $(CC) $(LDFLAGS) -o $@ $<

$(GO_BENCHES): $(BUILD)/tests/bench/%: tests/go.mod $(shell find tests/internal tests/bench -name '*.go')
	$(call quiet,GO,$@) CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" tests/go-build.sh $@ $(bench_package_$*)
# Its tests see that the servers that are compared do the job.
test-go: $(BUILD)/tests/bench/goserver

##@ Measure

## What the processor costs beside a server in Go and one that does not look, and what the profiler
## costs beside a peer of the same run. Judges nothing: machines differ.
.PHONY: bench
bench: bench-speed bench-profiler

## The processor: CPU, throughput, latency, memory, start; directly and through Envoy.
.PHONY: bench-speed
bench-speed: $(PROGRAM) $(BENCHES) $(GO_BENCHES)
	@cd tests/bench/speed && CACHE="$(CACHE)" BUILT="$(abspath $(BUILD))" EXTPROC_BINARY="$(abspath $(PROGRAM))" \
	    ROUNDS=$(ROUNDS) $(abspath $(BUILD))/tests/bench/compare -test.run '^$$' -test.bench . -test.benchtime 1x

## The profiler.
.PHONY: bench-profiler
bench-profiler: $(PROGRAM) $(BENCHES) $(GO_BENCHES)
	@tests/bench/bench.sh $(BUILD)/tests/bench $(PROGRAM)

## The load of the benches as a command: build/tests/bench/load --help.
.PHONY: bench-load
bench-load: $(BUILD)/tests/bench/load
