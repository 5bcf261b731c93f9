#!/bin/bash
# The file system of jobs: busybox, the host's own curl, dig, getent, bash, python3 and git with their libraries, and
# the client programs of tests/lib/clients built for both C libraries. Nothing is downloaded.
#
#   image_build        makes DF_ROOTFS once; DF_TEST_CACHE=DIRECTORY keeps it for later runs
#   image_import       the same as podman image $DF_IMAGE

export DF_IMAGE=localhost/deployfence-test

image_build() {
	export DF_ROOTFS=${DF_TEST_CACHE:-$DF_HOST}/rootfs
	local stamp lock status=0
	stamp=$(cat "$DF_LIB"/image.bash "$DF_LIB"/clients/* | sha256sum)
	exec {lock}>"$DF_ROOTFS.lock"
	flock "$lock" # another ground may be making it
	if [ "$(cat "$DF_ROOTFS.stamp" 2>/dev/null)" != "$stamp" ]; then
		rm -rf "$DF_ROOTFS"
		{ image_skeleton && image_clients && image_programs && image_python && echo "$stamp" >"$DF_ROOTFS.stamp"; } || status=1
	fi
	exec {lock}>&-
	return "$status"
}

image_skeleton() {
	local directory
	mkdir -p "$DF_ROOTFS"/{etc,tmp,run,proc,sys,dev,root,var/tmp,usr/{bin,sbin,lib,lib64,libexec}} || return
	chmod 1777 "$DF_ROOTFS/tmp" "$DF_ROOTFS/var/tmp"
	for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$DF_ROOTFS/$directory"; done
	echo 'root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/sh' >"$DF_ROOTFS/etc/passwd"
	echo 'root:x:0:
nogroup:x:65534:' >"$DF_ROOTFS/etc/group"
	echo 'hosts: files dns' >"$DF_ROOTFS/etc/nsswitch.conf"
	: >"$DF_ROOTFS/etc/resolv.conf"
	: >"$DF_ROOTFS/etc/hosts"
	cp "$(command -v busybox)" "$DF_ROOTFS/bin/busybox"
	for directory in $("$DF_ROOTFS/bin/busybox" --list); do # applets; the host's programs replace some
		ln -s busybox "$DF_ROOTFS/bin/$directory" 2>/dev/null || true
	done
}

image_clients() {
	local source name
	for source in "$DF_LIB"/clients/*.c; do
		name=$(basename "$source" .c)
		[ "$name" != no-memlock ] || continue
		cc -O1 -o "$DF_ROOTFS/bin/$name" "$source" || return
		image_libraries "$DF_ROOTFS/bin/$name"
		! command -v musl-gcc >/dev/null || musl-gcc -static -O1 -o "$DF_ROOTFS/bin/$name-musl" "$source" || return
	done
}

image_libraries() { # FILE…: what they are linked with
	local library
	ldd "$@" 2>/dev/null | grep -o '/[^ :]*\.so[^ :]*' | sort -u | while read -r library; do
		image_copy "$library"
	done
}

image_copy() { # FILE: at its own place, links followed
	[ ! -e "$DF_ROOTFS$1" ] || return 0
	mkdir -p "$DF_ROOTFS$(dirname "$1")"
	cp -L "$1" "$DF_ROOTFS$1"
}

image_programs() {
	local program path
	for program in curl dig getent bash git; do
		path=/usr/bin/$program
		[ -x "$path" ] || continue
		rm -f "$DF_ROOTFS$path"
		image_copy "$path"
		image_libraries "$path"
	done
	for path in /lib/*-linux-gnu/libnss_{dns,files}.so.2 /lib/*-linux-gnu/libresolv.so.2 /usr/lib/git-core/git-remote-http{,s}; do
		[ ! -e "$path" ] || { image_copy "$path" && image_libraries "$path"; }
	done
	[ ! -d "$DF_ROOTFS/usr/lib/git-core" ] || ln -sf ../../bin/git "$DF_ROOTFS/usr/lib/git-core/git"
}

image_python() {
	local library
	library=$(/usr/bin/python3 -c 'import os; print(os.path.dirname(os.__file__))') || return
	image_copy "$(readlink -f /usr/bin/python3)"
	rm -f "$DF_ROOTFS/usr/bin/python3"
	ln -s "$(basename "$(readlink -f /usr/bin/python3)")" "$DF_ROOTFS/usr/bin/python3"
	image_libraries /usr/bin/python3 "$library"/lib-dynload/_{ssl,ctypes,hashlib}*.so
	tar -C / -c --exclude=__pycache__ --exclude='config-*' --exclude={test,idlelib,lib2to3,pydoc_data,tkinter,distutils} \
		"${library#/}" | tar -C "$DF_ROOTFS" -x
}

image_import() {
	podman image exists "$DF_IMAGE" && return 0
	image_build || return
	tar -C "$DF_ROOTFS" -c . | podman import -c 'CMD ["/bin/sh"]' - "$DF_IMAGE" >/dev/null 2>"$DF_HOST/import.log" ||
		{ cat "$DF_HOST/import.log" >&2; return 1; }
}
