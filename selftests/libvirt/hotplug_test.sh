#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Memory plugged into a running guest is adopted and shared like what it started
# with, and unplugged it is given back, while the scanner runs.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=224
# What a guest's kernel takes at a time.
dimm=128
dimm_xml=$libvirt_test_dir/dimm.xml

plug() {
	virsh -q "$1-device" a "$dimm_xml" --live
}

# The guest allocates from it, and verifies that.
used() {
	wait_until 90 vm_counter_is a resident_pages -ge $((resident + (dimm / 4 << 8))) &&
		memcheck_goes_on a
}

test_begin 13
cat >"$dimm_xml" <<-XML
	<memory model='dimm'>
	  <target><size unit='MiB'>$dimm</size><node>0</node></target>
	</memory>
XML
# All of it movable, so that the guest can give it back.
define a "$mib" --run 'memcheck -f -i 300 24' \
	--append 'memhp_default_state=online_movable transparent_hugepage=never' \
	--domain "<maxMemory slots='2' unit='MiB'>1024</maxMemory>" \
	--cpu "<numa><cell id='0' cpus='0' memory='$mib' unit='MiB'/></numa>"
define b "$mib" --run 'memcheck -s 2 -i 300 64'

check "guests start" start a b
check "they are adopted" all "adopted $mib" a b
# The guest goes through much of its memory again and again; let it.
scan_at 20
check "they use their memory" all memcheck_goes_on a b
check "pages are shared" shares b 1024
resident=$(vm_counter a resident_pages)
check "memory is plugged in" plug attach
check "it is adopted" wait_until 60 adopted $((mib + dimm)) a
check "the guest uses it" used
check "no page was lost" all memcheck_goes_on a b
check "it is unplugged" plug detach
check "the guest gives it back" wait_until 90 adopted "$mib" a
check "no page was lost" all memcheck_goes_on a b
scan_stop
check "every page and frame is accounted for" consistent a b

guests_destroy
check "all is given back" wait_until 60 no_vms
test_end
