# SPDX-License-Identifier: Apache-2.0
# Third parties: tools by apt, sources by the lock, libraries in the cache. $(BUILD)/musl, glibc and
# glibc-thread are links into the cache; everything that is compiled depends on the .ready file of
# its link.

LIBRARY_INPUTS := $(addprefix image/,dependencies.lock fetch.sh sysroot.sh package.sh musl.specs) \
                  $(shell find image/recipes image/patches image/runtime image/gperftools -type f) \
                  $(realpath $(shell command -v $(CROSS)gcc))

# Looked at again when an input is newer; .ready changes only if the link then points elsewhere.
$(BUILD)/%.ready: $(BUILD)/%.checked
	@readlink $(BUILD)/$* | cmp -s - $@ || readlink $(BUILD)/$* > $@
$(BUILD)/%.checked: $(LIBRARY_INPUTS)
	@mkdir -p $(@D)
	@image/tools.sh need $(build_tools)
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" JOBS=$(JOBS) CROSS="$(CROSS)" MACHINE="$(MACHINE)" \
	    image/sysroot.sh $* $(BUILD)/$*
	@touch $@

$(BUILD)/qemu.ready: image/tools.sh
	@mkdir -p $(@D)
	@image/tools.sh need qemu && touch $@

##@ Start here

## The tools that are needed: which the machine has, and the Debian packages of the others.
.PHONY: doctor
doctor:
	@image/tools.sh doctor

##@ Measure

## What takes the program's bytes: sections, parts, largest functions; and what nobody calls, which
## fails but for what is kept on purpose.
.PHONY: size
size: $(PROGRAM)
	@image/linked/size.py --program $(PROGRAM) --map $(OBJ)/extproc.map -- $(linking)

##@ Clean

## Removes the cache too: the next build fetches and builds third parties again.
.PHONY: clean-cache
clean-cache: clean
	@# Go keeps its modules read-only.
	chmod -R u+w $(CACHE) 2>/dev/null; rm -rf $(CACHE)
