# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034
#
# The test host in QEMU.  Sourced by scripts/host; sets emulator, the command that
# runs the host, emulator_tree, the Debian tree it is run in, and enter, the paths
# that it needs there.

emulator_tree=$(debian emulator)
dir=$(kernel "$kernel")
root=$(host_root)
initrd=$(initrd "$kernel")
# MRM_CAPABILITIES is set, to nothing, only while they are made.
capabilities=${MRM_CAPABILITIES-$(capabilities "$kernel")}

cp "$testbed/host-main" "$run/"
if [ -n "$capabilities" ]; then
	cp -rp "$capabilities" "$run/capabilities"
fi
printf '%s\n' "tree ro $tree" "out rw $out" >"$run/shares"

enter=(--ro "$tree" --rw "$out" --rw "$run" --ro "$dir" --ro "$root" --ro "$initrd")
emulator=(qemu-system-x86_64 -name kvm-mrm -nodefaults -no-user-config -display none -no-reboot -monitor none
	-smp "${smp:-2}$([ "$nodes" = 1 ] || echo ",sockets=${smp:-2}")" -m "${mem:-6G}" -kernel "$dir/vmlinuz" -initrd "$initrd"
	-append "$arguments" -serial "file:$console"
	-device virtio-rng-pci -device virtio-serial-pci)

# Processors, which are sockets, QEMU itself divides.
left=$(($(numfmt --from=iec "${mem:-6G}") >> 20))
for ((i = 0; nodes > 1 && i < nodes; i++)); do
	size=$((left / (nodes - i)))
	left=$((left - size))
	emulator+=(-object "memory-backend-ram,id=node$i,size=${size}M"
		-numa "node,nodeid=$i,memdev=node$i")
done

# shellcheck source=accelerator.sh
. "$testbed/accelerator.sh"
emulator+=("${accelerator[@]}")

disk() {
	emulator+=(-drive "file=$2,format=raw,if=none,id=$1,readonly=$3"
		-device "virtio-blk-pci,drive=$1,serial=$1")
}
disk root "$root" on
disk modules "$dir/modules.erofs" on
if [ -f "$results.erofs" ]; then
	enter+=(--ro "$results.erofs")
	disk build "$results.erofs" on
	echo "$results" >"$run/build"
else
	: >"$run/build"
fi
for i in "${!disks[@]}"; do
	enter+=(--rw "${disks[i]}")
	disk "disk$i" "${disks[i]}" off
done
if [ -n "$scratch" ]; then
	truncate -s "$scratch" "$run/scratch"
	disk scratch "$run/scratch" off
fi

if [ -n "$ide" ]; then
	truncate -s "$ide" "$run/ide"
	emulator+=(-drive "file=$run/ide,format=raw,if=none,id=ide" -device "ide-hd,drive=ide"
		# Plugged in nowhere.
		-netdev "hubport,id=nic,hubid=0" -device "e1000,netdev=nic,romfile=")
fi

share() {
	emulator+=(-virtfs "local,path=$2,mount_tag=$1,security_model=none,multidevs=remap,readonly=$3")
}
share mrm "$run" off
share tree "$tree" on
share out "$out" off

if [ -n "$shell" ]; then
	: >"$run/shell"
	emulator+=(-chardev "stdio,id=shell,signal=off" -device "virtconsole,chardev=shell")
else
	for stream in out err; do
		emulator+=(-chardev "file,id=$stream,path=$run/$stream"
			-device "virtserialport,chardev=$stream,name=mrm.$stream")
	done
fi
