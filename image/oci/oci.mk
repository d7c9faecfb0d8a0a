# SPDX-License-Identifier: Apache-2.0
# The image and its debug twin, without an engine.
#@   IMAGE=name                image: its name (localhost/envoy-ai-gateway/extproc); the tag is VERSION
#@   FRESH=1                   image-verify: the second time with libraries built anew
#@   ARCHIVE=-index            image-scan: look at the archives of both machines
#@   SOURCE_DATE_EPOCH=...     image: the date in it (that of the last commit)

IMAGE             ?= localhost/envoy-ai-gateway/extproc
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
image_inputs      := $(wildcard image/oci/* image/linked/*) image/compiler.lock image/dependencies.lock LICENSE \
                     $(BUILD)/version

##@ Build

## The image build/image/extproc.tar, and extproc-debug.tar with a shell; podman, docker and kind
## load both. Beside them, and inside: their bills of materials (SPDX).
.PHONY: image
image: $(BUILD)/image/extproc.tar

$(BUILD)/image/extproc.tar: $(PROGRAM) $(BUILD)/busybox.made $(image_inputs)
	@image/tools.sh need run
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" image/fetch.sh \
	    $$(awk '$$6 == "debian-source" && $$1 != "cmocka" { print $$1 }' image/dependencies.lock)
	@SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) python3 image/oci/extproc.py --program $(PROGRAM) \
	    --map $(OBJ)/extproc.map --busybox $(BUILD)/busybox --sources "$(CACHE)/sources" --name $(IMAGE) --version $(VERSION) \
	    --revision "$(shell git rev-parse HEAD 2>/dev/null)" --out $(@D)

# The machine that is not this one.
OTHER := $(filter-out $(HOST_ARCH),amd64 arm64)
## The images for both machines under one name, for pushing: build/image/extproc-index.tar, and
## extproc-debug-index.tar; the archives that are loaded are left in build/image and build/ARCH/image.
.PHONY: image-index
image-index: $(if $(CROSS),,$(BUILD)/image/extproc.tar)
	$(if $(CROSS),$(error image-index makes the images of both machines. Fix: leave out ARCH=$(ARCH)))
	+@$(MAKE) --no-print-directory ARCH=$(OTHER) BUILD=$(BUILD)/$(OTHER) image
	@for name in extproc extproc-debug; do image/oci/index.py --out $(BUILD)/image/$$name-index.tar \
	    $(BUILD)/image/$$name.tar $(BUILD)/$(OTHER)/image/$$name.tar || exit 1; done

## What the LGPL asks for, build/image/extproc-relink-*.tar.gz: the program's objects, its libraries, the
## sources of libmicrohttpd, and two scripts, to build another libmicrohttpd and link with that.
.PHONY: relink-kit
relink-kit: $(PROGRAM)
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" image/fetch.sh libmicrohttpd
	@python3 image/linked/kit.py --program $(PROGRAM) --map $(OBJ)/extproc.map \
	    --sources "$(CACHE)/sources" --out $(BUILD)/image -- $(linking)

##@ Measure

## What takes the images' bytes, file by file, compressed; then `size` of the program.
.PHONY: image-report
image-report: $(BUILD)/image/extproc.tar
	@image/linked/report.py $(BUILD)/image/extproc.tar $(BUILD)/image/extproc-debug.tar
	@echo
	+@$(MAKE) --no-print-directory size

##@ Check

## Builds the images twice, in different folders and on different days, and compares digests. FRESH=1: the
## second time with libraries built anew, too.
.PHONY: image-verify
image-verify:
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" FRESH=$(FRESH) image/verify.sh $(BUILD)/verify \
	    ARCH=$(ARCH) BUILD=build VERSION=$(VERSION) IMAGE=$(IMAGE) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH)

## The table of what the image promises, by looking at the archives; fails on a breach. Also whether the
## bills of materials are valid SPDX; what differs in the twin.
.PHONY: image-scan
image-scan: $(if $(ARCHIVE),image-index,$(BUILD)/image/extproc.tar) $(BUILD)/tests/image-scan
	@tools=$$(CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" image/linked/spdx-tools.sh) && \
	    PYTHONPATH=$$tools image/linked/validate.py $(BUILD)/image/*.spdx.json \
	    $(if $(ARCHIVE),$(BUILD)/$(OTHER)/image/*.spdx.json)
	@$(BUILD)/tests/image-scan $(BUILD)/image/extproc$(ARCHIVE).tar $(BUILD)/image/extproc-debug$(ARCHIVE).tar \
	    $(CURDIR) $(abspath $(BUILD) $(CACHE)) $(HOME)

$(BUILD)/tests/image-scan: $(wildcard tests/image/scan/*.go tests/image/image-scan/*.go)
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" tests/go-build.sh $@ ./image/image-scan

##@ Test

## The image, without an engine: the same bytes twice, what is in it, its health check.
.PHONY: test-image
test-image:
	+@$(MAKE) --no-print-directory test-go G=./image/...

# $(BUILD)/busybox is a link into the cache, where nothing is written.
$(BUILD)/busybox.made: $(BUILD)/musl.ready $(addprefix image/,recipes/busybox.sh busybox/config \
    package.sh oci/busybox.sh)
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" JOBS=$(JOBS) CROSS="$(CROSS)" MACHINE="$(MACHINE)" \
	    image/oci/busybox.sh $(BUILD)/musl $(BUILD)/busybox
	@touch $@
