# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034
#
# Decide whether the machine's own KVM can run the test host.  Sourced by
# scripts/host; sets accelerator.

# la57=off: the emulator walks the tables of host and nested guest in software,
# and a fifth level makes each walk longer for nothing.
emulated_processor=(-accel "tcg,thread=multi,tb-size=1024" -cpu "max,la57=off")

# /dev/kvm alone proves nothing: a paravirtual KVM opens, and creates a VM, that
# cannot run a stock kernel.
nested_kvm() {
	grep -qwE 'vmx|svm' /proc/cpuinfo &&
		grep -qE '^[Y1]' /sys/module/kvm_{intel,amd}/parameters/nested 2>/dev/null &&
		[ -w /dev/kvm ]
}

probe_kvm() {
	timeout 30 "$testbed/enter" "$emulator_tree" --ro "$dir" --ro "$initrd" -- \
		qemu-system-x86_64 -accel kvm -cpu host -m 512 -nodefaults -display none \
		-no-reboot -serial stdio -kernel "$dir/vmlinuz" -initrd "$initrd" \
		-append "console=ttyS0 loglevel=5 panic=-1 mrm.probe" </dev/null 2>&1 |
		grep -q "probe reached init"
}

if nested_kvm && probe_kvm; then
	accelerator=(-accel kvm -cpu host)
else
	accelerator=("${emulated_processor[@]}")
fi
