# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The Debian trees everything else is made from.  Sourced by lib.sh.

# Packages of the machine itself; the rest comes from the trees.
outer_tools() {
	command -v mmdebstrap >/dev/null && return
	command -v apt-get >/dev/null ||
		die "mmdebstrap is not installed, and neither is apt-get to get it"
	say "installing mmdebstrap"
	apt_lists
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
		--no-install-recommends mmdebstrap >&2
}

# Which archives this machine takes Debian from: one line each, "label URI".
# apt is asked because it reads every format of sources there is, and because
# the origin in a signed Release file tells Debian's own archive from others.
archives() {
	# shellcheck disable=SC2016 # the dollars are for apt
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' \
		'Created-By: Packages' | sed -n 's/^Debian \(Debian[^ ]*\) /\1 /p' |
		sort -u
}

apt_lists() {
	if [ -z "$(archives)" ]; then
		apt-get -qq update >&2 || die "apt-get update failed"
	fi
	[ -n "$(archives)" ] ||
		die "apt has no Debian archive: see /etc/apt/sources.list(.d)"
}

# sources SUITE [BACKPORTS] - a sources.list for SUITE, and its backports if
# BACKPORTS is not empty.
sources() {
	local label uri
	archives | while read -r label uri; do
		case $label in
		Debian)
			printf 'deb %s %s main\n' "$uri" "$1"
			[ -z "${2-}" ] || printf 'deb %s %s-backports main\n' "$uri" "$1"
			;;
		Debian-Security) printf 'deb %s %s-security main\n' "$uri" "$1" ;;
		esac
	done
}

# Proxies, and the leave to use archives frozen in time, are the machine's.
apt_options() {
	apt-config dump |
		grep -E '^Acquire::(https?::Proxy[^ ]*|Check-Valid-Until|Check-Date|Retries) "[^"]' |
		sed 's/^/--aptopt=/'
}

packages() {
	sed 's/#.*//' "$testbed/packages.$1" | xargs | tr ' ' ,
}

# make_debian NAME SUITE RESULT [BACKPORTS [V]] - with the packages in packages.NAME.
# With BACKPORTS they are from there, if they are there; and there is no kernel but
# the newest V.x, if asked for.
make_debian() {
	local name=$1 suite=$2 result=$3 backports=${4-} version=${5-} options=() sources path
	sources=$(sources "$suite" "$backports")
	[ -n "$sources" ] || die "no Debian archive for $suite"
	mapfile -t options < <(apt_options)
	for path in doc man info locale lintian bug gtk-doc; do
		options+=("--dpkgopt=path-exclude=/usr/share/$path/*")
	done
	if [ -n "$backports" ]; then
		options+=("--aptopt=APT::Default-Release \"$suite-backports\"")
	fi
	if [ -z "$backports" ] || [ -n "$version" ]; then
		options+=("--customize-hook=$testbed/fetch-kernel \"\$1\" $version")
	fi
	mkdir -p "$result/mnt"
	mmdebstrap --mode=root --variant=apt --include="$(packages "$name")" \
		--format=directory "${options[@]}" \
		"$suite" "$result/root" - <<<"$sources"
	rm -rf "$result"/root/var/lib/apt/lists/* "$result"/root/var/cache/apt/*
}

make_trixie() { make_debian trixie trixie "$1"; }
make_bookworm() { make_debian bookworm bookworm "$1"; }
make_emulator() { make_debian emulator trixie "$1" backports; }
make_figures() { make_debian figures trixie "$1" backports; }
make_trixie-7.2() { make_debian trixie-7.2 trixie "$1" backports 7.2; }

# debian NAME - print the path of a tree: root/ to enter, and, but for those of the
# emulator and the figures, kernel/ unpacked.
debian() {
	artifact "$1" "make_$1" make_debian \
		"$testbed/fetch-kernel" "$testbed/packages.$1"
}
