#!/bin/bash
# What a bats file loads: `load ../lib/ground` brings all helpers, and these functions with usable defaults for
# setup_file, setup, teardown and teardown_file. Runs inside host.bash's ground (tests/run-root does that).

if [ -z "${DF_HOST:-}" ]; then
	echo "run this inside the test ground: tests/run-root [FILE.bats]…" >&2
	exit 1
fi
for part in host net image job leftovers; do
	# shellcheck source=/dev/null
	. "${DF_LIB:?}/$part.bash"
done
unset part

setup_file() {
	world_up && image_import && image_build
}

teardown_file() {
	world_down
}

setup() {
	world_dns_mode
	world_mark
	leftovers_mark
}

teardown() {
	job_stop_all
	aftermath_check
}

# Installs the product that was built in DF_BUILD (default: this tree) as on a real host, private to this run and once for
# each build: the ground has no other (host.bash).
product_install() {
	local build done_before=$DF_HOST/installed
	build=$(realpath "${DF_BUILD:-$DF_LIB/../..}") || return
	[ "$(cat "$done_before" 2>/dev/null)" != "$build" ] || return 0
	[ ! -e "$done_before" ] || product_make uninstall "$(cat "$done_before")" || return
	product_make install "$build" || return
	echo "$build" >"$done_before"
}

product_make() { # TARGET BUILD
	make -s -C "$2" "$1" prefix=/usr exec_prefix=/usr bindir=/usr/bin libexecdir=/usr/libexec \
		datarootdir=/usr/share datadir=/usr/share sysconfdir=/etc localstatedir=/var \
		>"$DF_HOST/install.log" 2>&1 3>&- 4>&- || { cat "$DF_HOST/install.log" >&2 && return 1; }
}

# Writes a hook into DF_HOOKS_DIR for annotations that match deployfence: install_hook NAME SCRIPT
install_hook() {
	local path=$DF_HOST/hooks/$1
	mkdir -p "$DF_HOST/hooks" "$DF_HOOKS_DIR"
	printf '%s\n' '#!/bin/sh' "$2" >"$path"
	chmod +x "$path"
	cat >"$DF_HOOKS_DIR/$1.json" <<-JSON
		{"version": "1.0.0", "hook": {"path": "$path", "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
		 "when": {"annotations": {"^deployfence": ""}}, "stages": ["createRuntime"]}
	JSON
}

# The test fails with everything that a job said: expect CONDITION…, as in `expect [ "$status" = 0 ]`.
expect() {
	"$@" && return 0
	echo "not so: $*"
	printf 'status: %s\noutput: %s\nstderr: %s\n' "${status:-}" "${output:-}" "${stderr:-}"
	return 1
}

expect_match() { # TEXT REGEX
	[[ $1 =~ $2 ]] && return 0
	printf 'no match for /%s/ in: %s\n' "$2" "$1"
	expect false
}
