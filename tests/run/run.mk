# SPDX-License-Identifier: Apache-2.0
# The main job on real input: a stand-in backend, a real Envoy, the external processor.
#@   ENVOY=0                   run: the processor alone
#@   ENVOY_PORT=10000          run: where Envoy listens
#@   TRAFFIC=50                run: large requests a second that it sends; 0: none at all
#@   EXTPROC_LISTEN=127.0.0.1:1063  EXTPROC_ADMIN_ADDRESS=127.0.0.1:1064  PPROF_ADDRESS=localhost:6060
#@                             run: these and all other settings of the processor reach it

BACKEND := $(BUILD)/tests/backend/backend
# A peer, so that nothing of the product is in it.
$(BACKEND): wrap :=

##@ Start here

## Two backends, Envoy, the processor and some traffic, until Ctrl-C; prints what to try.
.PHONY: run
run: $(PROGRAM) $(BACKEND)
	@image/tools.sh need run
	@CACHE="$(CACHE)" TARBALLS="$(TARBALLS)" PROGRAM=$(PROGRAM) BACKEND=$(BACKEND) FOLDER=$(BUILD)/run exec tests/run/run.sh
