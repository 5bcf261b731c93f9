/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * monitor: the proxy's main; keeps a fence alive as long as its container lives.
 *
 * It holds all descriptors, restarts the worker and the reader, writes events,
 * beats the heart that fail=open needs, and cleans up when the container's
 * cgroup has no process left, whatever happened to runtime, conmon or poststop.
 * It parses no DNS and reads no hostile process: worker and reader do.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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
#include "proxy/channel.h"
#include "proxy/learn/learn.h"
#include "proxy/loop.h"
#include "proxy/monitor/connections.h"
#include "proxy/monitor/identity.h"
#include "proxy/monitor/internal.h"
#include "proxy/monitor/record.h"
#include "proxy/sandbox.h"
#include "proxy/tables.h"

#define FINISH_MS 80 /* the worker's last counts; then it is killed */
#define MESSAGE_MAX 256
#define NAME_ROUNDS                                                                                \
	8 /* of messages, before events of the kernel: more than a channel mostly has              \
	   */
#define NICE (-10)
#define PING_NS 2000000000ull
#define RETRY_NS 20000000ull /* a line for the container's stderr, while that is redirected */
#define BEAT_NS 500000000ull
#define RAW_OPEN_NS 60000000000ull /* several times the distance of two notes of a full table */
#define RESTART_MIN_NS 10000000ull
#define RESTART_MAX_NS 1000000000ull

static struct df_monitor {
	const struct df_meta *meta;
	struct df_tables tables;
	struct df_loop loop;
	struct df_record record;
	struct df_children children;
	struct df_child worker;
	struct df_lookups lookups;
	struct df_connections connections;
	struct df_own_map own_map;
	struct df_resolvers resolvers;
	struct df_save save;
	struct df_fence_events fence_events;

	char caller_cgroup[DF_META_PATH_MAX]; /* of the hook, which waits until we are ready */
	struct df_source cgroup_source, pidfd_source, ring_source;
	int cgroup_events; /* cgroup.events of the container's cgroup */
	struct ring_buffer *ring;
	unsigned n_ring_left; /* events that this round may still take */

	struct df_conf conf; /* the one entry of the map "conf", which the monitor alone writes */
	uint8_t raw_opened;  /* tables whose raw-ip block is audit now: the table is full */
	uint64_t raw_open_until_ns, next_beat_ns;

	bool is_ready, is_over;
	bool is_pong_due;
	struct df_msg_pong counts;      /* of this worker, as it last said */
	struct df_msg_pong past_counts; /* of those before it */
	uint64_t now_ns, next_ping_ns;
	uint64_t worker_start_ns, restart_at_ns, restart_delay_ns;
	unsigned n_restarts;
} the_monitor;

/* --- the map "conf" ---------------------------------------------------------------- */

static void write_conf(const struct df_monitor *m)
{
	const uint32_t zero = 0;

	(void)bpf_map_update_elem(DF_FD_CONF, &zero, &m->conf, BPF_ANY);
}

/*
 * Fail open, and an address found no room: an address that raw-ip would refuse passes with an
 * event, until no note has come for a while.  The shadow policy refuses nothing, and goes on.
 */
static void open_raw(struct df_monitor *m)
{
	const uint8_t raw = m->conf.raw_block & (uint8_t)~DF_TABLE_SHADOW_BIT;

	m->raw_open_until_ns = m->now_ns + RAW_OPEN_NS;
	if (!raw)
		return;
	m->raw_opened = raw;
	m->conf.raw_block &= (uint8_t)~raw;
	m->conf.raw_audit |= raw;
	write_conf(m);
}

static void close_raw(struct df_monitor *m)
{
	m->conf.raw_block |= m->raw_opened;
	m->conf.raw_audit &= (uint8_t)~m->raw_opened;
	m->raw_opened = 0;
	write_conf(m);
}

/* --- the worker -------------------------------------------------------------------- */

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

/* Of all workers so far. */
static struct df_msg_pong all_counts(const struct df_monitor *m)
{
	struct df_msg_pong sum = m->past_counts;

	add_counts(&sum, &m->counts);
	return sum;
}

static void start_worker(struct df_monitor *m)
{
	m->worker_start_ns = m->now_ns;
	m->is_pong_due = false;
	if (df_children_start_worker(&m->children, &m->worker) < 0)
		m->restart_at_ns = m->now_ns + RESTART_MAX_NS;
	df_resolvers_hand_over(&m->resolvers);
}

static void worker_died(struct df_monitor *m)
{
	const bool lived_long = m->now_ns - m->worker_start_ns >= RESTART_MAX_NS;
	char text[MESSAGE_MAX];

	df_children_stop(&m->children, &m->worker);
	df_lookups_forget_worker(&m->lookups);
	add_counts(&m->past_counts, &m->counts);
	memset(&m->counts, 0, sizeof(m->counts));
	m->n_restarts++;
	m->restart_delay_ns = lived_long ? RESTART_MIN_NS : m->restart_delay_ns * 2;
	if (m->restart_delay_ns > RESTART_MAX_NS)
		m->restart_delay_ns = RESTART_MAX_NS;
	m->restart_at_ns = m->now_ns + (lived_long ? 0 : m->restart_delay_ns);
	(void)snprintf(text, sizeof(text), "worker ended; restart %u", m->n_restarts);
	df_record_info(&m->record, "worker_restarted", text);
}

static void on_ready(struct df_monitor *m)
{
	if (m->is_ready)
		return;
	m->is_ready = true;
	(void)df_write_all(DF_FD_READY, "R", 1); /* a hook that gave up reads no more */
	(void)close(DF_FD_READY);
	df_fence_events_start(&m->fence_events);
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
		struct df_msg_resume resume;
		struct df_msg_name name;
	} in;
	ssize_t n = recv(m->worker.channel, &in, sizeof(in), MSG_DONTWAIT);

	*ret_is_gone = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == (ssize_t)sizeof(in.query) && in.type == DF_MSG_QUERY) {
		df_lookups_query(&m->lookups, &in.query);
	} else if (n == (ssize_t)sizeof(in.note) && in.type == DF_MSG_NOTE) {
		if (df_record_note(&m->record, &in.note) == 0 &&
		    in.note.what == DF_NOTE_UNLEARNED && m->meta->is_fail_open)
			open_raw(m);
	} else if (n == (ssize_t)sizeof(in.destroy) && in.type == DF_MSG_DESTROY) {
		df_connections_asked(&m->connections, &in.destroy);
	} else if (n == (ssize_t)sizeof(in.resume) && in.type == DF_MSG_RESUME) {
		df_lookups_resume(&m->lookups, &in.resume);
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

/* True: there may be more. */
static bool take_messages(struct df_monitor *m)
{
	bool is_gone = false;
	int n = 0;

	while (n < DF_MESSAGES_A_ROUND && m->worker.pid && take_message(m, &is_gone))
		n++;
	if (m->worker.pid && is_gone) {
		if (m->is_over)
			df_children_stop(&m->children, &m->worker); /* it was told to finish */
		else
			worker_died(m);
	}
	return n == DF_MESSAGES_A_ROUND;
}

static void worker_ready(struct df_source *s, uint32_t events)
{
	(void)events;
	(void)take_messages(DF_CONTAINER_OF(s, struct df_monitor, worker.source));
}

/* --- the kernel and the container --------------------------------------------------- */

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
	struct df_monitor *m = DF_CONTAINER_OF(s, struct df_monitor, cgroup_source);

	(void)events;
	m->is_over = !is_populated(m);
}

static void init_ended(struct df_source *s, uint32_t events)
{
	struct df_monitor *m = DF_CONTAINER_OF(s, struct df_monitor, pidfd_source);

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
	df_lookups_kernel(&m->lookups, &e);
	return --m->n_ring_left == 0 ? -EAGAIN : 0; /* the rest keeps epoll ready */
}

/*
 * First the names of the addresses that the events are about.  They stand behind all messages
 * that the worker sent before: one round may not reach them, and an event is judged once.
 */
static void take_events(struct df_monitor *m, unsigned n)
{
	for (int i = 0; i < NAME_ROUNDS && take_messages(m); i++)
		;
	m->n_ring_left = n;
	(void)ring_buffer__consume(m->ring);
}

static void ring_ready(struct df_source *s, uint32_t events)
{
	(void)events;
	take_events(DF_CONTAINER_OF(s, struct df_monitor, ring_source), DF_MESSAGES_A_ROUND);
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

/* --- start, life and end -------------------------------------------------------------- */

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

/* For people and for `ps`; the lock is what holds the fence's place. */
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
	struct df_learn_shared *learned = df_learn_new();
	const uint32_t zero = 0;
	int r;

	m->worker.channel = m->lookups.reader.channel = -1;
	m->restart_delay_ns = RESTART_MIN_NS;
	m->now_ns = df_now_ns();
	m->meta = map_meta();
	if (!m->meta)
		return -EBADMSG;
	if (!learned)
		return -ENOMEM;
	r = df_tables_open(m->meta, &m->tables);
	if (r == 0)
		r = df_loop_init(&m->loop);
	if (r == 0)
		r = bpf_map_lookup_elem(DF_FD_CONF, &zero, &m->conf);
	if (r < 0)
		return r;
	m->ring = ring_buffer__new(DF_FD_EVENTS, on_event, m, NULL);
	if (!m->ring)
		return -errno;
	if (df_launch_cgroup_of(getppid(), m->caller_cgroup, sizeof(m->caller_cgroup)) < 0)
		m->caller_cgroup[0] = '\0';
	df_record_init(&m->record, m->meta, &m->tables);
	m->children = (struct df_children){
		.meta = m->meta, .tables = &m->tables, .learned = learned, .loop = &m->loop};
	m->lookups.children = &m->children;
	m->lookups.worker = &m->worker;
	m->lookups.record = &m->record;
	m->connections = (struct df_connections){.meta = m->meta, .record = &m->record};
	m->resolvers = (struct df_resolvers){
		.meta = m->meta, .loop = &m->loop, .record = &m->record, .worker = &m->worker};
	m->save = (struct df_save){.meta = m->meta, .record = &m->record};
	m->fence_events = (struct df_fence_events){
		.meta = m->meta, .tables = &m->tables, .record = &m->record};
	write_pid();
	df_resolvers_init(&m->resolvers);
	df_save_init(&m->save, m->now_ns);
	r = df_own_map_start(&m->own_map, m->meta, &m->loop);
	return r == 0 ? watch_container(m) : r;
}

/* Everything that is due by now. */
static void housekeeping(struct df_monitor *m)
{
	const struct df_msg_short ping = {.type = DF_MSG_PING};
	struct df_msg_pong counts;

	df_save_step(&m->save, m->now_ns);
	df_own_map_step(&m->own_map, m->now_ns);
	df_lookups_expire(&m->lookups, m->now_ns);
	if (m->raw_opened && m->now_ns >= m->raw_open_until_ns)
		close_raw(m);
	if (m->record.n_waiting > 0)
		df_record_show_waiting(&m->record, false);
	if (m->worker.pid == 0 && m->now_ns >= m->restart_at_ns)
		start_worker(m);
	if (m->worker.pid && m->now_ns >= m->next_ping_ns) {
		if (m->is_pong_due) {
			worker_died(m); /* it hangs */
			return;
		}
		m->is_pong_due = true;
		(void)df_child_send(&m->worker, &ping, sizeof(ping));
		m->next_ping_ns = m->now_ns + PING_NS;
		counts = all_counts(m);
		df_fence_events_step(&m->fence_events, &counts, m->now_ns);
		df_resolvers_step(&m->resolvers);
	}
	if (m->meta->is_fail_open && m->worker.pid && m->now_ns >= m->next_beat_ns) {
		m->conf.heartbeat = m->now_ns;
		write_conf(m);
		m->next_beat_ns = m->now_ns + BEAT_NS;
	}
}

static uint64_t sooner(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

static int ms_to_sleep(const struct df_monitor *m)
{
	uint64_t until = m->worker.pid ? m->next_ping_ns : m->restart_at_ns;

	if (m->meta->is_fail_open && m->worker.pid)
		until = sooner(until, m->next_beat_ns);
	if (m->own_map.due_ns)
		until = sooner(until, m->own_map.due_ns);
	if (df_lookups_is_any_open(&m->lookups))
		until = sooner(until, m->now_ns + DF_LOOKUP_DEADLINE_NS);
	if (m->record.n_waiting > 0)
		until = sooner(until, m->now_ns + RETRY_NS);
	return until <= m->now_ns ? 0 : (int)((until - m->now_ns) / 1000000) + 1;
}

/* The last counts of the worker, and the lookups that are still open. */
static void drain(struct df_monitor *m)
{
	const struct df_msg_short finish = {.type = DF_MSG_FINISH};
	const uint64_t until = df_now_ns() + FINISH_MS * 1000000ull;

	(void)df_child_send(&m->worker, &finish, sizeof(finish));
	m->is_over = true;
	while (m->worker.pid || df_lookups_is_any_open(&m->lookups)) {
		m->now_ns = df_now_ns();
		if (m->now_ns >= until || df_loop_wait(&m->loop, FINISH_MS) < 0)
			break;
		df_loop_dispatch(&m->loop);
	}
	take_events(m, UINT32_MAX);
	df_children_stop(&m->children, &m->worker);
	df_lookups_stop(&m->lookups);
}

/* The last events that the programs held back: one event for each. */
static void record_held_back(struct df_monitor *m)
{
	for (uint32_t i = 0; i < DF_RECENT_MAX; i++) {
		struct df_kernel_verdict verdict;
		struct df_identity who;
		struct df_recent r;
		struct df_token t;

		if (bpf_map_lookup_elem(DF_FD_RECENT, &i, &r) < 0 || r.held_back == 0)
			continue;
		t = (struct df_token){.tgid = r.last.tgid, .tid = r.last.tid, .uid = r.last.uid};
		memcpy(t.comm, r.last.comm, sizeof(t.comm));
		df_record_from_token(&t, DF_IDENTITY_GONE, &who);
		r.last.count = r.held_back;
		df_record_judge(&m->record, &r.last, &verdict);
		df_record_kernel(&m->record, &r.last, &verdict, r.last.has_identity ? &who : NULL);
	}
}

static void finish(struct df_monitor *m)
{
	const uint8_t none[DF_TOKEN6_PREFIX_LEN] = {};
	struct df_msg_pong counts;

	drain(m);
	record_held_back(m);
	df_record_show_waiting(&m->record, true);
	counts = all_counts(m);
	df_fence_events_stop(&m->fence_events, &counts, m->now_ns);
	if (memcmp(m->meta->token6_prefix, none, sizeof(none)) != 0)
		(void)df_listen_remove_route(m->meta->token6_prefix);
	(void)unlinkat(DF_FD_RUN, "pid", 0);
	df_save_last(&m->save);
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

static int log_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

int main(void)
{
	static const int ignored[] = {SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2};
	struct df_monitor *m = &the_monitor;
	int r;

	/* the fence ends with its container, not with the unit or terminal that called it */
	for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	/*
	 * A refused connect returns at once, and its container may end with it, so the line for the
	 * container's stderr is in a hurry.  Where CAP_SYS_NICE is missing it may come too late.
	 */
	(void)setpriority(PRIO_PROCESS, 0, NICE);
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
