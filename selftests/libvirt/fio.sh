# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Guests that run fio on a disk, as a rule one which reaches 32 bits of address.  Sourced by
# tests and comparisons with whole guests, after libvirt.sh.
#
# The guests' disks are pieces of that disk, past the host's page cache, so what a guest reads
# and writes goes to and from its own memory.

# scripts/host --ide
fio_disk=${MRM_FIO_DISK:-/dev/disk/by-id/ata-ide}
fio_tool=/run/mrm/fio.erofs

# fio_begin - make the file system that guests run fio from: it, and the 60 libraries that it
# is linked with, which a guest has no memory to keep a copy of.
fio_begin() {
	local dir=/run/mrm/fio
	mkdir -p "$dir"/{dev,proc,tmp}
	# shellcheck disable=SC2046 # paths without spaces
	cp --parents -L $(ldd /usr/bin/fio | grep -o '/[^ ]*') /usr/bin/fio "$dir"
	rm -f "$fio_tool"
	mkfs.erofs --quiet "$fio_tool" "$dir"
	rm -r "$dir"
	modprobe -q dm_mod
}

# fio_piece NAME FIRST_MIB MIB - a piece of the disk, as /dev/mapper/NAME.
fio_piece() {
	dmsetup create "$1" --table "0 $(($3 << 11)) linear $fio_disk $(($2 << 11))" &&
		dmsetup mknodes "$1"
}

# fio_devices NAME AIO - XML of a guest's disks: vda is that file system, vdb the piece NAME.
# AIO is native or io_uring, QEMU's ways to do I/O past the cache; threads is the third.
fio_devices() {
	cat <<-XML
	<disk type='file' device='disk'>
	  <driver name='qemu' type='raw' cache='writeback'/>
	  <source file='$fio_tool'/><target dev='vda' bus='virtio'/>
	  <readonly/><shareable/>
	</disk>
	<disk type='block' device='disk'>
	  <driver name='qemu' type='raw' cache='none' io='$2'/>
	  <source dev='/dev/mapper/$1'/><target dev='vdb' bus='virtio'/>
	</disk>
	XML
}

# fio_mount - what such a guest runs before any fio_run.
fio_mount() {
	echo "mkdir /fio; mount -t erofs -o ro /dev/vda /fio; mount -o bind /dev /fio/dev;" \
		"mount -t proc proc /fio/proc;"
}

# fio_run OPTION... - what it runs, to the end; console lines "3;fio-VERSION;NAME;..." are what fio
# says.  Not through a pipe, in which lines would wait for others; and without percentiles, which
# fio fails to compute now and then while it goes on.
fio_run() {
	echo "chroot /fio /usr/bin/fio --filename=/dev/vdb --minimal --eta=never" \
		"--clat_percentiles=0 $*;"
}
