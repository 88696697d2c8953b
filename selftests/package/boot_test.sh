#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# After another boot: the module is there, VMs are adopted; removed while a guest runs, the
# module serves that until its end; and then nothing is left.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

swap=/var/lib/mrm/swap
said=$share/out/apt

loaded_by_systemd() {
	journalctl -b | grep -E 'modules-load|Load Kernel Modules|kvm'
	journalctl -b -t systemd-modules-load | grep -q "Inserted module 'kvm_mrm'"
}

# Not from the share: programs executed over 9p fail now and then.  Tests that unload
# the module load it again from a file.
copy() {
	cp -r "$share/build" /root/ && copy_module /root/build/kvm_mrm.ko
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

# apt_get ARGUMENT... - and what it says is kept.
apt_get() {
	local status=0
	apt-get -q -y "$@" >"$said" 2>&1 || status=$?
	cat "$said"
	return "$status"
}

tools_gone() {
	local file
	for file in /usr/bin/mrmctl /usr/sbin/mrmd /usr/lib/modules-load.d/kvm-mrm.conf; do
		[ ! -e "$file" ] || { echo "$file is there"; return 1; }
	done
	not systemctl is-active mrmd
}

built_by_dkms_gone() {
	local found
	found=$(find /var/lib/dkms /usr/src -maxdepth 1 -name 'kvm-mrm*')
	echo "$found"
	not modinfo -n kvm_mrm && [ -z "$found" ]
}

removed_alone() {
	not module_loaded && tools_gone && modinfo -n kvm_mrm
}

installed_again() {
	apt_get install "$share"/packages/kvm-mrm_*.deb && module_loaded &&
		systemctl is-active mrmd
}

# Lines to and from it.  Both ways, so that to write is no error when it is gone.
guest_starts() {
	cd /root/build && mkfifo to from || return
	exec 7<>to
	MRM_PATIENCE=4 selftests/package/guest <to >from 2>&1 &
	guest=$!
	exec 8<from
	guest_says ready
}

guest_says() {
	local line
	while read -r -t 240 -u 8 line; do
		echo "$line"
		[ "$line" != "$1" ] || return 0
		[[ $line == '#'* ]] || return
	done
	return 1
}

# It has verified all of its RAM, and what it had taken since is in its swap file.
guest_is_right() {
	echo >&7 && guest_says right
}

guest_ends() {
	echo end >&7 && wait "$guest"
}

# In words of the packages, and not of rmmod alone.
says_that_it_stays() {
	grep '^kvm-mrm: guests run .* stays loaded.* until the next boot, or rmmod' "$said" &&
		grep '^kvm-mrm-dkms: .* stays loaded, without its file' "$said"
}

module_in_use() {
	module_loaded && [ "$(</sys/module/kvm_mrm/refcnt)" -gt 0 ]
}

# The kernel may be about to let go of the guest.
unload() {
	soon 60 rmmod kvm_mrm
}

nothing_loaded() {
	local file
	for file in /sys/module/kvm_mrm /sys/kernel/mrm /sys/kernel/debug/mrm; do
		[ ! -e "$file" ] || { echo "$file is there"; return 1; }
	done
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
check "apt removes kvm-mrm" apt_get remove kvm-mrm
check "which unloads the module, ends mrmd, and leaves what DKMS built" removed_alone
check "apt installs it again: the module is loaded, mrmd runs" installed_again
check "a guest shares, zips, and swaps to a file that mrmd made" guest_starts
check "apt removes kvm-mrm-dkms, and so both, while the guest runs" apt_get remove kvm-mrm-dkms
check "it says that the module stays, and until when" says_that_it_stays
check "the module stays" module_in_use
check "mrmd has ended, the tools are gone" tools_gone
check "what DKMS built is gone" built_by_dkms_gone
check "the guest goes on, and every byte of it is right" guest_is_right
check "apt purges what is left, while it still runs" apt_get purge kvm-mrm
check "swap files have no names any more" not test -e /var/lib/mrm
check "the guest reads what it had swapped" guest_is_right
check "and what it swapped since" guest_is_right
check "unloading the module is refused" not rmmod kvm_mrm
check "the guest ends" guest_ends
check "then the module can be unloaded" unload
check "and nothing of it is loaded" nothing_loaded
check "apt removes what they needed" autoremove
check "no file is left, and /etc is as it was" nothing_left
check "nothing mentions it" nothing_mentions_it
finish
