#!/bin/bash
# The ground on which root tests stand: what runs inside sees a host of its own, and nothing of it outlives the run.
#
#   source tests/lib/host.bash; df_host_enter "$0" "$@"      # re-executes the caller inside; returns at once there
#   tests/lib/host.bash COMMAND [ARGUMENT]…                  # the same for any command
#
# Inside: own mount, network and cgroup namespaces; pid, user and ipc ones stay those of the machine, because the
# product tells process ids of the initial pid namespace. /etc, /usr and /var/lib are overlays that can be written,
# /run, /dev, /dev/shm, /sys, $HOME and the storage and settings of containers are fresh, and /sys/fs/cgroup is the
# subtree made for this run: DF_CGROUPS=v2 (default) as a pure cgroup v2 host, DF_CGROUPS=hybrid with v2 at
# /sys/fs/cgroup/unified. With DF_CONTROLLERS=yes the root of that subtree hands a controller on, as in a container that
# runs containers (kind, LXC): then it takes no process itself (cgroups(7)).
#
# A product that is installed on the machine is not seen inside: its files are removed from the overlays. With
# DF_KEEP_PRODUCT=yes its programs and policies stay, for the demonstration. DF_UNDER=DIRECTORY has trees etc, usr and
# var/lib that lie between those of the machine and the changes of the run: a machine with other things installed.
#
# Exported inside: DF_HOST (its directory), DF_SYSLOG (file with what was sent to /dev/log and to the journal),
# DF_CGROUP2 (mount point of cgroup v2), DF_MACHINE (the machine's net, mnt and pid namespaces).

DF_LIB=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
DF_FAULTS=/run/deployfence-faults
export DF_LIB DF_FAULTS

df_die() {
	echo "deployfence ground: $*" >&2
	exit 1
}

df_host_enter() {
	if [ -n "${DF_HOST:-}" ]; then
		return 0
	fi
	[ "$(id -u)" = 0 ] || df_die "needs root"
	exec bash "$DF_LIB/host.bash" "$@"
}

# --- outside: one cgroup for the run, emptied and removed at its end

# Prints where a run gets a cgroup in every hierarchy of the machine: at the top of v2, below the caller's own in v1,
# whose controllers account for the caller.
df_hierarchies() {
	local controllers path mount
	while IFS=: read -r _ controllers path; do
		if [ -z "$controllers" ]; then
			mount=$(findmnt -rno TARGET -t cgroup2 | head -n 1)
		else
			mount=$(findmnt -rno TARGET -t cgroup -O "${controllers#name=}" | head -n 1)
			[ -n "$mount" ] || mount=$(findmnt -rno TARGET -t cgroup -O "$controllers" | head -n 1)
		fi
		[ -n "$mount" ] || continue
		[ -z "$controllers" ] || [ ! -d "$mount$path" ] || mount=$mount${path%/}
		echo "$mount"
	done </proc/self/cgroup
}

df_cgroup_kill() { # DIRECTORY of the v2 cgroup of a run
	local round
	for round in {1..50}; do
		grep -q '^populated 0' "$1/cgroup.events" && return 0
		[ "$round" != 1 ] || df_cgroup_report "$1"
		echo 1 >"$1/cgroup.kill"
		sleep 0.05
	done
	return 1
}

df_cgroup_report() { # what was still running at the end; part of the ground itself is not worth a line
	local pid
	find "$1" -name cgroup.procs -exec cat {} + | while read -r pid; do
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -v "^/usr/bin/python3 $DF_LIB/servers/\|containerd" |
			sed "s/^/deployfence ground: still running at the end: $pid /" >&2
	done
}

df_cgroups_remove() { # NAME
	local mount
	while read -r mount; do
		[ ! -d "$mount/$1" ] || find "$mount/$1" -depth -type d -exec rmdir {} + 2>/dev/null
	done < <(df_hierarchies)
}

df_sweep() { # runs that were killed outright
	local unified=$1 directory
	for directory in "$unified"/deployfence-test.*; do
		[ -d "$directory" ] || continue
		[ ! -d "/proc/${directory##*.}" ] || continue
		df_cgroup_kill "$directory" && df_cgroups_remove "${directory##*/}"
	done
}

# A v1 cpuset takes no process before it has cpus and memory nodes.
df_cpuset_prepare() {
	local file
	for file in cpuset.cpus cpuset.mems; do
		[ ! -e "$1/../$file" ] || cat "$1/../$file" >"$1/$file"
	done
}

# The machine's own root hands on what the ground is to have, as long as a ground wants that.
df_controllers_on() { # UNIFIED
	local name
	[ -z "$(cat "$1/cgroup.subtree_control")" ] || return 0
	read -r name _ <"$1/cgroup.controllers" || df_die "DF_CONTROLLERS: this machine has no controller in $1"
	echo "+$name" >"$1/cgroup.subtree_control" || df_die "DF_CONTROLLERS: no controller can be enabled in $1"
	echo "$name" >/run/deployfence-test.controller
}

df_controllers_off() { # UNIFIED: fails as long as another ground needs it, and that one does it then
	local name
	[ -e /run/deployfence-test.controller ] || return 0
	read -r name </run/deployfence-test.controller
	! echo "-$name" 2>/dev/null >"$1/cgroup.subtree_control" || rm -f /run/deployfence-test.controller
}

df_host_outside() {
	local unified name mount status=0 child outside below=
	unified=$(findmnt -rno TARGET -t cgroup2 | head -n 1)
	[ -n "$unified" ] || df_die "no cgroup v2 hierarchy is mounted"
	df_sweep "$unified"
	[ "${DF_CONTROLLERS:-}" != yes ] || df_controllers_on "$unified"
	name=deployfence-test.$$
	while read -r mount; do
		mkdir "$mount/$name" || df_die "cannot make a cgroup in $mount"
		[ "$mount" = "$unified" ] || df_cpuset_prepare "$mount/$name"
	done < <(df_hierarchies)

	# Runtimes refuse hybrid cgroups whose v2 root has controllers, and a root whose parent hands none on has none.
	if [ "${DF_CGROUPS:-v2}" = hybrid ]; then
		below=/plain
		mkdir "$unified/$name$below"
	fi

	# For who looks at the whole machine: a process there, its cgroup v2 mount, and there the cgroup of the run; also for a
	# ground inside a ground.
	outside="$$ $unified $unified/$name"
	[ -z "${DF_OUTSIDE:-}" ] || outside="$DF_OUTSIDE/$name"

	( # the child that moves; its namespaces see these cgroups as their roots
		while read -r mount; do
			[ "$mount" = "$unified" ] && path=$name$below || path=$name
			echo "$BASHPID" >"$mount/$path/cgroup.procs" || exit 1
		done < <(df_hierarchies)
		DF_OUTSIDE="$outside" DF_MACHINE="$(readlink /proc/self/ns/net) $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/pid)" \
			exec unshare --mount --net --cgroup --propagation private \
			bash "$DF_LIB/host.bash" --inside "$@"
	) <&0 &
	child=$!
	trap 'kill -TERM $child 2>/dev/null' TERM INT HUP
	wait "$child" || status=$?
	while kill -0 "$child" 2>/dev/null; do wait "$child" || status=$?; done
	df_cgroup_kill "$unified/$name" || echo "deployfence ground: $unified/$name cannot be emptied" >&2
	df_cgroups_remove "$name"
	df_controllers_off "$unified"
	exit "$status"
}

# --- inside

df_overlay() { # DIRECTORY…: changes go to memory
	local directory layer lower
	for directory in "$@"; do
		layer=$DF_HOST/overlay$directory
		lower=$directory
		[ ! -d "${DF_UNDER:-}$directory" ] || [ -z "${DF_UNDER:-}" ] || lower=$DF_UNDER$directory:$directory
		mkdir -p "$layer/upper" "$layer/work"
		mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layer/upper,workdir=$layer/work" "$directory"
	done
}

# Whatever carries the product's name, so files that only an older version had, too. The tree that is tested may lie
# there as well, in a directory of that name.
df_hide_product() {
	local path tree=${DF_LIB%/tests/lib}/ build=
	[ -z "${DF_BUILD:-}" ] || build=$(realpath "$DF_BUILD")/
	{
		find /etc /usr -xdev -iname '*deployfence*' -prune -print0
		find /var/lib -xdev -maxdepth 3 -iname '*deployfence*' -prune -print0
	} | while IFS= read -r -d '' path; do
		case $tree in "$path"/*) continue ;; esac
		case $build in "$path"/*) continue ;; esac
		rm -rf "$path"
	done
	# hooks and devices, under whatever name an administrator has put them there
	rm -rf /usr/share/containers/oci /usr/local/share/containers /etc/cdi
}

# Settings of containers are the ground's own; likewise what the environment and the home directory say to podman, curl
# and dig.
df_hide_settings() {
	local directory path=
	rm -rf /etc/containers /etc/cni/net.d /usr/local/etc/containers
	# shellcheck disable=SC2046 # names of variables
	unset $(compgen -e | grep -E '^(CONTAINERS?|STORAGE|XDG)_') REGISTRY_AUTH_FILE
	unset http_proxy https_proxy ftp_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY
	unset LOCALDOMAIN RES_OPTIONS HOSTALIASES
	export HOME=$DF_HOST/home
	mkdir -m 700 "$HOME"
	while IFS= read -r -d : directory; do # programs from places that are not hidden may be the product's
		case $directory in /usr/* | /bin | /sbin) path+=:$directory ;; esac
	done <<<"$PATH:"
	export PATH=${path#:}
}

df_private_dev() {
	local entry new=$DF_HOST/dev
	mkdir -p "$new"
	mount -t tmpfs -o mode=755 dev "$new"
	for entry in /dev/*; do
		if [ "$entry" = /dev/shm ]; then # has the lock file of the machine's podman
			mkdir "$new/shm"
			mount -t tmpfs -o mode=1777 shm "$new/shm"
		elif [ -d "$entry" ] && [ ! -L "$entry" ]; then
			mkdir "$new/${entry##*/}"
			mount --rbind "$entry" "$new/${entry##*/}"
		elif [ ! -S "$entry" ] && [ "$entry" != /dev/log ]; then
			cp -a "$entry" "$new/"
		fi
	done
	mount --move "$new" /dev
}

df_cgroup_mounts() {
	local controllers directory
	umount --recursive --lazy /sys # or /proc/PID/mountinfo goes on naming the machine's cgroup mounts
	mount -t sysfs sysfs /sys
	mount -t bpf bpf /sys/fs/bpf
	if [ "${DF_CGROUPS:-v2}" = hybrid ]; then
		mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
		while IFS=: read -r _ controllers _; do
			[ -n "$controllers" ] || continue
			directory=/sys/fs/cgroup/${controllers#name=}
			mkdir "$directory"
			mount -t cgroup -o "$([ "${controllers#name=}" = "$controllers" ] || echo none,)$controllers" cgroup "$directory"
		done </proc/self/cgroup
		export DF_CGROUP2=/sys/fs/cgroup/unified
		mkdir "$DF_CGROUP2"
	else
		export DF_CGROUP2=/sys/fs/cgroup
	fi
	mount -t cgroup2 cgroup2 "$DF_CGROUP2"
	# Processes of the "host" live in a leaf of their own, as they do under systemd.
	mkdir "$DF_CGROUP2/host"
	echo 0 >"$DF_CGROUP2/host/cgroup.procs"
	tr ' ' '\n' <"$DF_CGROUP2/cgroup.controllers" | while read -r controllers; do
		echo "+$controllers" >"$DF_CGROUP2/cgroup.subtree_control" 2>/dev/null || true
	done
}

df_network_host() {
	ip link set lo up
	{
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad # no second of waiting for an address
		echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
	} 2>/dev/null || true
}

df_has_sys_resource() {
	local effective
	effective=$(sed -n 's/^CapEff:\t//p' /proc/self/status)
	[ $((0x$effective >> 24 & 1)) = 1 ]
}

# crun before 1.9 raises RLIMIT_MEMLOCK and gives up where it may not; its programs load without that since 5.11.
df_crun_shim() {
	cc -shared -fPIC -O1 -o "$DF_HOST/bin/no-memlock.so" "$DF_LIB/clients/no-memlock.c" || return 0
	printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$DF_HOST/bin/no-memlock.so" "$(command -v crun)" >"$DF_HOST/bin/crun"
	chmod +x "$DF_HOST/bin/crun"
	export PATH="$DF_HOST/bin:$PATH"
}

df_containers_conf() {
	local ulimits='' nofile conmon=''
	# without a controller podman cannot make conmon's cgroup, and says so on every run
	[ "$DF_CGROUP2" != /sys/fs/cgroup ] || [ -n "$(cat "$DF_CGROUP2/cgroup.controllers")" ] || conmon='cgroups = "no-conmon"'
	if ! df_has_sys_resource; then
		nofile=$(ulimit -Hn)
		ulimits="default_ulimits = [\"nofile=$nofile:$nofile\", \"nproc=4096:4096\"]"
		! command -v crun >/dev/null || df_crun_shim
	fi
	mkdir -p /etc/containers/networks /var/lib/containers
	mount -t tmpfs containers /var/lib/containers
	cat >/etc/containers/containers.conf <<-CONF
		[containers]
		pids_limit = 0
		http_proxy = false
		annotations = []
		$ulimits
		$conmon
		[network]
		network_backend = "netavark"
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		hooks_dir = ["/usr/share/containers/oci/hooks.d"]
		$([ ! -e "$DF_HOST/bin/crun" ] || printf '[engine.runtimes]\ncrun = ["%s"]\n' "$DF_HOST/bin/crun")
	CONF
	printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' /var/lib/containers/storage \
		/run/containers/storage >/etc/containers/storage.conf
	echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
	# The default network with both families and without a resolver of its own.
	cat >/etc/containers/networks/podman.json <<-'JSON'
		{"name": "podman", "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
		 "driver": "bridge", "network_interface": "podman0", "created": "2024-01-01T00:00:00Z",
		 "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}, {"subnet": "fd00:88::/64", "gateway": "fd00:88::1"}],
		 "ipv6_enabled": true, "internal": false, "dns_enabled": false, "ipam_options": {"driver": "host-local"}}
	JSON
}

df_syslog_start() {
	export DF_SYSLOG=$DF_HOST/syslog
	: >"$DF_SYSLOG"
	mkdir -p /run/systemd/journal
	/usr/bin/python3 "$DF_LIB/servers/syslog.py" "$DF_SYSLOG" /dev/log /run/systemd/journal/socket &
	for _ in {1..100}; do
		[ ! -S /dev/log ] || return 0
		sleep 0.01
	done
	df_die "the collector of syslog lines does not start"
}

# A container inherits what its runtime inherits, and the fence looks at that: only 0, 1 and 2 go in.
df_close_inherited() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || [ "$fd" = 255 ] || eval "exec $fd>&-"
	done
}

df_host_inside() {
	df_close_inherited
	set -e
	mount -t tmpfs -o mode=755 run /run
	export DF_HOST=/run/df-ground
	mkdir -p /run/lock /run/netns /run/user /run/shm "$DF_HOST/bin"
	mkdir -m 700 "$DF_FAULTS" # where a build with sanitizers reports: lib/base/sanitizers.c
	df_private_dev
	df_cgroup_mounts
	df_overlay /etc /usr /var/lib
	[ -n "${DF_KEEP_PRODUCT:-}" ] || df_hide_product
	rm -rf /etc/deployfence /var/lib/deployfence
	df_hide_settings
	mkdir -p /usr/share/containers/oci/hooks.d
	df_network_host
	df_containers_conf
	df_syslog_start
	set +e
	exec "$@"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	case ${1:-} in
	--inside) shift && df_host_inside "$@" ;;
	'') df_die "usage: host.bash COMMAND [ARGUMENT]…" ;;
	*)
		[ -z "${DF_HOST:-}" ] || exec "$@"
		df_host_outside "$@"
		;;
	esac
fi
