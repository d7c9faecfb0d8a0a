# SPDX-License-Identifier: Apache-2.0
# The machine that all is built for, and what differs between machines: the compiler's name, its
# flags, who runs the result. In the C it is one header, src/pprof/stack/ARCH/registers.h.
#@   ARCH=arm64                build for this machine, in build/arm64; tests run under qemu

HOST_ARCH := $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))
ARCH      ?= $(HOST_ARCH)

# Name of the compiler, name of qemu's program.
machine_amd64 := x86_64-linux-gnu  qemu-x86_64-static
machine_arm64 := aarch64-linux-gnu qemu-aarch64-static
# Atomics inline: libgcc's helpers, which choose at run time, are assembly without unwind rows that
# no sample could be walked through. The erratum corrupts addresses; Debian's gcc works around it,
# but for that the link line of image/musl.specs needs to be told.
flags_arm64   := -mno-outline-atomics -mfix-cortex-a53-843419

ifeq ($(machine_$(ARCH)),)
$(error ARCH=$(ARCH): it can be amd64 or arm64)
endif
ifneq ($(ARCH),$(HOST_ARCH))
ifneq ($(SAN),)
$(error SAN=$(SAN) takes the C library of this machine: leave out ARCH=$(ARCH))
endif
CROSS     := $(firstword $(machine_$(ARCH)))-
EMULATOR  := $(lastword $(machine_$(ARCH)))
endif
MACHINE   := $(flags_$(ARCH))
BUILD     ?= build$(if $(CROSS),/$(ARCH))
emulator_ready := $(if $(CROSS),$(BUILD)/qemu.ready)
# Which tools the machine must have for it, as image/tools.sh calls them.
build_tools := build $(if $(CROSS),$(ARCH))
