# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# The shell of the debug twin: what busybox/config names, as one program and the list of its applets.
# It is no library: nothing but the image takes it.
export KCONFIG_NOTIMESTAMP=1
make_busybox() {
    make -j "$JOBS" HOSTCC=gcc CROSS_COMPILE="$CROSS" CC="$CC" SKIP_STRIP=y \
        CONFIG_EXTRA_CFLAGS="$CFLAGS $HARDENING -g0" "$@"
}
# Its allnoconfig takes no list of exceptions, and asks nothing about what it turned off. So:
# everything that there is, turned off, then our list.
make_busybox allyesconfig
sed -i 's/^\(CONFIG_[A-Z0-9_]*\)=y$/# \1 is not set/' .config
grep '^CONFIG_' "$image/busybox/config" > wanted
sed 's/=.*//; s/.*/^(# )?&[ =]/' wanted > names
grep -vE -f names .config > rest
cat rest wanted > .config
yes '' | make_busybox oldconfig
# What it does not know it drops without a word.
if grep -vxFf .config wanted; then
    echo "busybox/config: these lines had no effect"
    exit 1
fi
make_busybox busybox
mkdir "$PREFIX/bin"
"${CROSS}strip" -o "$PREFIX/bin/busybox" busybox
# Asking the program itself would take the machine that it is for.
make_busybox busybox.links
sed 's,.*/,,' busybox.links | LC_ALL=C sort > "$PREFIX/bin/applets"
cp busybox_unstripped.map "$PREFIX/bin/map"
