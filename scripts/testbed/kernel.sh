# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# What the test host and its nested guests boot.  Sourced by lib.sh.

# kernel_source V - print a directory whose kernel/ is kernel V, unpacked.
kernel_source() {
	case $1 in
	6.1) debian bookworm ;;
	6.12) debian trixie ;;
	7.2) debian trixie-7.2 ;;
	debug | kcsan) debug_kernel "$1" ;;
	esac
}

# module_tree V - print the Debian tree to build modules for kernel V in, and the
# path of the headers in it.
module_tree() {
	local from headers
	from=$(kernel_source "$1")
	case $1 in
	debug | kcsan)
		printf '%s %s\n' "$(debian trixie)" "$from/headers"
		;;
	*)
		headers=$(echo "$from"/root/usr/src/linux-headers-*-amd64)
		printf '%s %s\n' "$from" "${headers#"$from/root"}"
		;;
	esac
}

make_kernel() {
	mkdir "$1"
	"$testbed/enter" "$trixie" --ro "$from" --rw "$1" -- \
		bash -s "$from" "$1" <"$testbed/pack-kernel"
}

# kernel V - print the path of a directory with vmlinuz, modules.erofs, release,
# and early/, the modules that the initramfs loads.
kernel() {
	local from trixie
	trixie=$(debian trixie)
	from=$(kernel_source "$1")
	artifact "kernel-$1" make_kernel "$from" "$testbed/pack-kernel"
}

make_guest() {
	mkdir "$1"
	"$testbed/enter" "$trixie" --ro "$trixie" --rw "$1" -- \
		bash -s "$trixie" "$1" <"$testbed/pack-guest"
}

# guest_base - print the path of a directory with vmlinux and base.cpio.
guest_base() {
	local trixie
	trixie=$(debian trixie)
	artifact guest make_guest "$trixie" "$testbed/pack-guest"
}

make_root() {
	"$testbed/enter" "$trixie" --ro "$trixie" --ro "$guest" --rw "${1%/*}" -- \
		bash -s "$trixie" "$guest" "$1" <"$testbed/pack-root"
}

# host_root - print the path of the test host's root image.
host_root() {
	local trixie guest
	trixie=$(debian trixie)
	guest=$(guest_base)
	artifact root make_root "$trixie" "$guest" "$testbed/pack-root"
}

make_initrd() {
	"$testbed/enter" "$trixie" --ro "$testbed" --ro "$kernel" --rw "${1%/*}" -- \
		bash -s "$testbed" "$kernel" "$1" <"$testbed/pack-initrd"
}

# initrd V - print the path of the initramfs of the test host.
initrd() {
	local trixie kernel
	trixie=$(debian trixie)
	kernel=$(kernel "$1")
	artifact "initrd-$1" make_initrd "$kernel" \
		"$testbed/pack-initrd" "$testbed/host-init"
}

# Ask QEMU what it can do: libvirt keeps the answers and asks again only when
# QEMU, libvirt, the kernel or the processor changed.
make_capabilities() {
	mkdir "$1" "$1.out"
	# shellcheck disable=SC2016 # for the shell in the host
	MRM_CAPABILITIES='' "$tree/scripts/host" --kernel "$version" --no-build --out "$1.out" -- \
		bash -c '. scripts/libvirt.sh && libvirt_start && virsh capabilities >/dev/null &&
			virsh domcapabilities >/dev/null &&
			cp /var/cache/libvirt/qemu/capabilities/* "$MRM_OUT/"'
	mv "$1.out"/*.xml "$1/"
}

# capabilities V - print the path of libvirt's capability cache on kernel V.
capabilities() {
	local version=$1 root kernel emulator
	root=$(host_root)
	kernel=$(kernel "$1")
	emulator=$(debian emulator)
	artifact "capabilities-$1" make_capabilities "$root" "$kernel" "$emulator" \
		"$testbed/accelerator.sh" "$testbed/libvirt/qemu.conf"
}
