#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A guest whose kernel has no driver for its balloon: for five minutes it is thought to
# boot, then it is known for what it is, and the host takes from it what another guest
# would have given.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

test_cleanup() {
	[ -z "$mrmd_pid" ] || mrmd_kill
	cp "$mrmd_log" "$MRM_OUT/mrmd.log"
}

balloon_is_said() {
	equal "$("$mrmctl" status --json | jq -r '.guests[0].balloon_state')" "$1" &&
		vm_text_is a balloon_state "$1"
}

says() {
	grep -E "$1" "$mrmd_log"
}

# Memory for three quarters of what it has.
limit() {
	has=$(vm_counter a consumed_bytes)
	echo $((has * 3 / 4)) >"$mrm/limit_bytes"
}

is_taken() {
	vm_counter_is a consumed_bytes -lt $((has * 3 / 4)) && is "$(vm_counter a zipped_pages)" -gt 0
}

keeps_its_balloon_empty() {
	vm_counter_is a balloon_bytes -eq 0
}

test_begin '?'
echo 50 >"$mrm/zip_max"
# shellcheck disable=SC2119 # with its defaults
mrmd_start || bail "mrmd does not start"
define a 128 --append module_blacklist=virtio_balloon --run 'memcheck -i 2000 40'
check "a guest without a driver starts" start a
check "at first it may still be booting" wait_until 30 balloon_is_said booting
check "after five minutes it is driverless" wait_until 400 balloon_is_said driverless
check "mrmd says so" says 'guest a: balloon driverless'
check "its memory is what it was" memcheck_goes_on a
check "it has less memory than it uses" limit
check "the host takes some" wait_until "$slow" is_taken
check "and waits for no balloon" keeps_its_balloon_empty
check "its memory is what it was" memcheck_goes_on a
echo 0 >"$mrm/limit_bytes"
check "mrmd ends" mrmd_end
test_end
