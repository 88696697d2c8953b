#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# install.sh DIR - "make install" puts there what is listed here, with those modes, and "make
# uninstall" takes all of it away.  DIR: where things are built.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
dest=$(mktemp -d) out=$1
trap 'rm -rf "$dest"' EXIT
passed=0 failed=0

# check TEXT COMMAND...
check() {
	local text=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $text"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $text"
	fi
}

expected() {
	cat <<-EOF
	644 usr/local/lib/systemd/system/mrmd.service
	644 usr/local/share/bash-completion/completions/mrmctl
	644 usr/local/share/kvm-mrm/alerts.yml
	644 usr/local/share/kvm-mrm/grafana.json
	644 usr/local/share/man/man4/kvm_mrm.4
	644 usr/local/share/man/man8/mrmctl.8
	644 usr/local/share/man/man8/mrmd.8
	755 etc/libvirt/hooks/qemu.d/mrm
	755 usr/local/bin/mrmctl
	755 usr/local/sbin/mrmd
	EOF
}

as_expected() {
	diff <(expected) <(find "$dest" -type f -printf '%m %P\n' | LC_ALL=C sort)
}

unit_runs_it() {
	grep '^ExecStart=/usr/local/sbin/mrmd ' "$(find "$dest" -name mrmd.service)"
}

no_file() {
	[ -z "$(find "$dest" ! -type d)" ]
}

make_it() {
	make -s O="$out" DESTDIR="$dest" "$@"
}

check "make install" make_it install
check "what is installed" as_expected
check "the unit runs mrmd from where it is" unit_runs_it
check "once more" make_it install
check "it is the same" as_expected
check "make uninstall" make_it uninstall
check "nothing is left" no_file
check "nor is that an error" make_it uninstall
echo "1..$((passed + failed))"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
