#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# After another boot: the module is there, VMs are adopted; and after removal,
# nothing is.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

loaded_by_systemd() {
	journalctl -b | grep -E 'modules-load|Load Kernel Modules|kvm'
	journalctl -b -t systemd-modules-load | grep -q "Inserted module 'kvm_mrm'"
}

# Not from the share: programs executed over 9p fail now and then.  Tests that unload
# the module load it again from a file.
vms_are_adopted() {
	local module
	module=$(modinfo -n kvm_mrm)
	cp -r "$share/build" /root/ &&
		case $module in
		*.xz) xz -dc "$module" ;;
		*) cat "$module" ;;
		esac >/root/build/kvm_mrm.ko &&
		MRM_BUILD=/root/build MRM_OUT=$share/out "$share/selftests/run" --only adopt \
			--only share_exact
}

# The tests have unloaded it.
load_again() {
	not module_loaded && modprobe kvm_mrm && module_loaded
}

purge() {
	apt-get -q -y purge "${packages[@]}"
}

# What came for us and is recommended or suggested by what was there before, as
# ca-certificates is by openssl, apt would keep.
autoremove() {
	apt-get -q -y -o APT::AutoRemove::RecommendsImportant=false \
		-o APT::AutoRemove::SuggestsImportant=false autoremove --purge
}

nothing_left() {
	all_files >"$share/out/after"
	diff "$share/out/before" "$share/out/after"
}

nothing_mentions_it() {
	local found
	found=$(grep -rlE 'kvm.mrm|mrmctl' /etc /usr/lib/modules /usr/src /var/lib/dkms \
		/var/lib/dpkg/status /var/lib/dpkg/info 2>/dev/null)
	echo "$found"
	[ -z "$found" ]
}

check "the module is loaded" module_loaded
check "systemd-modules-load did it" loaded_by_systemd
check "it is the one that DKMS built" module_is_ours
check "VMs are adopted and share (selftests)" vms_are_adopted
grep -E '^(adopt|share_exact) |passed' "$log" | sed 's/^/# /'
check "it can be loaded again" load_again
check "apt purges both packages" purge
check "which unloads the module" not module_loaded
check "apt removes what they needed" autoremove
check "no file is left, and /etc is as it was" nothing_left
check "nothing mentions it" nothing_mentions_it
finish
