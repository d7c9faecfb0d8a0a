# SPDX-License-Identifier: Apache-2.0
# The chart: its package, and its tests, which need no cluster.

CHART       := charts/envoy-ai-gateway
CHART_FILES := $(shell find $(CHART) -type f) values.schema.json
chart_copy   := $(BUILD)/charts/envoy-ai-gateway
# As values.yaml has it.
chart_image  := localhost/envoy-ai-gateway/extproc
chart_tool   = $$(CACHE="$(CACHE)" tests/chart/tools.sh $(1))
chart_report = $(BUILD)/tests/chart
# Runs tests, and shows what they report.
chart_test   = mkdir -p $(BUILD)/tests && rm -f $(chart_report) && \
               { CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" CHART_REPORT=$(abspath $(chart_report)) \
                 MODULE=chart tests/go.sh $(BUILD)/release/tests/counts/test-chart ./... $(1) || failed=1; \
                 cat $(chart_report) 2> /dev/null; [ -z "$$failed" ]; }

##@ Build

## The chart's package, under build/charts/; its appVersion, and so the image's tag, is VERSION, its
## image IMAGE (docs/publishing.md).
.PHONY: chart
chart: $(CHART_FILES)
	@rm -rf $(BUILD)/charts && mkdir -p $(BUILD)/charts && cp -RL $(CHART) $(chart_copy)
	@sed -i 's|$(chart_image):[0-9.]*|$(chart_image):$(VERSION)|; s|$(chart_image)|$(IMAGE)|' \
	    $(addprefix $(chart_copy)/,Chart.yaml values.yaml README.md)
	$(call quiet,HELM,$(BUILD)/charts) $(call chart_tool,helm4) package $(chart_copy) \
	    --app-version "$(VERSION)" --destination $(BUILD)/charts > $(BUILD)/charts/log 2>&1 || \
	    { cat $(BUILD)/charts/log; exit 1; }

##@ Test

## The chart and the policies, without a cluster: both Helms, helm-unittest, schema, expected
## renderings, kubeconform, Pod Security, kube-score, and whether values, schema, README and
## templates agree (RUN=TestName for one).
.PHONY: test-chart
test-chart:
	@$(call chart_test,$(if $(RUN),-run '$(RUN)'))

## What the chart refuses, with the fix: tests/chart/nonsense.yaml, tried on both Helms.
.PHONY: nonsense
nonsense:
	@$(call chart_test,-run Nonsense -messages)

##@ Check

## The chart, by each Helm's own lint.
.PHONY: lint-chart
lint-chart:
	@for helm in $(call chart_tool,helm3 helm4); do \
	    output=$$($$helm lint --strict --quiet $(CHART) 2>&1) || { echo "$$output"; exit 1; }; done

##@ Change

## Writes the chart's expected renderings (tests/chart/golden), the table in its README, and the keys that it
## checks.
.PHONY: golden
golden:
	@$(call chart_test,-run 'Rendering|Readme|Keys' -update)
