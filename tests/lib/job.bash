#!/bin/bash
# One container job under any runtime. Needs host.bash's ground, net.bash's world and image.bash's image.
#
#   job [OPTION]… -- COMMAND…           runs it to its end; sets status, output (stdout), stderr, lines and JOB (its name)
#   job_start [OPTION]… -- COMMAND…     detached; sets JOB, and status/stderr of the start
#   job_exec [-e KEY=VALUE] NAME COMMAND…   in a started job; sets status, output, stderr, lines
#   job_pid NAME · job_cgroup NAME      of its init: process id · directory of its v2 cgroup
#   job_logs NAME                       what a started job wrote so far (stdout and stderr)
#   job_stop NAME                       kills and removes it, waits until it is gone; also after it ended by itself
#
#   -r RUNTIME         podman+crun (default, or DF_RUNTIME), podman+runc, crun, runc, ctr
#   -a KEY=VALUE       annotation
#   -n NETWORK         bridge (default), none, host, or the path of a network namespace
#   -d RESOLVER        for resolv.conf; default: both of DF_DNS4
#   -s DOMAIN          search list of resolv.conf
#   -e KEY=VALUE       environment
#   -c CAPABILITY      additional, as NET_RAW
#   -v SRC:DST[:ro]    bind mount
#   -t                 with a terminal (podman only)
#   -o OPTION          for podman alone, one word each
#   --name NAME        name (podman) or id of the container
# DF_HOOKS_DIR (default: podman's own directory) says where hooks come from, DF_JOB_TIMEOUT (60) how long a job may take.

: "${DF_HOOKS_DIR:=/usr/share/containers/oci/hooks.d}" "${DF_RUNTIME:=podman+crun}" "${DF_JOB_TIMEOUT:=60}"
DF_RUNTIMES="podman+crun podman+runc crun runc ctr"

# --- options into variables J_…, shared by the functions below

job_parse() {
	J_RUNTIME=$DF_RUNTIME J_NETWORK=bridge JOB=
	J_ANNOTATIONS=() J_DNS=() J_SEARCH=() J_ENV=() J_CAPS=() J_BINDS=() J_PODMAN=() J_TERMINAL=()
	while [ $# != 0 ]; do
		case $1 in
		-r) J_RUNTIME=$2 ;;
		-a) J_ANNOTATIONS+=(--annotation "$2") ;;
		-n) J_NETWORK=$2 ;;
		-d) J_DNS+=("$2") ;;
		-s) J_SEARCH+=("$2") ;;
		-e) J_ENV+=(--env "$2") ;;
		-c) J_CAPS+=("$2") ;;
		-v) J_BINDS+=("$2") ;;
		-o) J_PODMAN+=("$2") ;;
		--name) JOB=$2 ;;
		-t) J_TERMINAL=(-t) && set -- - "$@" ;;
		--) shift && break ;;
		*) echo "job: what is $1?" >&2 && return 64 ;;
		esac
		shift 2
	done
	J_COMMAND=("$@")
	# shellcheck disable=SC2206 # words
	[ ${#J_DNS[@]} != 0 ] || J_DNS=($DF_DNS4)
	case " $DF_RUNTIMES " in *" $J_RUNTIME "*) ;; *) echo "job: no runtime $J_RUNTIME" >&2 && return 64 ;; esac
	mkdir -p "$DF_HOST/jobs"
	[ -n "$JOB" ] || JOB=$(basename "$(mktemp -u "$DF_HOST/jobs/job-XXXXXXXX")" | tr '[:upper:]' '[:lower:]')
	J_DIR=$DF_HOST/jobs/$JOB
	mkdir -p "$J_DIR"
	echo "$J_RUNTIME" >"$J_DIR/runtime"
}

# Runs a command with its output in pipes, as a CI runner or a terminal would read it: whoever keeps such a pipe open
# after the container's end keeps the caller waiting (until DF_JOB_TIMEOUT). The fds of bats are closed for it.
# shellcheck disable=SC2034 # for the tests
job_capture() {
	echo 125 >"$J_DIR/status"
	{
		{
			timeout -k 5 "$DF_JOB_TIMEOUT" "$@" </dev/null 2>&4 3>&- 4>&- |
				timeout "$((DF_JOB_TIMEOUT + 10))" cat >"$J_DIR/stdout" 3>&- 4>&-
			echo "${PIPESTATUS[0]}" >"$J_DIR/status"
		} 4>&1 | timeout "$((DF_JOB_TIMEOUT + 10))" cat >"$J_DIR/stderr" 3>&-
	} || true
	status=$(<"$J_DIR/status")
	job_results
}

# The same for a command that leaves a container behind with its own stdout and stderr: into files, which stay open.
# shellcheck disable=SC2034 # for the tests
job_capture_start() {
	status=0
	rm -f "$J_DIR/stdout" "$J_DIR/stderr"
	timeout -k 5 "$DF_JOB_TIMEOUT" "$@" </dev/null >>"$J_DIR/stdout" 2>>"$J_DIR/stderr" 3>&- 4>&- || status=$?
	job_results
}

# shellcheck disable=SC2034 # for the tests
job_results() {
	output=$(cat "$J_DIR/stdout")
	stderr=$(cat "$J_DIR/stderr")
	mapfile -t lines <"$J_DIR/stdout"
}

job() {
	job_parse "$@" || return
	case $J_RUNTIME in
	podman+*)
		job_podman_arguments
		job_capture podman "${J_ARGUMENTS[@]}" --rm "${J_TERMINAL[@]}" "$DF_IMAGE" "${J_COMMAND[@]}"
		;;
	ctr)
		job_bundle && job_containerd || return
		job_capture ctr run --rm --config "$J_DIR/config.json" "$JOB"
		;;
	*)
		job_bundle || return
		job_capture "$J_RUNTIME" run --bundle "$J_DIR" "$JOB"
		;;
	esac
	job_forget "$JOB"
}

job_start() {
	job_parse "$@" || return
	case $J_RUNTIME in
	podman+*)
		job_podman_arguments
		job_capture_start podman "${J_ARGUMENTS[@]}" -d "${J_TERMINAL[@]}" "$DF_IMAGE" "${J_COMMAND[@]}"
		;;
	ctr)
		job_bundle && job_containerd || return
		job_capture_start ctr run -d --log-uri "file://$J_DIR/log" --config "$J_DIR/config.json" "$JOB"
		;;
	*)
		job_bundle || return
		job_capture_start "$J_RUNTIME" run --detach --pid-file "$J_DIR/pid" --bundle "$J_DIR" "$JOB"
		;;
	esac
	: >"$J_DIR/running" # even where the start failed, something may have to be removed
}

job_exec() {
	local environment=()
	while [ "$1" = -e ]; do
		environment+=(--env "$2")
		shift 2
	done
	local name=$1 runtime
	J_DIR=$DF_HOST/jobs/$name/exec
	mkdir -p "$J_DIR"
	runtime=$(cat "$DF_HOST/jobs/$name/runtime")
	shift
	case $runtime in
	podman+*) job_capture podman exec "${environment[@]}" "$name" "$@" ;;
	ctr) job_capture ctr task exec --exec-id "exec-$BASHPID-$RANDOM" "$name" "$@" ;;
	*) job_capture "$runtime" exec "${environment[@]}" "$name" "$@" ;;
	esac
}

job_pid() {
	case $(cat "$DF_HOST/jobs/$1/runtime") in
	podman+*) podman inspect -f '{{.State.Pid}}' "$1" ;;
	ctr) ctr task ls | awk -v id="$1" '$1 == id { print $2 }' ;;
	*) echo "$(<"$DF_HOST/jobs/$1/pid")" ;;
	esac
}

job_cgroup() {
	echo "$DF_CGROUP2$(sed -n 's/^0:://p' "/proc/$(job_pid "$1")/cgroup")"
}

job_logs() {
	case $(cat "$DF_HOST/jobs/$1/runtime") in
	podman+*) podman logs "$1" 2>&1 ;;
	ctr) cat "$DF_HOST/jobs/$1/log" ;;
	*) cat "$DF_HOST/jobs/$1/stdout" "$DF_HOST/jobs/$1/stderr" ;;
	esac
}

job_stop() {
	local runtime pid
	runtime=$(cat "$DF_HOST/jobs/$1/runtime" 2>/dev/null) || return 0
	pid=$(job_pid "$1" 2>/dev/null) || pid=
	case $runtime in
	podman+*) podman rm -f -t 0 "$1" >/dev/null 2>&1 || true ;;
	ctr)
		ctr task kill -s KILL "$1" >/dev/null 2>&1 || true
		ctr task rm -f "$1" >/dev/null 2>&1 || true
		ctr container rm "$1" >/dev/null 2>&1 || true
		;;
	esac
	job_forget "$1"
	[ -z "$pid" ] || job_wait_gone "$pid"
}

job_wait_gone() { # PID: ended, if only as a zombie that its new parent has not collected yet
	for _ in {1..100}; do
		grep -q '^State:.[^ZX]' "/proc/$1/status" 2>/dev/null || return 0
		sleep 0.02
	done
	return 1
}

# Everything of a job but its output, which stays for the test to read.
job_forget() {
	local runtime
	runtime=$(cat "$DF_HOST/jobs/$1/runtime" 2>/dev/null) || return 0
	case $runtime in crun | runc) "$runtime" delete --force "$1" >/dev/null 2>&1 || true ;; esac
	[ ! -e "$DF_HOST/jobs/$1/netns" ] || job_netns_remove "$1"
	rm -f "$DF_HOST/jobs/$1/running"
}

# For teardown: every job a test left running.
job_stop_all() {
	local mark
	for mark in "$DF_HOST"/jobs/*/running; do
		[ ! -e "$mark" ] || job_stop "$(basename "$(dirname "$mark")")"
	done
}

# --- podman

job_podman_arguments() {
	local word
	J_ARGUMENTS=(--runtime "${J_RUNTIME#podman+}")
	[ "$DF_HOOKS_DIR" = /usr/share/containers/oci/hooks.d ] || J_ARGUMENTS+=(--hooks-dir "$DF_HOOKS_DIR")
	J_ARGUMENTS+=(run --name "$JOB" "${J_ANNOTATIONS[@]}" "${J_ENV[@]}")
	case $J_NETWORK in
	/*) J_ARGUMENTS+=(--network "ns:$J_NETWORK") ;;
	*) J_ARGUMENTS+=(--network "$J_NETWORK") ;;
	esac
	if [ "$J_NETWORK" != none ]; then # podman refuses --dns there
		for word in "${J_DNS[@]}"; do J_ARGUMENTS+=(--dns "$word"); done
		for word in "${J_SEARCH[@]}"; do J_ARGUMENTS+=(--dns-search "$word"); done
	fi
	for word in "${J_CAPS[@]}"; do J_ARGUMENTS+=(--cap-add "$word"); done
	for word in "${J_BINDS[@]}"; do J_ARGUMENTS+=(-v "$word"); done
	J_ARGUMENTS+=("${J_PODMAN[@]}")
}

# --- raw runtimes and containerd: a bundle of our own

job_bundle() {
	local word netns=$J_NETWORK options=()
	{
		printf 'nameserver %s\n' "${J_DNS[@]}"
		[ ${#J_SEARCH[@]} = 0 ] || echo "search ${J_SEARCH[*]}"
	} >"$J_DIR/resolv.conf"
	if [ "$J_NETWORK" = bridge ]; then
		job_netns_add "$JOB" || return
		netns=/run/netns/$JOB
	fi
	for word in "${J_BINDS[@]}"; do options+=(--bind "$word"); done
	for word in "${J_CAPS[@]}"; do options+=(--cap "CAP_$word"); done
	[ -e "$DF_HOST/jobs/spec.json" ] || (cd "$DF_HOST/jobs" && runc spec && mv config.json spec.json) || return
	/usr/bin/python3 "$DF_LIB/bundle.py" --rootfs "$DF_ROOTFS" --netns "$netns" --cgroup "/jobs/$JOB" \
		--hooks-dir "$DF_HOOKS_DIR" "${J_ANNOTATIONS[@]}" "${J_ENV[@]}" "${options[@]}" \
		--bind "$J_DIR/resolv.conf:/etc/resolv.conf:ro" -- "${J_COMMAND[@]}" \
		<"$DF_HOST/jobs/spec.json" >"$J_DIR/config.json"
}

job_netns_add() { # NAME
	local number link
	number=$(($(cat "$DF_HOST/jobs/counter" 2>/dev/null || echo 1) + 1))
	echo "$number" >"$DF_HOST/jobs/counter"
	link=job$number
	ip link show jobs >/dev/null 2>&1 || job_bridge || return
	ip netns add "$1" && echo "$link" >"$DF_HOST/jobs/$1/netns" || return
	ip link add "$link" type veth peer name eth0 netns "$1"
	ip link set "$link" master jobs up
	nsenter --net="/run/netns/$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	ip -n "$1" -batch - <<-IP
		link set lo up
		link set eth0 up
		addr add 10.90.$((number / 250)).$((number % 250 + 2))/16 dev eth0
		addr add fd00:90::$number/64 dev eth0 nodad
		neigh add 10.90.0.1 lladdr 02:00:00:00:90:01 dev eth0
		neigh add fd00:90::ffff:1 lladdr 02:00:00:00:90:01 dev eth0
		route add default via 10.90.0.1
	IP
	ip -n "$1" -6 route add default via fd00:90::ffff:1
}

job_bridge() {
	ip link add jobs address 02:00:00:00:90:01 type bridge forward_delay 0 mcast_snooping 0 || return
	ip addr add 10.90.0.1/16 dev jobs
	ip addr add fd00:90::ffff:1/64 dev jobs nodad
	ip link set jobs up
}

job_netns_remove() { # NAME
	ip link del "$(cat "$DF_HOST/jobs/$1/netns")" 2>/dev/null || true
	ip netns del "$1"
	rm -f "$DF_HOST/jobs/$1/netns"
}

# The daemon starts with the first job that needs it and ends with the ground.
job_containerd() {
	[ ! -S /run/containerd/containerd.sock ] || return 0
	mkdir -p "$DF_HOST/containerd" "$DF_CGROUP2/containerd"
	cat >"$DF_HOST/containerd/config.toml" <<-TOML
		version = 2
		root = "$DF_HOST/containerd/root"
		state = "/run/containerd"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[plugins."io.containerd.internal.v1.opt"]
		path = "$DF_HOST/containerd/opt"
	TOML
	(
		echo 0 >"$DF_CGROUP2/containerd/cgroup.procs"
		exec containerd --config "$DF_HOST/containerd/config.toml" </dev/null >"$DF_HOST/containerd/log" 2>&1 3>&- 4>&-
	) &
	disown
	for _ in {1..200}; do
		! ctr version >/dev/null 2>&1 || return 0
		sleep 0.05
	done
	echo "job: containerd does not start:" >&2
	cat "$DF_HOST/containerd/log" >&2
	return 1
}
