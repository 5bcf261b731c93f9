#!/bin/bash
# Boots the kernels that fetch.sh left in CACHE, one after the other, and runs vm-init with the programs of BUILDDIR in
# each: tests/kernels/run.sh CACHE BUILDDIR [SERIES]…
# One TAP line per kernel and check. KT_TIMEOUT=SECONDS ends a guest that hangs (default 180); KT_KEEP=DIRECTORY keeps
# the payload and the consoles. Pure TCG and one CPU: elsewhere -smp 2 crashed now and then, and a /dev/kvm that opens
# need not work.
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")" && pwd)
top=$(cd -- "$here/../.." && pwd)
[ $# -ge 2 ] || { echo "usage: $0 CACHE BUILDDIR [SERIES]…" >&2 && exit 64; }
cache=$(cd -- "$1" && pwd)
build=$(cd -- "$2" && pwd)
shift 2
work=${KT_KEEP:-$(mktemp -d)}
[ -n "${KT_KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"
PATH=$PATH:/usr/sbin:/sbin
n=0 n_failed=0 n_booted=0

tap() { # ok|"not ok" TEXT
	n=$((n + 1))
	[ "$1" = ok ] || n_failed=$((n_failed + 1))
	echo "$1 $n - $2"
}

# --- the payload: one initramfs for all kernels

add_program() { # FILE [NAME]: with its libraries, each at its own place
	local file library
	file=$(command -v "$1")
	install -D "$file" "$work/root/usr/bin/${2:-$(basename "$1")}"
	{ ldd "$file" 2>/dev/null || true; } | grep -o '/[^ :]*\.so[^ :]*' | while read -r library; do
		install -D "$library" "$work/root/$library"
	done
}

add_busybox() { # ROOT
	local applet
	mkdir -p "$1"/{usr/{bin,sbin,lib,lib64},proc,sys,dev,run,tmp,etc,root}
	for applet in bin sbin lib lib64; do ln -sfn "usr/$applet" "$1/$applet"; done
	install "$(command -v busybox)" "$1/usr/bin/busybox"
	for applet in $("$1/usr/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -sf busybox "$1/usr/bin/$applet"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
}

compile() { # NAME SOURCE ARGUMENT…
	local name=$1
	shift
	cc -std=gnu11 -O2 -g0 -static -I"$top" -isystem "$build/bpf" -o "$work/root/usr/bin/$name" "$@" 2>"$work/cc.log" ||
		{ cat "$work/cc.log" >&2 && echo "Bail out! $name does not compile" && exit 1; }
}

bundle() { # what the job of the container is, see vm-init
	local to=$work/root/bundle
	mkdir -p "$to"
	add_busybox "$to/rootfs"
	install "$work/root/usr/bin/mclient" "$work/root/usr/bin/sockets" "$to/rootfs/usr/bin/"
	cat >"$to/rootfs/job" <<-'END'
		for how in u4 m4 c4 t4 um mm cm tm u6 m6 c6 t6; do
			case $how in
			?6) resolver=fd53::1 ;;
			*) resolver=10.53.0.1 ;;
			esac
			for name in github.com ok.example; do
				echo $how $name $(mclient -$how $resolver $name 2>&1)
			done
		done
		sockets | sed 's/^/socket /'
		for name in github.com ok.example; do
			echo "proxy $name" $( (printf "CONNECT $name:443 HTTP/1.1\r\n\r\n"; sleep 3) | timeout 6 nc 10.53.0.1 3128 2>&1)
		done
		echo ping $(ping -c 1 -W 2 10.53.0.1 >/dev/null 2>/tmp/err && echo 0 || echo 1 $(cat /tmp/err))
	END
	(cd "$to" && rm -f config.json && runc spec && mv config.json spec.json)
	/usr/bin/python3 "$top/tests/lib/bundle.py" --rootfs rootfs --netns /run/netns/kt --cgroup /kt --cap CAP_NET_RAW \
		--hooks-dir "$work/hooks" --annotation deployfence=enforce -- sh /job <"$to/spec.json" >"$to/config.json"
}

payload() {
	local program
	rm -rf "$work/root"
	add_busybox "$work/root"
	install "$here/vm-init" "$work/root/init"
	add_program unshare
	for program in crun runc; do
		! command -v "$program" >/dev/null || add_program "$program"
	done
	compile load "$here/load.c" "$build/lib/libfence.a" "$build/lib/libdf.a" -lbpf -lelf -lz
	compile resolver "$here/resolver.c"
	compile sockets -D_GNU_SOURCE "$here/sockets.c"
	compile mclient "$top/tests/lib/clients/mclient.c"
	make -s -C "$build" install DESTDIR="$work/install" >"$work/install.log" 2>&1 ||
		{ cat "$work/install.log" >&2 && echo "Bail out! make install" && exit 1; }
	rm -rf "$work/install/usr/share/"{man,bash-completion,zsh}
	cp -a "$work/install/." "$work/merge.tmp" && cp -a "$work/merge.tmp/." "$work/root/" && rm -rf "$work/merge.tmp"
	mkdir -p "$work/hooks"
	find "$work/install" -name 50-deployfence.json -exec cp {} "$work/hooks" \;
	bundle
	(cd "$work/root" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$work/initramfs"
}

# --- the guests

boot() { # SERIES: lines of TAP go to $work/SERIES.tap, the console to $work/SERIES.console
	: >"$work/$1.tap"
	nice timeout --kill-after=5 "${KT_TIMEOUT:-180}" qemu-system-x86_64 -M q35 -accel tcg -smp 1 -m 1024 \
		-nodefaults -no-user-config -display none -no-reboot \
		-serial "file:$work/$1.console" -serial "file:$work/$1.tap" \
		-kernel "$cache/$1/vmlinuz" -initrd "$work/initramfs" -append "console=ttyS0 panic=-1 quiet" </dev/null
}

is_text() {
	[[ $1 = 'ok '* || $1 = 'not ok '* ]]
}

try_kernel() { # SERIES
	local line status=0 verdict='' start=$SECONDS
	boot "$1" || status=$?
	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		'ok '*) tap ok "$1: ${line#ok }" ;;
		'not ok '*) tap 'not ok' "$1: ${line#not ok }" ;;
		'#'*) printf '%s\n' "$line" ;;
		KT:RC=*) verdict=${line#KT:RC=} ;;
		*) printf '# %s\n' "$line" ;;
		esac
	done < <(tr -d '\000' <"$work/$1.tap")
	n_booted=$((n_booted + 1))
	if [ "$verdict" = 0 ]; then
		tap ok "$1: $(cat "$cache/$1/version"): the guest came to its end"
	else
		tap 'not ok' "$1: $(cat "$cache/$1/version"): verdict ${verdict:-missing}, status of qemu $status"
		tail -n 20 "$work/$1.console" | tr -d '\000\r' | sed 's/^/#   /'
	fi
	echo "# $1: $((SECONDS - start)) s"
}

all_series() {
	grep -v '^#' "$here/kernels.list" | while read -r series _; do echo "$series"; done
}

[ $# != 0 ] || mapfile -t series < <(all_series)
[ $# = 0 ] || series=("$@")
payload
for s in "${series[@]}"; do
	if [ -s "$cache/$s/vmlinuz" ]; then
		try_kernel "$s"
	else
		tap ok "$s # SKIP $(cat "$cache/$s/missing" 2>/dev/null || echo 'not fetched')"
	fi
done
echo "1..$n"
[ "$n_booted" != 0 ] || exit 77
[ "$n_failed" = 0 ]
