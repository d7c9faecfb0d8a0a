# SPDX-License-Identifier: Apache-2.0
# The policies: their tests, which need no cluster.

##@ Test

## The policies, without a cluster: admission by the API server's own plugin, network policies by an
## evaluator of others and by the schemas of those who enforce them (RUN=TestName for one; UPDATE=1
## writes the expected files).
.PHONY: test-policies
test-policies:
	@mkdir -p $(BUILD)/tests
	@rm -f $(BUILD)/tests/policies
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" POLICIES_REPORT=$(abspath $(BUILD))/tests/policies \
	    MODULE=policies tests/go.sh $(BUILD)/release/tests/counts/test-policies ./... \
	    $(if $(RUN),-run '$(RUN)') $(if $(UPDATE),-update) || failed=1; \
	    cat $(BUILD)/tests/policies 2> /dev/null; [ -z "$$failed" ]

##@ Check

## policies/seccomp/extproc.json says what the program's own filter says.
.PHONY: lint-seccomp
lint-seccomp: $(BUILD)/seccomp.json
	@diff -u policies/seccomp/extproc.json $< || { echo "policies/seccomp/extproc.json:1: seccomp: it is not src/sandbox/syscalls.def. Fix: make seccomp"; exit 1; }

$(BUILD)/seccomp.json: policies/seccomp/profile.c src/sandbox/syscalls.def src/sandbox/checks.h $(BUILD)/$(LIBC).ready
	$(call quiet,GEN,$@) $(compile) $(warnings) $(LDFLAGS) -o $(BUILD)/seccomp $< $(link) && $(EMULATOR) $(BUILD)/seccomp > $@

##@ Change

## Writes policies/seccomp/extproc.json from src/sandbox/syscalls.def.
.PHONY: seccomp
seccomp: $(BUILD)/seccomp.json
	cp $< policies/seccomp/extproc.json
