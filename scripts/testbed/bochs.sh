# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034
#
# The test host in Bochs, which emulates Intel's EPT.  Sourced by scripts/host; sets
# emulator, emulator_tree and enter, as qemu.sh does.

# As if from backports, as a tree without them gets a kernel, too.
make_bochs() { make_debian bochs trixie "$1" backports; }

make_bochs-base() {
	mkdir "$1"
	"$testbed/enter" "$emulator_tree" --ro "$from" --rw "$1" -- \
		bash -s "$from" "$1" <"$testbed/pack-bochs"
}

# What is left of COMMAND: the last serial port's archive, of which the status is
# the end.
bochs_results() {
	mkdir "$run/back"
	tar -C "$run/back" -xzf "$run/port4" 2>/dev/null || return 0
	cp -r "$run/back/out/." "$out/"
	cp "$run/back/status" "$run/status"
}

emulator_tree=$(debian bochs)
from=$(kernel_source "$kernel")
base=$(artifact "bochs-base-$kernel" make_bochs-base "$emulator_tree" "$from" \
	"$testbed/pack-bochs")
tree_files >"$run/files"

enter=(--ro "$tree" --rw "$out" --rw "$run" --ro "$base")
if [ -d "$results" ]; then
	enter+=(--ro "$results")
fi
megabytes=$(($(numfmt --from=iec "${mem:-512M}") >> 20))
# The kernel measures no time, finds no module's symbols slowly, and does not try out
# what it is not asked to.
arguments+=" reboot=t nokaslr mitigations=off tsc=reliable tsc_early_khz=60000"
arguments+=" cryptomgr.notests"
arguments+=" initcall_blacklist=jent_mod_init,trace_eval_init,init_kprobe_trace"
emulator=("$testbed/run-bochs" "$base" "$tree" "$results" "$run" "$out" "$megabytes"
	"$arguments")
