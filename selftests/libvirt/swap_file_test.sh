#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A guest without a balloon on less memory than it has: what it does not need goes to a swap
# file that mrmd made, and comes back, also to who saves it; the file grows when more is to go
# there, is the guest's as long as it runs, whatever becomes of mrmd, and goes with it.  A guest
# whose file would not fit is not started, nor is one from which too little can be taken where
# there are no files.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128
room=240		# MiB of the file system
plain=/run/mrm/swap
cow=/run/mrm/cow
files=$plain
saved=/run/mrm/saved
dumps=/var/tmp/mrm-dumps

test_cleanup() {
	[ -z "$mrmd_pid" ] || mrmd_kill
	cp "$mrmd_log" "$MRM_OUT/mrmd.log"
	hook_remove
	for files in "$plain" "$cow"; do
		! mountpoint -q "$files" || wait_until 30 umount "$files"
	done
	rm -rf "$saved" "$dumps"
}

file_of() {
	cat "$(vm_dir "$1")/swap_file"
}

define_a() {
	define a "$mib" --run 'memcheck -t -i 1000 40' --devices "<memballoon model='none'/>"
}

sets() {
	"$mrmctl" set "$@"
}

size_is() {
	equal "$(stat -c %s "$(file_of "$1")")" "$(($2 << 20))"
}

# slots_are GUEST MIB - as far as that can be told while pages come and go.
slots_are() {
	local slots=$(($(vm_counter "$1" swapped_pages) + $(vm_counter "$1" swap_cached_pages) +
		$(vm_counter "$1" swap_free_pages)))
	[ "$slots" -gt $((($2 - 8) << 8)) ] && [ "$slots" -le $((($2 + 7) << 8)) ]
}

# grows GUEST MIB - to so much, and the kernel uses it.
grows() {
	wait_until 30 size_is "$1" "$2" && wait_until 60 slots_are "$1" "$2"
}

# has_file GUEST MIB - all of max - min, of a mode that only root reads, and a name that says
# whose it is.
has_file() {
	local file
	wait_until 30 grep -q . "$(vm_dir "$1")/swap_file" || return
	file=$(file_of "$1")
	[[ $file = "$files/$1.$(guest_pid "$1")."*.swap ]] &&
		equal "$(stat -c '%s %a' "$file")" "$(($2 << 20)) 600"
}

# squeeze GUEST - three quarters of what it has, which a guest that still boots has not yet.
squeeze() {
	echo $(($(vm_counter "$1" consumed_bytes) * 3 / 4)) >"$mrm/limit_bytes" &&
		wait_until 60 vm_counter_is "$1" swapped_pages -gt 1000
}

# Who dumps reads all of it, and on less memory some of it goes to swap again behind him.
dumps_are_equal() {
	local swapped status=0
	virsh -q suspend a
	swapped=$(vm_counter a swap_ins)
	virsh -q dump --memory-only a "$dumps/1" && virsh -q dump --memory-only a "$dumps/2" &&
		cmp "$dumps/1" "$dumps/2" && vm_counter_is a swap_ins -gt "$swapped" || status=1
	virsh -q resume a
	rm -f "$dumps"/*
	return "$status"
}

in_use() {
	! flock --nonblock "$1" true
}

no_files() {
	[ -z "$(find "$files" -name '*.swap')" ]
}

save() {
	virsh -q save a "$saved" && wait_until 60 no_vms
}

restore() {
	virsh -q restore "$saved" && memcheck_goes_on a
}

# status TEXT FILTER - mrmctl says that, and to programs what makes the filter true.
status() {
	"$mrmctl" status | grep -F "$1" && "$mrmctl" status --json | jq -e "$2"
}

starts_mrmd() {
	mrmd_start --swap "$files"
}

starts_on_btrfs() {
	disk_mount 240 "$cow" btrfs && files=$cow && starts_mrmd
}

in_place() {
	lsattr "$1" | grep '^[^ ]*C'
}

limit() {
	echo $(($1 << 20)) >"$mrm/limit_bytes"
}

# What it has always then is less than it keeps anyway.
sets_min() {
	"$mrmctl" set --live a min=100MiB && vm_counter_is a min_bytes -eq $((100 << 20))
}

# 106.8 MiB are not promised to anybody, but of these 28 cannot be taken from the other one.
sets_no_more() {
	local said
	said=$("$mrmctl" set --live c min=96MiB 2>&1) && return 1
	echo "$said"
	[[ $said == *"less can be taken, as there is no swap"* ]]
}

test_begin '?'
mkdir -p "$dumps"
disk_mount "$room" "$files" || bail "no file system"
hook_install || bail "libvirt does not start"
# What is compressed needs no file.
echo 0 >"$mrm/zip_max"
check "mrmd starts" starts_mrmd
define b $((2 * mib))
define_a
check "a guest without a balloon is to have 32 MiB always" sets --config a min=32MiB
check "it starts" start a
check "it has a swap file" has_file a $((mib - 32))
check "mrmctl tells so" status "swap files in $files, where " \
	".swap.directory == \"$files\" and .guests[0].swap == \"yes\""
check "one whose file does not fit beside it is refused in words" \
	start_refused b "is to have a swap file of 256.0 MiB"
check "it fills its memory" memcheck_goes_on a
check "on less memory it is swapped" squeeze a
check "no byte is lost" memcheck_goes_on a
check "what it needs is read again" vm_counter_is a swap_ins -gt 0
check "every page is accounted for" consistent a
check "a dump reads what is swapped" dumps_are_equal

file=$(file_of a)
check "its min is lowered" sets --live a min=16MiB
check "its file grows" grows a $((mib - 16))
check "no byte is lost" memcheck_goes_on a
check "kill -9 of mrmd" mrmd_kill
check "the kernel has the file locked" in_use "$file"
check "no byte is lost" memcheck_goes_on a
check "its min is lowered again" sets --live a min=
check "mrmd starts again" starts_mrmd
check "and makes its file larger" grows a "$mib"
check "but leaves alone what is in it" memcheck_goes_on a 1
check "it is the guest's file still" equal "$(file_of a)" "$file"

echo 0 >"$mrm/limit_bytes"
check "the guest is saved" save
check "its file is gone" wait_until 60 no_files
check "restored, it goes on" restore
check "and has another file" has_file a "$mib"

mrmd_kill
guest_destroy a
check "a guest ends without mrmd" wait_until 60 no_vms
check "its file is left behind" is "$(find "$files" -name '*.swap' | wc -l)" -eq 1
check "the next mrmd starts" starts_mrmd
check "and removes it" wait_until 60 no_files
check "mrmd ends" mrmd_end

limit 0
check "mrmd starts, with a directory on btrfs" starts_on_btrfs
define_a
check "a guest starts" start a
check "it has a swap file" has_file a "$mib"
check "which is overwritten in place" in_place "$(file_of a)"
check "it fills its memory" memcheck_goes_on a
check "on less memory it is swapped" squeeze a
check "no byte is lost" memcheck_goes_on a
limit 0
guest_destroy a
check "its file is gone" wait_until 60 no_files
check "mrmd ends" mrmd_end

# Nothing is compressed, so a guest of 128 MiB without a balloon keeps all of it, and one of
# 128 MiB that has a balloon half of it.
check "without swap files mrmd starts" mrmd_start
define a "$mib" --devices "<memballoon model='none'/>"
define c "$mib"
limit 120
check "one of which too much cannot be taken is refused in words" \
	start_refused a "what neither a balloon nor compression takes from it"
limit 220
check "one that fits starts" guest_start a
check "it is known" wait_until 20 vm_text_is a balloon_state absent
check "mrmctl tells that it has no file" status "no swap files" \
	'.swap == null and .guests[0].swap == "no"'
check "it may have a higher min" sets_min
check "it is not promised to another" start_refused b "MiB cannot be taken from others"
check "who fits beside it starts" guest_start c
check "and is known" wait_until 20 vm_text_is c balloon_state booting
check "it gets no min out of what cannot be taken from the other" sets_no_more
check "mrmd ends, too" mrmd_end
test_end
