# SPDX-License-Identifier: Apache-2.0
# The tests in a real cluster.
#@   KIND_NODE=auto            kind-up: `stock`, kind's node image, or `built` from package registries
#@   KIND_NO_POLICY=1          kind-up: nothing enforces NetworkPolicies, to see test-kind fail
#@   KIND=auto                 .ci/run: `required` fails where there is no cluster (as where there was one before); or `off`

kind_folders = CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" FOLDER=$(BUILD)/kind
kind_cluster = $(kind_folders) tests/kind/cluster/cluster.sh

##@ Cluster

## A kind cluster with the image loaded; needs Docker, or podman (which it installs on Debian).
.PHONY: kind-up
kind-up: image chart
	@$(kind_cluster) up
	@$(kind_cluster) load $(BUILD)/image/extproc.tar $(BUILD)/image/extproc-debug.tar
	@echo "  To install: helm install envoy-ai-gateway $(BUILD)/charts/*.tgz"

## The tests in a cluster: enable, disable, port-forward, policies, traffic, as users do it. Makes
## the cluster if there is none, and leaves it.
.PHONY: test-kind
test-kind: image chart $(addprefix $(BUILD)/tests/,backend/backend bench/load)
	@$(kind_cluster) up
	@$(kind_folders) BUILD=$(BUILD) IMAGE=$(IMAGE):$(VERSION) tests/kind/test.sh \
	    $(TESTED)/counts/test-kind ./... $(if $(RUN),-run '$(RUN)')

## Removes the cluster and all that kind-up made outside build/ and the cache.
.PHONY: kind-down
kind-down:
	@$(kind_cluster) down

## For .ci/run: kind-up, test-kind and kind-down where the machine can; else it says why not.
.PHONY: ci-kind
ci-kind:
	+@MAKE="$(MAKE) --no-print-directory" $(kind_folders) tests/kind/ci.sh \
	    $(TESTED)/counts/ci-kind
