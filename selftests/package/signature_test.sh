#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A boot with module.sig_enforce=1: the kernel does not know the key of the machine, with which
# DKMS signed the module.  All else goes on, and who asks is told why.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

signed_modules_only() {
	[ "$(</sys/module/module/parameters/sig_enforce)" = Y ]
}

# It is there, and signed.
not_loaded() {
	modinfo -F signer "$(modinfo -n kvm_mrm)" | grep . &&
		[ ! -e /sys/module/kvm_mrm ] && not module_loaded
}

# As Documentation/install.md has it.
modprobe_says() {
	local said
	said=$(modprobe kvm_mrm 2>&1) && { echo "it is loaded"; return 1; }
	grep 'Key was rejected by service' <<<"$said" &&
		dmesg | grep 'Loading of module with unavailable key is rejected'
}

systemd_says() {
	journalctl --sync
	journalctl -b -t systemd-modules-load
	systemctl -q is-failed systemd-modules-load &&
		journalctl -b -t systemd-modules-load -o cat |
		grep "'kvm_mrm': Key was rejected by service"
}

# What is signed by who built the kernel is loaded, and nothing else has failed.
boot_goes_on() {
	local failed
	failed=$(systemctl list-units --failed --plain --no-legend --no-pager)
	echo "$failed"
	systemctl is-active sysinit.target && [ "$(awk '{ print $1 }' <<<"$failed")" = \
		systemd-modules-load.service ]
}

kvm_works() {
	lsmod | grep -E '^kvm_(amd|intel) ' && [ -c /dev/kvm ]
}

mrmd_says() {
	systemctl start mrmd || return
	journalctl --sync
	journalctl -b -u mrmd -o cat
	systemctl is-active mrmd && journalctl -b -u mrmd -o cat |
		grep 'not loaded, and this kernel takes only modules signed with a key'
}

doctor_says() {
	local said
	said=$(mrmctl doctor) && { echo "no problem: $said"; return 1; }
	echo "$said"
	grep -A 1 'kernel refused its signature, as it does not know the key$' <<<"$said" |
		grep 'boot without module.sig_enforce=1' && grep -q '^1 problems, ' <<<"$said"
}

# With a key of one's own, as Documentation/install.md has it.  Neither is this one known.
sign_by_hand() {
	mkdir -p /root/sign && cd /root/sign || return
	openssl req -new -x509 -nodes -subj '/CN=one of our own' -newkey rsa:2048 -keyout KEY.priv \
		-outform DER -out KEY.der || return
	copy_module kvm_mrm.ko &&
		"/usr/src/linux-headers-$(uname -r)/scripts/sign-file" sha256 KEY.priv KEY.der \
			kvm_mrm.ko &&
		[ "$(modinfo -F signer ./kvm_mrm.ko)" = 'one of our own' ] &&
		insmod ./kvm_mrm.ko 2>&1 | grep 'Key was rejected by service'
}

check "the kernel takes signed modules only" signed_modules_only
check "the module, which DKMS signed, is not loaded" not_loaded
check "systemd-modules-load has failed, and says why" systemd_says
check "nothing else has, and the boot goes on" boot_goes_on
check "KVM works" kvm_works
check "modprobe and the kernel say why" modprobe_says
check "mrmd runs, and says why" mrmd_says
check "mrmctl doctor says why, and what to do" doctor_says
check "a module can be signed with another key, which is refused as well" sign_by_hand
finish
