/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/monitor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/base/util.h"
#include "lib/fence/listen.h"
#include "proxy/monitor/reader.h"
#include "proxy/sandbox.h"

#define FINISH_MS 80 /* the worker's last counts; then it is killed */
#define MESSAGE_MAX 256
#define DF_MONITOR_NICE (-10)

static struct df_monitor the_monitor;

static void add_counts(struct df_msg_pong *sum, const struct df_msg_pong *more)
{
	sum->n_dropped += more->n_dropped;
	sum->n_unknown_token += more->n_unknown_token;
	sum->n_malformed += more->n_malformed;
	sum->n_mismatched += more->n_mismatched;
	sum->n_untold_queries += more->n_untold_queries;
	sum->n_untold_refusals += more->n_untold_refusals;
	sum->n_unpinned += more->n_unpinned;
}

static void worker_died(struct df_monitor *m)
{
	const bool lived_long = m->now_ns - m->worker_start_ns >= DF_RESTART_MAX_NS;
	char text[MESSAGE_MAX];

	df_child_stop(m, &m->worker);
	df_lookup_forget_worker(m);
	add_counts(&m->past_counts, &m->counts);
	memset(&m->counts, 0, sizeof(m->counts));
	m->n_restarts++;
	m->restart_delay_ns = lived_long ? DF_RESTART_MIN_NS : m->restart_delay_ns * 2;
	if (m->restart_delay_ns > DF_RESTART_MAX_NS)
		m->restart_delay_ns = DF_RESTART_MAX_NS;
	m->restart_at_ns = m->now_ns + (lived_long ? 0 : m->restart_delay_ns);
	(void)snprintf(text, sizeof(text), "worker ended; restart %u", m->n_restarts);
	df_record_life(&m->record, "worker_restarted", text);
}

static void on_ready(struct df_monitor *m)
{
	if (m->is_ready)
		return;
	m->is_ready = true;
	(void)df_write_all(DF_FD_READY, "R", 1); /* a hook that gave up reads no more */
	(void)close(DF_FD_READY);
	df_life_start(m);
}

static void on_query(struct df_monitor *m, const struct df_msg_query *q)
{
	if (q->flags & DF_QUERY_IDENTIFY)
		df_lookup_query(m, q);
	else
		df_lookup_record(m, q);
}

static void on_note(struct df_monitor *m, const struct df_msg_note *note)
{
	switch ((enum df_note)note->what) {
	case DF_NOTE_PIN_IGNORED:
	case DF_NOTE_REBINDING_IGNORED:
		(void)df_record_note(&m->record, note);
		break;
	case DF_NOTE_UNLEARNED:
		if (df_record_note(&m->record, note) == 0 && m->meta->is_fail_open)
			df_kernel_conf_open_raw(m);
		break;
	case DF_NOTE_UNREAD_QUERY:
	case DF_NOTE_UNREAD_ANSWER:
	case DF_NOTE_REFUSED_QUERY:
	case DF_NOTE_REFUSED_ANSWER:
		(void)df_record_unread(&m->record, note);
		break;
	case DF_NOTE_PIN_FAILED:
	case DF_NOTE_PIN_RECOVERED:
		(void)df_record_pin(&m->record, note);
		break;
	case DF_NOTE_END: /* and whatever else a worker may say */
		break;
	}
}

/* One message.  false: none there, or (*ret_is_gone) the worker is gone or talks nonsense. */
static bool take_message(struct df_monitor *m, bool *ret_is_gone)
{
	union {
		uint32_t type;
		struct df_msg_short brief;
		struct df_msg_pong pong;
		struct df_msg_query query;
		struct df_msg_note note;
		struct df_msg_destroy destroy;
		struct df_msg_push push;
		struct df_msg_name name;
	} in;
	ssize_t n = recv(m->worker.channel, &in, sizeof(in), MSG_DONTWAIT);

	*ret_is_gone = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == (ssize_t)sizeof(in.query) && in.type == DF_MSG_QUERY) {
		on_query(m, &in.query);
	} else if (n == (ssize_t)sizeof(in.note) && in.type == DF_MSG_NOTE) {
		on_note(m, &in.note);
	} else if (n == (ssize_t)sizeof(in.destroy) && in.type == DF_MSG_DESTROY) {
		df_destroy_asked(m, &in.destroy);
	} else if (n == (ssize_t)sizeof(in.push) && in.type == DF_MSG_PUSH) {
		df_lookup_push(m, &in.push);
	} else if (n == (ssize_t)sizeof(in.name) && in.type == DF_MSG_NAME) {
		(void)df_record_name(&m->record, &in.name);
	} else if (n == (ssize_t)sizeof(in.brief) && in.type == DF_MSG_READY) {
		on_ready(m);
	} else if (n == (ssize_t)sizeof(in.pong) && in.type == DF_MSG_PONG) {
		m->is_pong_due = false;
		m->counts = in.pong;
	} else {
		*ret_is_gone = true;
	}
	return !*ret_is_gone;
}

static void worker_ready(struct df_source *s, uint32_t events)
{
	struct df_monitor *m =
		(struct df_monitor *)((char *)s - offsetof(struct df_monitor, worker.source));
	bool is_gone = false;

	(void)events;
	for (int i = 0; i < DF_MESSAGES_A_ROUND && m->worker.pid; i++)
		if (!take_message(m, &is_gone))
			break;
	if (!m->worker.pid || !is_gone)
		return;
	if (m->is_over)
		df_child_stop(m, &m->worker); /* it was told to finish */
	else
		worker_died(m);
}

/* The container is over when no process is left: with a shared pid namespace init is not the last.
 */
static bool is_populated(const struct df_monitor *m)
{
	char text[256];
	ssize_t n = pread(m->cgroup_events, text, sizeof(text) - 1, 0);

	if (n < 0)
		return false; /* ENODEV: the cgroup is gone */
	text[n] = '\0';
	return strstr(text, "populated 0") == NULL;
}

static void cgroup_changed(struct df_source *s, uint32_t events)
{
	struct df_monitor *m =
		(struct df_monitor *)((char *)s - offsetof(struct df_monitor, cgroup_source));

	(void)events;
	m->is_over = !is_populated(m);
}

static void init_ended(struct df_source *s, uint32_t events)
{
	struct df_monitor *m =
		(struct df_monitor *)((char *)s - offsetof(struct df_monitor, pidfd_source));

	(void)events;
	df_loop_remove(&m->loop, DF_FD_PIDFD, s); /* it stays readable */
	m->record.is_init_gone = true;
	m->is_over = !is_populated(m);
}

static int on_event(void *data, void *record, size_t size)
{
	struct df_monitor *m = data;
	struct df_event_task e = {};

	if (size < sizeof(e.event))
		return 0;
	memcpy(&e, record, size < sizeof(e) ? sizeof(e.event) : sizeof(e));
	df_lookup_kernel(m, &e);
	return --m->n_ring_left == 0 ? -EAGAIN : 0; /* what is left keeps epoll ready */
}

static void ring_ready(struct df_source *s, uint32_t events)
{
	struct df_monitor *m =
		(struct df_monitor *)((char *)s - offsetof(struct df_monitor, ring_source));

	/* first the names of the addresses that the events are about */
	worker_ready(&m->worker.source, events);
	m->n_ring_left = DF_MESSAGES_A_ROUND;
	(void)ring_buffer__consume(m->ring);
}

static const struct df_meta *map_meta(void)
{
	const struct df_meta *meta =
		mmap(NULL, sizeof(*meta), PROT_READ, MAP_SHARED, DF_FD_META, 0);
	struct stat st;

	if (meta == MAP_FAILED || fstat(DF_FD_META, &st) < 0 ||
	    (size_t)st.st_size != sizeof(*meta) || meta->version != DF_META_VERSION ||
	    meta->size != sizeof(*meta))
		return NULL;
	return meta;
}

static int watch_container(struct df_monitor *m)
{
	int r;

	m->cgroup_events = openat(DF_FD_CGROUP, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (m->cgroup_events < 0)
		return -errno;
	m->cgroup_source.ready = cgroup_changed;
	m->pidfd_source.ready = init_ended;
	m->ring_source.ready = ring_ready;
	m->worker.source.ready = worker_ready;
	r = df_loop_add(&m->loop, m->cgroup_events, EPOLLPRI, &m->cgroup_source);
	if (r == 0)
		r = df_loop_add(&m->loop, DF_FD_PIDFD, EPOLLIN, &m->pidfd_source);
	if (r == 0)
		r = df_loop_add(&m->loop, ring_buffer__epoll_fd(m->ring), EPOLLIN, &m->ring_source);
	m->is_over = !is_populated(m);
	return r;
}

/* For people and for `ps`; what counts is the lock. */
static void write_pid(void)
{
	_cleanup_close_ int fd = openat(
		DF_FD_RUN, "pid", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (fd >= 0)
		(void)df_write_all(fd, text, (size_t)n);
}

static int init(struct df_monitor *m)
{
	const uint32_t zero = 0;
	int r;

	m->worker.channel = m->reader.channel = -1;
	m->restart_delay_ns = DF_RESTART_MIN_NS;
	m->now_ns = df_now_ns();
	m->meta = map_meta();
	if (!m->meta)
		return -EBADMSG;
	r = df_tables_open(m->meta, &m->tables);
	if (r < 0)
		return r;
	m->learned = df_learn_new();
	if (!m->learned)
		return -ENOMEM;
	r = df_loop_init(&m->loop);
	if (r < 0)
		return r;
	r = bpf_map_lookup_elem(DF_FD_CONF, &zero, &m->conf);
	if (r < 0)
		return r;
	m->ring = ring_buffer__new(DF_FD_EVENTS, on_event, m, NULL);
	if (!m->ring)
		return -errno;
	if (df_launch_cgroup_of(getppid(), m->caller_cgroup, sizeof(m->caller_cgroup)) < 0)
		m->caller_cgroup[0] = '\0';
	df_record_init(&m->record, m->meta, &m->tables);
	write_pid();
	df_resolvers_init(m);
	df_save_init(m);
	r = df_own_map_start(m);
	return r == 0 ? watch_container(m) : r;
}

static int log_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/*
 * A refused connect returns at once, and its container may end with it, so the line for the
 * container's stderr is in a hurry.  Where CAP_SYS_NICE is missing it may come too late.
 */
static void hurry(void)
{
	(void)setpriority(PRIO_PROCESS, 0, DF_MONITOR_NICE);
}

static void ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2};

	/* the fence ends with its container, not with the unit or terminal that called it */
	for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
}

/* What time brings. */
static void housekeeping(struct df_monitor *m)
{
	const struct df_msg_short ping = {.type = DF_MSG_PING};

	df_save_step(m);
	df_own_map_step(m);
	df_lookup_expire(m);
	if (m->raw_opened && m->now_ns >= m->raw_open_until_ns)
		df_kernel_conf_close_raw(m);
	if (m->record.n_kept > 0)
		(void)df_record_retry(&m->record, false);
	if (m->worker.pid == 0 && m->now_ns >= m->restart_at_ns) {
		if (df_child_start_worker(m) < 0)
			m->restart_at_ns = m->now_ns + DF_RESTART_MAX_NS;
		df_resolvers_hand_over(m);
	}
	if (m->worker.pid && m->now_ns >= m->next_ping_ns) {
		if (m->is_pong_due) {
			worker_died(m); /* it hangs */
			return;
		}
		m->is_pong_due = true;
		(void)send(m->worker.channel, &ping, sizeof(ping), MSG_DONTWAIT | MSG_NOSIGNAL);
		m->next_ping_ns = m->now_ns + DF_PING_NS;
		df_life_addresses(m);
		df_resolvers_step(m);
		df_strays_step(m);
	}
	if (m->meta->is_fail_open && m->worker.pid && m->now_ns >= m->next_beat_ns) {
		df_kernel_conf_beat(m);
		m->next_beat_ns = m->now_ns + DF_BEAT_NS;
	}
}

static int ms_to_sleep(const struct df_monitor *m)
{
	uint64_t until = m->worker.pid ? m->next_ping_ns : m->restart_at_ns;

	if (m->meta->is_fail_open && m->worker.pid && m->next_beat_ns < until)
		until = m->next_beat_ns;
	if (m->own_due_ns && m->own_due_ns < until)
		until = m->own_due_ns;
	if (df_lookup_is_any_open(m) && m->now_ns + DF_LOOKUP_DEADLINE_NS < until)
		until = m->now_ns + DF_LOOKUP_DEADLINE_NS;
	if (m->record.n_kept > 0 && m->now_ns + DF_RETRY_NS < until)
		until = m->now_ns + DF_RETRY_NS;
	return until <= m->now_ns ? 0 : (int)((until - m->now_ns) / 1000000) + 1;
}

/* The last counts of the worker, and whoever is still being looked up. */
static void drain(struct df_monitor *m)
{
	const struct df_msg_short finish = {.type = DF_MSG_FINISH};
	const uint64_t until = df_now_ns() + FINISH_MS * 1000000ull;

	if (m->worker.pid)
		(void)send(m->worker.channel, &finish, sizeof(finish), MSG_DONTWAIT | MSG_NOSIGNAL);
	m->is_over = true;
	while (m->worker.pid || df_lookup_is_any_open(m)) {
		m->now_ns = df_now_ns();
		if (m->now_ns >= until || df_loop_wait(&m->loop, FINISH_MS) < 0)
			break;
		df_loop_dispatch(&m->loop);
	}
	m->n_ring_left = UINT32_MAX;
	(void)ring_buffer__consume(m->ring);
	df_child_stop(m, &m->worker);
	df_child_stop(m, &m->reader);
	m->now_ns += DF_LOOKUP_DEADLINE_NS;
	df_lookup_expire(m);
}

/* What the programs held back of their last events: one event for each. */
static void record_held_back(struct df_monitor *m)
{
	for (uint32_t i = 0; i < DF_RECENT_MAX; i++) {
		struct df_identity who;
		struct df_recent r;
		struct df_token t;

		if (bpf_map_lookup_elem(DF_FD_RECENT, &i, &r) < 0 || r.held_back == 0)
			continue;
		t = (struct df_token){.tgid = r.last.tgid, .tid = r.last.tid, .uid = r.last.uid};
		memcpy(t.comm, r.last.comm, sizeof(t.comm));
		df_reader_from_token(&t, DF_IDENTITY_GONE, &who);
		r.last.count = r.held_back;
		df_record_kernel(&m->record, &r.last, r.last.has_identity ? &who : NULL);
	}
}

static void finish(struct df_monitor *m)
{
	const uint8_t none[DF_TOKEN6_PREFIX_LEN] = {};

	drain(m);
	record_held_back(m);
	df_strays_last(m);
	(void)df_record_retry(&m->record, true);
	df_life_stop(m);
	if (memcmp(m->meta->token6_prefix, none, sizeof(none)) != 0)
		(void)df_listen_remove_route(m->meta->token6_prefix);
	(void)unlinkat(DF_FD_RUN, "pid", 0);
	df_save_last(m);
	/*
	 * The last step, in the child that outlives us: with the lock gone a new fence of
	 * this id may start, and its cgroup has the same name as ours.
	 */
	if (*m->meta->proxy_cgroup &&
	    df_launch_cgroup_leave(DF_FD_CGROUP_ROOT, m->meta->proxy_cgroup, m->caller_cgroup) > 0)
		return;
	(void)unlinkat(DF_FD_RUN, "fence", 0);
	(void)unlinkat(DF_FD_RUN, "lock", 0);
}

int main(void)
{
	struct df_monitor *m = &the_monitor;
	int r;

	ignore_signals();
	hurry();
	libbpf_set_print(log_nothing);
	r = df_sandbox_hide();
	if (r == 0)
		r = init(m);
	if (r == 0)
		r = df_sandbox_monitor();
	if (r < 0)
		return 1; /* the hook sees the end of its pipe */
	while (r == 0 && !m->is_over) {
		housekeeping(m);
		r = df_loop_wait(&m->loop, ms_to_sleep(m));
		m->now_ns = df_now_ns();
		df_loop_dispatch(&m->loop);
	}
	finish(m);
	return 0;
}
