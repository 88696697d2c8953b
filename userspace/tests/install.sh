#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# install.sh DIR - "make install" puts there what is listed here, with those modes, and "make
# uninstall" takes all of it away; so do "make dkms" and "make dkms-remove".  DIR: where things
# are built.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
tree=$(realpath ..) dest=$(mktemp -d) work=$(mktemp -d) out=$1
trap 'rm -rf "$dest" "$work"' EXIT
passed=0 failed=0

# check TEXT COMMAND...
check() {
	local text=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $text"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $text"
	fi
}

expected() {
	cat <<-EOF
	644 usr/local/lib/systemd/system/mrmd.service
	644 usr/local/share/bash-completion/completions/mrmctl
	644 usr/local/share/kvm-mrm/alerts.yml
	644 usr/local/share/kvm-mrm/grafana.json
	644 usr/local/share/man/man4/kvm_mrm.4
	644 usr/local/share/man/man8/mrmctl.8
	644 usr/local/share/man/man8/mrmd.8
	755 etc/libvirt/hooks/qemu.d/mrm
	755 usr/local/bin/mrmctl
	755 usr/local/sbin/mrmd
	EOF
}

as_expected() {
	diff <(expected) <(find "$dest" -type f -printf '%m %P\n' | LC_ALL=C sort)
}

unit_runs_it() {
	grep '^ExecStart=/usr/local/sbin/mrmd ' "$(find "$dest" -name mrmd.service)"
}

no_file() {
	[ -z "$(find "$dest" ! -type d)" ]
}

make_it() {
	make -s O="$out" DESTDIR="$dest" "$@"
}

# A module that is built in no time, beside the tools, which are built.
make_tree() {
	local headers=(/usr/src/linux-headers-*-amd64)
	kdir=${headers[0]}
	release=$(make -s -C "$kdir" kernelrelease) && mkdir "$work/debian" &&
		cp "$tree/Makefile" "$work/" && cp "$tree/debian/changelog" "$work/debian/" &&
		cp -rp "$tree/userspace" "$tree/Documentation" "$work/" &&
		rm -rf "$work/userspace/build" && cp -rp "$out" "$work/userspace/build" &&
		echo 'obj-m := kvm_mrm.o' >"$work/Kbuild" &&
		printf '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n' >"$work/kvm_mrm.c"
}

make_all() {
	make -s -C "$work" KDIR="$kdir" DESTDIR="$dest" "$@"
}

# The kernel's installation compresses it, if that kernel does.
all_expected() {
	diff <({ expected; echo "644 lib/modules/$release/updates/kvm_mrm.ko"; } | LC_ALL=C sort) \
		<(find "$dest" -type f -printf '%m %P\n' | sed 's/\.ko\.[a-z]*$/.ko/' |
			LC_ALL=C sort)
}

# In DKMS's place: it writes down what it is told.
make_dkms() {
	mkdir -p "$work/bin" &&
		printf '#!/bin/sh\necho "$*" >%s\n' "$work/told" >"$work/bin/dkms" &&
		chmod +x "$work/bin/dkms" &&
		PATH=$work/bin:$PATH make -s -C "$tree" dkms_source="$dest/source" "$@"
}

told() {
	diff "$work/told" <(echo "$1")
}

# What it is built from, and which version that is.
dkms_source() {
	local file
	for file in Kbuild src include debian/changelog; do
		diff -r "$tree/$file" "$dest/source/$file" || return
	done
	grep -qx "PACKAGE_VERSION=\"$version\"" "$dest/source/dkms.conf"
}

version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$tree/debian/changelog")
check "make install" make_it install
check "what is installed" as_expected
check "the unit runs mrmd from where it is" unit_runs_it
check "once more" make_it install
check "it is the same" as_expected
check "make uninstall" make_it uninstall
check "nothing is left" no_file
check "nor is that an error" make_it uninstall
check "a tree with a module" make_tree
check "make install of all" make_all install
check "the module is installed, too" all_expected
check "make uninstall of all" make_all uninstall
check "nothing is left of all" no_file
check "make dkms" make_dkms dkms
check "DKMS is told to install it" told "install kvm-mrm/$version"
check "and has what it is built from" dkms_source
check "make dkms-remove" make_dkms dkms-remove
check "DKMS is told to remove it" told "remove kvm-mrm/$version --all"
check "and nothing is left of it" no_file
echo "1..$((passed + failed))"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
