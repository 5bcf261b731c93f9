#!/bin/bash
# Fetches the kernels of kernels.list into CACHE/SERIES/: tests/kernels/fetch.sh CACHE [SERIES]…
# vmlinuz, version (the package), and missing (why there is no newer one). What was looked for less than a week ago
# is not looked for again. Needs apt and Debian's keyring, no root. Exit status 3: something could not be had.
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")" && pwd)
[ $# -ge 1 ] || { echo "usage: $0 CACHE [SERIES]…" >&2 && exit 64; }
mkdir -p "$1"
cache=$(cd -- "$1" && pwd)
shift
wanted=("$@")
: "${DF_DEBIAN:=http://deb.debian.org/debian}" "${DF_DEBIAN_SECURITY:=http://deb.debian.org/debian-security}"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

is_wanted() {
	[ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " = *" $1 "* ]]
}

list() { # every line that is wanted and not fresh
	local series archive suite regexp
	while read -r series archive suite regexp; do
		if [[ $series = '#'* ]] || [ -z "$regexp" ] || ! is_wanted "$series"; then continue; fi
		[ -n "$(find "$cache/$series/vmlinuz" "$cache/$series/looked" -mtime -7 2>/dev/null | sed -n 2p)" ] ||
			echo "$series $archive $suite $regexp"
	done <"$here/kernels.list"
}

apt_setup() { # SUITE ARCHIVE: an apt that knows this suite only, and leaves the machine's alone
	local apt=$cache/apt/$1 uri=$DF_DEBIAN
	[ "$2" = debian ] || uri=$DF_DEBIAN_SECURITY
	mkdir -p "$apt"/{lists,archives}/partial
	: >>"$apt/status"
	echo "deb [arch=amd64 signed-by=$keyring] $uri $1 main" >"$apt/sources.list"
	cat >"$apt/apt.conf" <<-END
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::State "$apt";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "$(id -un)";
		Acquire::Languages "none";
		Acquire::Retries "2";
		APT::Update::Post-Invoke-Success {};
		APT::Update::Error-Mode "any";
	END
	export APT_CONFIG=$apt/apt.conf
}

newest() { # REGEXP
	apt-cache pkgnames linux- | grep -E -- "$1" | sort -V | tail -n 1
}

fetch() { # SERIES ARCHIVE SUITE REGEXP; says on stdout why not
	local to=$cache/$1 suite=$3 package work deb
	[ -e "$keyring" ] || { echo "no $keyring (install debian-archive-keyring)" && return 1; }
	apt_setup "$suite" "$2"
	# one index for all kernels of a suite
	if [ -z "$(find "$cache/apt/$suite/updated" -mmin -60 2>/dev/null)" ]; then
		apt-get -qq update >"$cache/apt/$suite/log" 2>&1 ||
			{ echo "$suite: $(grep '^E:' "$cache/apt/$suite/log" | head -n 1)" && return 1; }
		: >"$cache/apt/$suite/updated"
	fi
	package=$(newest "$4") || { echo "no package in $suite matches $4" && return 1; }
	if [ "$package" != "$(cat "$to/version" 2>/dev/null)" ] || [ ! -s "$to/vmlinuz" ]; then
		work=$(mktemp -d "$to/new.XXXXXX")
		(cd "$work" && apt-get -qq download "$package" >>"$cache/apt/$suite/log" 2>&1) || true
		deb=$(find "$work" -name '*.deb' | head -n 1)
		[ -n "$deb" ] || { echo "$package: cannot be downloaded" && rm -rf "$work" && return 1; }
		dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards '*/vmlinuz*' >"$work/vmlinuz" 2>/dev/null || true
		[ -s "$work/vmlinuz" ] || { echo "$package: no kernel inside" && rm -rf "$work" && return 1; }
		mv "$work/vmlinuz" "$to/vmlinuz"
		echo "$package" >"$to/version"
		rm -rf "$work"
	fi
}

exec 9>"$cache/lock"
flock 9
status=0
while read -r series archive suite regexp; do
	mkdir -p "$cache/$series"
	rm -rf "$cache/$series"/{missing,looked,new.*}
	if why=$(fetch "$series" "$archive" "$suite" "$regexp"); then
		touch "$cache/$series/vmlinuz" "$cache/$series/looked"
		echo "$series: $(cat "$cache/$series/version")"
	else
		echo "${why:-failed}" >"$cache/$series/missing"
		echo "$series: not fetched: ${why:-failed}" >&2
		status=3
	fi
done < <(list)
exit "$status"
