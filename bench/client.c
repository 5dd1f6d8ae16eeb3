/*
 * The load generator: opens viewers, publishes comments, verifies every delivery of every connection, and measures.
 *
 * It obeys commands on standard input, one a line, and answers each with one line of JSON; see `command` below.
 * Options are listed in `options`. bench/client.py wraps it.
 */
#include "viewers.h"

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

static struct audience audience;
static struct feed feed;
static double churn_rate, churn_due;
/* Ask for events without sleeping, so that a write to a viewer wakes nobody; see `spin_gently`. */
static bool spin;
/* Events that one look takes. */
#define MOST 256
/* Microseconds between two looks at what has come in; see `nap`. */
static int64_t nap_us;
static uint32_t churn_at;
static struct source input;

static int64_t cpu_us(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void audience_opened(struct audience *a)
{
	if (!a->announce)
		return;
	printf("{\"event\":\"opened\",\"open\":%u,\"seconds\":%.6f,\"refused\":%llu,\"first_status\":%d}\n", a->open, a->opened_s,
	       (unsigned long long)a->wrong.refused, a->wrong.first_status);
	fflush(stdout);
}

static void open_all(struct audience *a, bool only_b)
{
	a->announce = !only_b;
	a->queue_n = a->queue_at = 0;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->viewers[i].state == VIEWER_CLOSED && (!only_b || a->viewers[i].b))
			a->queue[a->queue_n++] = i;
	a->opening = true;
	a->opening_since = now_us();
	audience_fill(a);
}

static void mark(struct audience *a)
{
	memset(&a->now, 0, sizeof a->now);
	a->now.since = now_us();
	a->now.cpu_since = cpu_us();
	a->witness_at = 0;
	memset(&feed.ack, 0, sizeof feed.ack);
}

/* All of group B gone at once. */
static void cut(struct audience *a)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->viewers[i].b)
			viewer_forget(a, &a->viewers[i]);
}

/* They come back: from where they were, or from up to *spread* sequences before the newest one. */
static void come_back(struct audience *a, uint32_t spread, uint32_t in_flight)
{
	a->in_flight_max = in_flight ? in_flight : a->in_flight_max;
	a->again = (struct recovery){.since = now_us(), .target = a->max_to};
	for (uint32_t i = 0; i < a->n; i++) {
		struct viewer *v = &a->viewers[i];
		if (!v->b)
			continue;
		v->resume = spread ? a->max_to - (int64_t)((v->index * 2654435761u >> 7) % spread) : v->to;
		v->recovering = true;
		a->again.wanted++;
	}
	open_all(a, true);
}

/* Somebody leaves and somebody else comes, at a rate. */
static int64_t churn(struct audience *a, int64_t now)
{
	if (churn_rate <= 0)
		return -1;
	while (churn_due <= (double)now) {
		struct viewer *v = &a->viewers[churn_at++ % a->n];
		for (uint32_t i = 0; i < a->n && (!v->b || v->state != VIEWER_BODY); i++)
			v = &a->viewers[churn_at++ % a->n];
		viewer_forget(a, v);
		v->resume = -1;
		viewer_open(a, v);
		churn_due += 1e6 / churn_rate;
	}
	return (int64_t)(churn_due - (double)now) + 1;
}

static void report_feed(void)
{
	printf("\"published\":%llu,\"acked\":%llu,\"refused_posts\":%llu,\"first_refused\":%d,\"late\":%llu,\"waiting\":%u,"
	       "\"log_seq\":%lld,\"ack\":",
	       (unsigned long long)feed.published, (unsigned long long)feed.acked, (unsigned long long)feed.refused,
	       feed.first_refused, (unsigned long long)feed.late, feed.waiting_n, (long long)feed.log_seq);
	hist_print(stdout, &feed.ack);
}

static void report(struct audience *a)
{
	int64_t oldest = INT64_MAX;
	uint32_t positioned = 0, bad = 0, complete = 0, compressed = 0;
	for (uint32_t i = 0; i < a->n; i++) {
		struct viewer *v = &a->viewers[i];
		positioned += v->state == VIEWER_BODY && v->to >= 0;
		bad += v->bad;
		if (v->state == VIEWER_BODY && v->to < oldest)
			oldest = v->to;
		complete += v->state == VIEWER_BODY && !v->bad && v->to == a->max_to;
		compressed += v->state == VIEWER_BODY && v->gzip;
	}
	const struct counts *c = &a->now;
	const struct violations *w = &a->wrong;
#define U(x) (unsigned long long)(x)
	printf("{\"event\":\"report\",\"seconds\":%.6f,\"client_cpu_s\":%.6f,\"viewers\":%u,\"open\":%u,\"positioned\":%u,"
	       "\"complete\":%u,\"bad\":%u,\"compressed\":%u,\"oldest\":%lld,\"max_to\":%lld,",
	       (double)(now_us() - c->since) / 1e6, (double)(cpu_us() - c->cpu_since) / 1e6, a->n, a->open, positioned, complete, bad,
	       compressed, (long long)oldest, (long long)a->max_to);
	printf("\"windows\":%llu,\"items\":%llu,\"receives\":%llu,\"many\":%llu,\"bytes\":%llu,\"plain_bytes\":%llu,\"frames\":%llu,"
	       "\"sampled_windows\":%llu,\"frames_parsed\":%llu,\"frames_recognised\":%llu,",
	       U(c->windows), U(c->items), U(c->receives), U(c->many), U(c->bytes), U(c->plain_bytes), U(c->frames),
	       U(c->sampled_windows), U(a->frames.parsed), U(a->frames.recognised));
	printf("\"violations\":{\"chain\":%llu,\"repeated\":%llu,\"missing\":%llu,\"disorder\":%llu,\"mislabelled\":%llu,\"gaps\":%llu,"
	       "\"gap_seqs\":%llu,\"busy\":%llu,\"ended\":%llu,\"refused\":%llu,\"inflate\":%llu},\"first_status\":%d,",
	       U(w->chain), U(w->repeated), U(w->missing), U(w->disorder), U(w->mislabelled), U(w->gaps), U(w->gap_seqs), U(w->busy),
	       U(w->ended), U(w->refused), U(w->inflate), w->first_status);
#undef U
	printf("\"recovery\":{\"wanted\":%u,\"connected\":%u,\"connected_s\":%.6f,\"whole\":%u,\"whole_s\":%.6f,\"retries\":%u},",
	       a->again.wanted, a->again.connected, a->again.connected_s, a->again.whole, a->again.whole_s, a->again.retries);
	report_feed();
	fputs(",\"a\":", stdout);
	hist_print(stdout, &c->a);
	fputs(",\"b\":", stdout);
	hist_print(stdout, &c->b);
	fputs(",\"read\":", stdout);
	hist_print(stdout, &c->read);
	fputs(",\"interval\":", stdout);
	hist_print(stdout, &c->interval);
	fputs("}\n", stdout);
	fflush(stdout);
}

/*
 * open            open all viewers; {"event":"opened"} follows when the last one was answered
 * mark            begin to count anew
 * report          what was counted since
 * uniform R       publish R comments a second;  poisson R: the same on average;  closed W: keep W on their way
 * quiet           publish nothing
 * stall / wake    group B stops reading / reads again
 * cut             group B closes its connections
 * again N K       ... and comes back, K at once, with last ids up to N sequences old; N of 0: each with its own
 * churn R         R viewers of group B a second leave and come back as new ones
 * quit
 */
static void command(struct audience *a, const char *line)
{
	double number = 0;
	const char *space = strchr(line, ' ');
	if (space)
		number = atof(space);
	if (STARTS(line, strlen(line), "report")) {
		report(a);
		return;
	}
	puts("{\"event\":\"ok\"}");
	fflush(stdout);
	if (!strcmp(line, "open"))
		open_all(a, false);
	else if (!strcmp(line, "mark"))
		mark(a);
	else if (STARTS(line, strlen(line), "uniform"))
		feed_start(&feed, number, false, 0);
	else if (STARTS(line, strlen(line), "poisson"))
		feed_start(&feed, number, true, 0);
	else if (STARTS(line, strlen(line), "closed"))
		feed_start(&feed, 0, false, (unsigned)number);
	else if (!strcmp(line, "quiet"))
		feed.running = false;
	else if (!strcmp(line, "stall") || !strcmp(line, "wake"))
		for (uint32_t i = 0; i < a->n; i++) {
			if (a->viewers[i].b)
				viewer_stall(a, &a->viewers[i], *line == 's');
		}
	else if (!strcmp(line, "cut"))
		cut(a);
	else if (STARTS(line, strlen(line), "again "))
		come_back(a, (uint32_t)number, strchr(space + 1, ' ') ? (uint32_t)atoi(strchr(space + 1, ' ')) : 0);
	else if (STARTS(line, strlen(line), "churn")) {
		churn_rate = number;
		churn_due = (double)now_us();
	} else if (!strcmp(line, "quit"))
		exit(0);
	else
		die("no such command: %s", line);
}

static void input_ready(struct source *source, uint32_t events)
{
	static char text[4096];
	static size_t len;
	(void)events;
	ssize_t n = read(0, text + len, sizeof text - len - 1);
	if (n <= 0)
		exit(0);
	len += (size_t)n;
	for (char *eol; (eol = memchr(text, '\n', len));) {
		*eol = 0;
		command(source->owner, text);
		size_t used = (size_t)(eol - text) + 1;
		memmove(text, eol + 1, len - used);
		len -= used;
	}
}

static enum feed_kind kind_of(const char *name)
{
	static const char *const names[] = {"none", "line", "nats", "frame", "data", "post"};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return (enum feed_kind)i;
	die("no such feed: %s", name);
}

/* Name, letter; every one takes a value, flags take 1. */
static const struct option options[] = {
	{"host", 1, 0, 'h'},        {"port", 1, 0, 'p'},        {"path", 1, 0, 'u'},      {"paths", 1, 0, 'U'},
	{"viewers", 1, 0, 'n'},     {"in-flight", 1, 0, 'k'},   {"sources", 1, 0, 's'},   {"group-b", 1, 0, 'b'},
	{"via-port", 1, 0, 'v'},    {"rcvbuf-b", 1, 0, 'R'},    {"gzip", 1, 0, 'g'},      {"dense", 1, 0, 'd'},
	{"http10", 1, 0, '0'},      {"tls", 1, 0, 'T'},       {"feed", 1, 0, 'f'},
	{"feed-port", 1, 0, 'P'},   {"feed-path", 1, 0, 'q'},   {"subjects", 1, 0, 'S'},  {"templates", 1, 0, 't'},
	{"tokens", 1, 0, 'j'},      {"pool", 1, 0, 'c'},        {"seed", 1, 0, 'e'},      {"spin", 1, 0, 'i'},    {"nap", 1, 0, 'z'},     {"stamped", 1, 0, 'm'},  {"help", 0, 0, '?'},
	{0, 0, 0, 0},
};

static void configure(struct audience *a, int argc, char **argv)
{
	uint32_t group_b = 0;
	bool gzip = false, tls = false;
	static char *path[1];
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'h': a->host = optarg; break;
		case 'p': a->port = atoi(optarg); break;
		case 'u': path[0] = optarg; a->paths = path; a->n_paths = 1; break;
		case 'U': a->paths = read_lines(optarg, &a->n_paths); break;
		case 'n': a->n = (uint32_t)atoi(optarg); break;
		case 'k': a->in_flight_max = (uint32_t)atoi(optarg); break;
		case 's': a->sources = (uint32_t)atoi(optarg); break;
		case 'b': group_b = (uint32_t)atoi(optarg); break;
		case 'v': a->via_port = atoi(optarg); break;
		case 'R': a->rcvbuf_b = (uint32_t)atoi(optarg); break;
		case 'g': gzip = atoi(optarg); break;
		case 'd': a->dense = atoi(optarg); break;
		case '0': a->http10 = atoi(optarg); break;
		case 'T': tls = atoi(optarg); break;
		case 'f': feed.kind = kind_of(optarg); break;
		case 'P': feed.port = atoi(optarg); break;
		case 'q': feed.path = optarg; break;
		case 'S': feed.subjects = read_lines(optarg, &feed.n_subjects); break;
		case 't': feed_templates(&feed, optarg); break;
		case 'j': feed.tokens = read_lines(optarg, &feed.n_tokens); break;
		case 'c': feed.n_pool = (unsigned)atoi(optarg); break;
		case 'i': spin = atoi(optarg); break;
		case 'z': nap_us = atoi(optarg); break;
		case 'm': a->stamped = atoi(optarg); break;
		case 'e': feed.random[0] = (unsigned short)atoi(optarg); break;
		default: die("see the table `options` in client.c");
		}
	}
	a->viewers = calloc(a->n, sizeof *a->viewers);
	a->queue = calloc((size_t)TRIES * a->n, sizeof *a->queue);
	for (uint32_t i = 0; i < a->n; i++) {
		struct viewer *v = &a->viewers[i];
		v->source = (struct source){.ready = viewer_ready, .owner = a};
		v->index = i;
		v->gzip = gzip;
		v->resume = v->to = -1;
		uint64_t share = (uint64_t)(i + 1) * group_b / a->n;
		v->b = share != (uint64_t)i * group_b / a->n;
		v->via = v->b && a->via_port && share % 2;
	}
	if (tls) {
#ifdef WITH_TLS
		a->tls = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_mode(a->tls, SSL_MODE_RELEASE_BUFFERS);
		SSL_CTX_set_session_cache_mode(a->tls, SSL_SESS_CACHE_OFF);
#else
		die("built without OpenSSL");
#endif
	}
}

/* Whoever else has something to do on this core (the broker) goes first. */
static void spin_gently(void)
{
	struct sched_param none = {0};
	if (sched_setscheduler(0, SCHED_IDLE, &none))
		die("sched_setscheduler: %s", strerror(errno));
}

/* Sleep until something is due, *nap_us* at most, whatever comes in: viewers elsewhere are woken by their own machines, and
 * here each write to one would wake this process, at the expense of the server's core. */
static void nap(int64_t due)
{
	struct timespec rest = {0, (due < 0 || due > nap_us ? nap_us : due) * 1000};
	nanosleep(&rest, NULL);
}

int main(int argc, char **argv)
{
	struct audience *a = &audience;
	signal(SIGPIPE, SIG_IGN);
	*a = (struct audience){.host = "127.0.0.1", .in_flight_max = 128, .sources = 1, .max_to = -1, .feed = &feed};
	feed = (struct feed){.host = "127.0.0.1", .n_pool = 256, .random = {1, 2, 3}};
	configure(a, argc, argv);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	a->work = malloc(RECEIVE);
	a->plain = malloc(RECEIVE);
	input = (struct source){.ready = input_ready, .owner = a};
	fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
	watch(a->epoll, 0, &input, EPOLLIN);
	feed_open(&feed, a->epoll);
	mark(a);
	if (spin)
		spin_gently();
	for (int n = 0;;) {
		int64_t now = now_us(), due = feed_run(&feed, now), leaving = churn(a, now);
		if (leaving >= 0 && (due < 0 || leaving < due))
			due = leaving;
		if (nap_us && due && n < MOST)
			nap(due);
		if (spin || nap_us)
			due = 0;
		struct timespec wait = {due / 1000000, due % 1000000 * 1000};
		struct epoll_event events[MOST];
		n = epoll_pwait2(a->epoll, events, MOST, due < 0 ? NULL : &wait, NULL);
		for (int i = 0; i < n; i++) {
			struct source *source = events[i].data.ptr;
			source->ready(source, events[i].events);
			/* What is due is published between two receives: a busy client must not hold it back. */
			feed_run(&feed, now_us());
		}
	}
}
