# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The Debian trees that packages are built in and installed to.  Sourced by lib.sh.

# suite_of V - print the Debian release whose kernel is V.
suite_of() {
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo trixie ;;
	*) die "no Debian release has kernel $1: there are 6.1 and 6.12" ;;
	esac
}

# bootstrap NAME SUITE ROOT [OPTION]... - the packages in packages.NAME, complete.
bootstrap() {
	local name=$1 suite=$2 root=$3 options=() sources
	shift 3
	sources=$(sources "$suite")
	[ -n "$sources" ] || die "no Debian archive for $suite"
	mapfile -t options < <(apt_options)
	mmdebstrap --mode=root --variant=apt --include="$(packages "$name")" \
		--format=directory "${options[@]}" "$@" "$suite" "$root" - <<<"$sources"
}

make_packaging() {
	mkdir -p "$1/mnt"
	bootstrap packaging "$suite" "$1/root"
	rm -rf "$1"/root/var/lib/apt/lists/* "$1"/root/var/cache/apt/*
}

# packaging SUITE - print the path of a tree to build packages for a release in.
packaging() {
	local suite=$1
	artifact "packaging-$1" make_packaging bootstrap "$testbed/packages.packaging"
}

# What apt will want for our packages is downloaded, but not installed: the
# system has no network.  With what those recommend, as apt does there.
needed_packages=(dkms libjson-c5 libmicrohttpd12 libncursesw6 libvirt0 libxml2)

make_system() {
	local root=$1.root
	mkdir "$1"
	bootstrap system "$suite" "$root" --skip=cleanup/apt \
		"--customize-hook=chroot \"\$1\" apt-get -q -y --download-only install \
			-o APT::Install-Recommends=1 ${needed_packages[*]}"
	cp "$root"/boot/vmlinuz-* "$1/vmlinuz"
	cp "$root"/boot/initrd.img-* "$1/initrd"
	"$testbed/enter" "$packaging" --ro "$root" --rw "$1" -- \
		mkfs.ext4 -q -d "$root" "$1/disk" 6G
}

# system SUITE - print the path of a directory with the disk of an ordinary Debian
# system, and the kernel and initramfs that boot it.
system() {
	local suite=$1 packaging
	packaging=$(packaging trixie)
	artifact "system-$1" make_system bootstrap "$packaging" "${needed_packages[*]}" \
		"$testbed/packages.system"
}
