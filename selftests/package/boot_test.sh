#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# After another boot: the module is there, VMs are adopted; and after removal,
# nothing is.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

swap=/var/lib/mrm/swap

loaded_by_systemd() {
	journalctl -b | grep -E 'modules-load|Load Kernel Modules|kvm'
	journalctl -b -t systemd-modules-load | grep -q "Inserted module 'kvm_mrm'"
}

# Not from the share: programs executed over 9p fail now and then.  Tests that unload
# the module load it again from a file.
copy() {
	local module
	module=$(modinfo -n kvm_mrm)
	cp -r "$share/build" /root/ &&
		case $module in
		*.xz) xz -dc "$module" ;;
		*) cat "$module" ;;
		esac >/root/build/kvm_mrm.ko
}

mrmd_serves() {
	grep -s "^$swap/" /sys/kernel/mrm/vm/*/swap_file
}

no_swap_file() {
	[ -z "$(ls -A "$swap")" ]
}

# soon SECONDS COMMAND... - COMMAND succeeds by then.
soon() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return
		sleep 0.2
	done
}

# With no more rights than its unit leaves it: it sees a VM come, makes a file, hands it over,
# and removes it.
mrmd_makes_swap() {
	local vm failed=0
	# The test is all that this boot is for, so what is enabled has not been started.
	systemctl -q is-enabled mrmd && systemctl start mrmd || return
	MRM_KO=/root/build/kvm_mrm.ko /root/build/selftests/kvm/share_exact_test &
	vm=$!
	soon 60 mrmd_serves || failed=1
	wait "$vm" && soon 60 no_swap_file || failed=1
	[ "$failed" = 0 ] || journalctl -b -u mrmd --no-pager
	return "$failed"
}

vms_are_adopted() {
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
check "module and selftests are copied" copy
check "mrmd, as its unit has it, makes swap files for VMs and removes them" mrmd_makes_swap
check "VMs are adopted and share (selftests)" vms_are_adopted
grep -E '^(adopt|share_exact) |passed' "$log" | sed 's/^/# /'
check "it can be loaded again" load_again
check "apt purges both packages" purge
check "which unloads the module" not module_loaded
check "apt removes what they needed" autoremove
check "no file is left, and /etc is as it was" nothing_left
check "nothing mentions it" nothing_mentions_it
finish
