#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Others than vCPUs read and write guest RAM while it is shared: vhost, a disk
# with cache=none and asynchronous I/O, a disk with cache=none and QEMU's threads.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128
web=/run/mrm/web
server=
# What a transfer has in its buffers, as other guests have.
share_at_least=1024

disk() {
	define "$1" "$mib" --run "transfer disk $md5" --append "mrm.modules=virtio_blk" \
		--devices "<disk type='block' device='disk'>
		  <driver name='qemu' type='raw' cache='none' io='$2'/>
		  <source dev='$3'/><target dev='vda' bus='virtio'/>
		</disk>"
}

tap_device() {
	ip tuntap add mrm0 mode tap && ip addr add 192.0.2.1/24 dev mrm0 && ip link set mrm0 up
}

# vhost copies with the memory map of QEMU, in a thread of the kernel.
uses_vhost() {
	grep -q vhost-net <(ls -l "/proc/$(guest_pid "$1")/fd")
}

served() {
	equal "$(busybox wget -q -O - http://192.0.2.2/data | md5sum)" "$md5  -"
}

test_cleanup() {
	[ -z "$server" ] || kill "$server"
	ip link del mrm0 2>/dev/null
	rm -rf "$web"
	rmmod brd 2>/dev/null
}

test_begin 13
# Pages that are equal among themselves and, when they have come, between guests.
mkdir -p "$web"
head -c 256K /dev/urandom >"$web/part"
cat "$web"/part{,,,} >"$web/data"
md5=$(md5sum <"$web/data")
md5=${md5%% *}
{ modprobe brd rd_nr=2 rd_size=16384 && modprobe vhost_net; } || bail "no brd or vhost_net"
for device in /dev/ram0 /dev/ram1; do
	dd if="$web/data" of="$device" bs=1M status=none || bail "cannot write $device"
done
tap_device || bail "no tap device"
busybox httpd -f -p 192.0.2.1:80 -h "$web" &
server=$!

disk native native /dev/ram0
disk threads threads /dev/ram1
define net "$mib" --run "transfer net $md5 http://192.0.2.1/data" \
	--append "mrm.modules=virtio_net" \
	--devices "<interface type='ethernet'>
	  <target dev='mrm0' managed='no'/><model type='virtio'/><driver name='vhost'/>
	</interface>"

check "guests start" start native threads net
check "they are adopted" all "adopted $mib" native threads net
# The guests should get on as well.
scan_at 30
check "the network goes through vhost" uses_vhost net
check "they transfer" all memcheck_goes_on native threads net
check "pages are shared: asynchronous I/O" shares native "$share_at_least"
check "pages are shared: I/O by QEMU's threads" shares threads "$share_at_least"
check "pages are shared: vhost" shares net "$share_at_least"
check "what is read and written stays right" all "memcheck_goes_on_for 5" native threads net
check "what the guest sends is right" served
scan_stop
check "every page and frame is accounted for" consistent native threads net
check "they transfer when nobody scans" all memcheck_goes_on native threads net
check "sharing was broken" counter_is broken_pages -gt 0

guests_destroy
check "all is given back" wait_until 60 no_vms
test_end
