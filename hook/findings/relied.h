/* SPDX-License-Identifier: GPL-2.0-or-later */
/* relied: files of the host that fences, or root of the host, go by; for findings_host alone. */
#ifndef DF_HOOK_RELIED_H
#define DF_HOOK_RELIED_H

#include <stdbool.h>

/*
 * The next fence, or root of the host, goes by what is written there.  A read-only mount is no
 * lever.
 */
static const struct relied {
	const char *path;
	bool has_below; /* what is below counts as well: else only the whole */
} relied[] = {
	{DF_CONF_FILE, false},
	{DF_DISABLED_FILE, false},
	{DF_POLICY_DIR, true},
	{DF_POLICY_DATA_DIR, true},
	{DF_POLICY_STORE_DIR, true},
	{DF_REPORT_DIR, true},
	{DF_RUNDIR, true},
	{DF_PROXY_PATH, false},
	{"/proc/self/exe", false}, /* the hook itself */
	{"/etc/containers", true},
	{"/usr/share/containers", true},
	/* of other engines, and CDI files, which bring the hook to some */
	{"/etc/cdi", true},
	{"/run/cdi", true},
	{"/etc/docker", true},
	{"/etc/containerd", true},
	{"/etc/crio", true},
	{"/etc/kubernetes", true},
	{"/etc/cni", true},
	/* programs of root, and what makes it run others */
	{"/usr/bin", true},
	{"/usr/sbin", true},
	{"/usr/lib", true},
	{"/usr/lib64", true},
	{"/usr/libexec", true},
	{"/usr/local/bin", true},
	{"/usr/local/sbin", true},
	{"/usr/local/lib", true},
	{"/bin", true},
	{"/sbin", true},
	{"/lib", true},
	{"/lib64", true},
	{"/boot", true},
	{"/var/lib/dpkg/info", true},
	{"/etc/alternatives", true},
	{"/etc/apt", true},
	{"/etc/yum.repos.d", true},
	{"/etc/ld.so.preload", false},
	{"/etc/ld.so.cache", false},
	{"/etc/ld.so.conf", false},
	{"/etc/ld.so.conf.d", true},
	{"/etc/modprobe.d", true},
	{"/etc/modules-load.d", true},
	{"/etc/sysctl.conf", false},
	{"/etc/sysctl.d", true},
	{"/etc/udev", true},
	{"/etc/fstab", false},
	/* who may be root, and the shells of who is */
	{"/etc/passwd", false},
	{"/etc/shadow", false},
	{"/etc/group", false},
	{"/etc/nsswitch.conf", false},
	{"/etc/pam.d", true},
	{"/etc/security", true},
	{"/etc/sudoers", false},
	{"/etc/sudoers.d", true},
	{"/etc/polkit-1", true},
	{"/etc/dbus-1", true},
	{"/etc/ssh", true},
	{"/etc/environment", false},
	{"/etc/profile", false},
	{"/etc/profile.d", true},
	{"/etc/bash.bashrc", false},
	{"/etc/bashrc", false},
	{"/root/.ssh", true},
	{"/root/.profile", false},
	{"/root/.bashrc", false},
	{"/root/.bash_profile", false},
	/* services and times */
	{"/etc/crontab", false},
	{"/etc/anacrontab", false},
	{"/etc/cron.d", true},
	{"/etc/cron.hourly", true},
	{"/etc/cron.daily", true},
	{"/etc/cron.weekly", true},
	{"/etc/cron.monthly", true},
	{"/var/spool/cron", true},
	{"/etc/logrotate.conf", false},
	{"/etc/logrotate.d", true},
	{"/etc/init.d", true},
	{"/etc/rc.local", false},
	{"/etc/default", true},
	{"/etc/sysconfig", true},
	{"/etc/network", true},
	{"/etc/NetworkManager", true},
	{"/etc/systemd", true},
	{"/run/systemd/system", true},
	{"/run/systemd/transient", true},
	{"/run/systemd/generator", true},
	{"/run/udev/rules.d", true},
	/* state and bundles of engines; volumes and a container's own files are below them */
	{"/run/containers", false},
	{"/run/libpod", false},
	{"/run/crun", false},
	{"/run/runc", false},
	{"/run/containerd", false},
	{"/var/lib/containers", false},
	{"/var/lib/containerd", false},
	{"/var/lib/docker", false},
	{"/var/lib/kubelet", false},
};

/* The same, where there is such a thing: /opt is given to containers whole, by hosts without it. */
static const struct relied relied_if_there[] = {
	{"/opt/cni/bin", true},
};

#endif
