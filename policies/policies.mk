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
