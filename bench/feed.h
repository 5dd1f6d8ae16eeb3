/*
 * The publisher inside the load generator: comments on a schedule (open loop) or as they are delivered (closed loop).
 *
 * Every comment carries the microsecond it was due (`t=`) and its number (`n=`), so that a late publisher shows up in
 * the latencies instead of hiding them.
 */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include "histogram.h"
#include "sockets.h"

#include <math.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum feed_kind {
	FEED_NONE,
	FEED_LINE,  /* payload and a newline, to a server that numbers them itself */
	FEED_NATS,  /* PUB into the log; acknowledgements are counted */
	FEED_FRAME, /* POST of a whole SSE frame: nchan's raw stream */
	FEED_DATA,  /* POST of the frame's data: nchan's eventsource */
	FEED_POST,  /* POST of a comment by one of many users */
};

#define LOOP_RING 1024

struct template {
	char *text;
	size_t len;
	ptrdiff_t stamp, number, id, created; /* where to write them; -1 where not wanted */
};

struct feed {
	enum feed_kind kind;
	int epoll;
	const char *host, *path;
	int port;
	struct template *templates;
	unsigned n_templates;
	char **subjects, **tokens;
	unsigned n_subjects, n_tokens;

	struct stream_socket wire; /* all kinds but FEED_POST */
	struct post_socket *pool;
	unsigned n_pool;
	int64_t *waiting; /* posts that were due while no connection of the pool was free */
	unsigned waiting_head, waiting_n, waiting_room;

	uint64_t published, acked, refused, late;
	int64_t log_seq;    /* the highest sequence acknowledged */
	int64_t frame_seq;  /* the sequences this publisher makes up itself */
	struct histogram ack;
	int first_refused;

	double rate;
	bool poisson, running;
	unsigned short random[3];
	double due; /* microseconds since the epoch */

	unsigned outstanding; /* closed loop; 0 for open */
	int64_t loop_done;
	uint32_t loop_got[LOOP_RING];
};

static inline int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static char **read_lines(const char *file, unsigned *count)
{
	FILE *f = fopen(file, "r");
	if (!f)
		die("cannot read %s", file);
	char **lines = NULL, *line = NULL;
	size_t room = 0;
	ssize_t n;
	*count = 0;
	while ((n = getline(&line, &room, f)) > 0) {
		while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			line[--n] = 0;
		if (!n)
			continue;
		lines = realloc(lines, (*count + 1) * sizeof *lines);
		lines[(*count)++] = strdup(line);
	}
	free(line);
	fclose(f);
	if (!*count)
		die("nothing in %s", file);
	return lines;
}

static ptrdiff_t slot_of(const char *text, char letter, size_t width)
{
	char mark[32] = "@";
	memset(mark + 1, letter, width - 1);
	mark[width] = 0;
	const char *at = strstr(text, mark);
	return at ? at - text : -1;
}

static void feed_templates(struct feed *f, const char *file)
{
	char **lines = read_lines(file, &f->n_templates);
	f->templates = calloc(f->n_templates, sizeof *f->templates);
	for (unsigned i = 0; i < f->n_templates; i++) {
		struct template *t = &f->templates[i];
		t->text = lines[i];
		t->len = strlen(lines[i]);
		t->stamp = slot_of(lines[i], 'T', 16);
		t->number = slot_of(lines[i], 'N', 9);
		t->id = slot_of(lines[i], 'I', 19);
		t->created = slot_of(lines[i], 'C', 24);
	}
	free(lines);
}

static void write_digits(char *at, unsigned width, uint64_t value)
{
	for (unsigned i = width; i-- > 0; value /= 10)
		at[i] = (char)('0' + value % 10);
}

/* The next comment's text, with its stamp, number, id and time filled in. */
static struct template *feed_fill(struct feed *f, int64_t stamp)
{
	struct template *t = &f->templates[f->published % f->n_templates];
	if (t->stamp >= 0)
		write_digits(t->text + t->stamp, 16, (uint64_t)stamp);
	if (t->number >= 0)
		write_digits(t->text + t->number, 9, f->published);
	if (t->id >= 0)
		write_digits(t->text + t->id, 19, 1000000000000000000ull + (uint64_t)stamp * 100 + f->published % 100);
	if (t->created >= 0) {
		time_t s = (time_t)(stamp / 1000000);
		struct tm tm;
		char text[40];
		gmtime_r(&s, &tm);
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.", &tm);
		memcpy(t->text + t->created, text, 20);
		write_digits(t->text + t->created + 20, 3, (uint64_t)(stamp / 1000 % 1000));
		t->text[t->created + 23] = 'Z';
	}
	return t;
}

static void wire_frame(struct feed *f, const struct template *t)
{
	char head[160], data[256];
	int64_t seq = ++f->frame_seq;
	int d = snprintf(data, sizeof data, "{\"prev\":%lld,\"from\":%lld,\"to\":%lld,\"backfill\":false,\"items\":[{\"seq\":%lld,",
			 (long long)seq - 1, (long long)seq, (long long)seq, (long long)seq);
	int h = 0;
	if (f->kind == FEED_FRAME)
		h = snprintf(head, sizeof head, "id: %lld\nevent: comments\ndata: ", (long long)seq);
	const char *tail = f->kind == FEED_FRAME ? "]}\n\n" : "]}";
	wire_printf(&f->wire, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n", f->path,
		    (size_t)h + (size_t)d + t->len - 1 + strlen(tail));
	wire_put(&f->wire, head, (size_t)h);
	wire_put(&f->wire, data, (size_t)d);
	wire_put(&f->wire, t->text + 1, t->len - 1);
	wire_put(&f->wire, tail, strlen(tail));
}

static void post_send(struct feed *f, struct post_socket *s, int64_t stamp)
{
	struct template *t = feed_fill(f, stamp);
	s->busy = true;
	s->due = stamp;
	post_printf(s,
		    "POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
		    "Idempotency-Key: %08llx-%04llx-7%03llx-8000-%012llx\r\nContent-Length: %zu\r\n\r\n%s",
		    f->path, f->tokens[f->published % f->n_tokens],
		    /* UUIDs of version 7, as the page's: what they say of their time is the time. */
		    (unsigned long long)(stamp / 1000) >> 16, (unsigned long long)(stamp / 1000) & 0xffff,
		    (unsigned long long)(stamp % 1000), (unsigned long long)f->published, t->len, t->text);
	f->published++;
}

static void feed_publish(struct feed *f, int64_t stamp)
{
	if (f->kind == FEED_POST) {
		for (unsigned i = 0; i < f->n_pool; i++)
			if (f->pool[i].open && !f->pool[i].busy) {
				post_send(f, &f->pool[i], stamp);
				return;
			}
		f->late++;
		if (f->waiting_n < f->waiting_room)
			f->waiting[(f->waiting_head + f->waiting_n++) % f->waiting_room] = stamp;
		return;
	}
	struct template *t = feed_fill(f, stamp);
	switch (f->kind) {
	case FEED_LINE:
		wire_put(&f->wire, t->text, t->len);
		wire_put(&f->wire, "\n", 1);
		break;
	case FEED_NATS:
		wire_printf(&f->wire, "PUB %s _INBOX.bench %zu\r\n", f->subjects[f->published % f->n_subjects], t->len);
		wire_put(&f->wire, t->text, t->len);
		wire_put(&f->wire, "\r\n", 2);
		break;
	default:
		wire_frame(f, t);
	}
	f->published++;
	wire_flush(&f->wire);
}

/* Publish what is due. Returns the microseconds until the next comment is, or -1 when none is scheduled. */
static inline int64_t feed_run(struct feed *f, int64_t now)
{
	if (!f->running || f->outstanding || f->rate <= 0)
		return -1;
	while (f->due <= (double)now) {
		feed_publish(f, (int64_t)f->due);
		double gap = 1e6 / f->rate;
		f->due += f->poisson ? -log(1 - erand48(f->random)) * gap : gap;
	}
	return (int64_t)(f->due - (double)now) + 1;
}

/*
 * Closed loop: keep *outstanding* comments on their way, each one published when the one before it has reached its share
 * of the viewers. Published together they would arrive together, share a window, and stay together for ever.
 */
static void feed_loop(struct feed *f, uint32_t expected)
{
	while (f->running && f->outstanding && (int64_t)f->published - f->loop_done < f->outstanding) {
		int64_t previous = (int64_t)f->published - 1;
		if (previous >= f->loop_done && f->loop_got[previous % LOOP_RING] < expected / f->outstanding + 1)
			return;
		f->loop_got[f->published % LOOP_RING] = 0;
		feed_publish(f, now_us());
	}
}

/* A viewer of *expected* got comment *number*. */
static inline void feed_delivered(struct feed *f, int64_t number, uint32_t expected)
{
	if (number < f->loop_done || number >= (int64_t)f->published)
		return;
	f->loop_got[number % LOOP_RING]++;
	while (f->loop_done < (int64_t)f->published && f->loop_got[f->loop_done % LOOP_RING] >= expected)
		f->loop_done++;
	feed_loop(f, expected);
}

static void nats_read(struct feed *f)
{
	struct stream_socket *s = &f->wire;
	for (;;) {
		char *eol = memmem(s->in, s->in_len, "\r\n", 2);
		if (!eol)
			return;
		size_t line = (size_t)(eol - s->in) + 2, used = line;
		*eol = 0;
		if (STARTS(s->in, line, "MSG ") || STARTS(s->in, line, "HMSG ")) {
			char *space = strrchr(s->in, ' ');
			used += (size_t)atol(space + 1) + 2;
			if (used > s->in_len) {
				*eol = '\r';
				return;
			}
			int64_t seq = field(s->in + line, s->in + used, "\"seq\":");
			if (seq > 0) {
				f->acked++;
				f->log_seq = seq > f->log_seq ? seq : f->log_seq;
			} else {
				f->refused++;
			}
		} else if (STARTS(s->in, line, "PING")) {
			wire_put(s, "PONG\r\n", 6);
		} else if (STARTS(s->in, line, "-ERR")) {
			die("nats-server: %s", s->in);
		}
		wire_used(s, used);
	}
}

static void http_read(struct feed *f)
{
	struct stream_socket *s = &f->wire;
	for (char *p; (p = memmem(s->in, s->in_len, "HTTP/1.1 ", 9)) && (size_t)(p - s->in) + 12 <= s->in_len;) {
		if (p[9] == '2')
			f->acked++;
		else
			f->refused++;
		wire_used(s, (size_t)(p - s->in) + 12);
	}
	if (s->in_len > 16)
		wire_used(s, s->in_len - 16);
}

static void feed_ready(struct source *source, uint32_t events)
{
	struct feed *f = source->owner;
	if (!wire_read(&f->wire, events))
		die("the feed's connection ended%s", "");
	if (f->kind == FEED_NATS)
		nats_read(f);
	else if (f->kind == FEED_LINE)
		wire_used(&f->wire, f->wire.in_len);
	else
		http_read(f);
	wire_flush(&f->wire);
}

static void post_ready(struct source *source, uint32_t events)
{
	struct post_socket *s = (struct post_socket *)source;
	struct feed *f = source->owner;
	int status = post_read(s, events);
	if (status < 0) {
		if (s->busy)
			f->refused++;
		post_open(s, f->epoll, f->host, f->port);
		return;
	}
	if (!status)
		return;
	if (status < 300) {
		f->acked++;
	} else {
		f->refused++;
		f->first_refused = f->first_refused ? f->first_refused : status;
	}
	hist_add(&f->ack, now_us() - s->due);
	s->busy = false;
	if (f->waiting_n) {
		f->waiting_n--;
		int64_t due = f->waiting[f->waiting_head++ % f->waiting_room];
		f->waiting_head %= f->waiting_room;
		post_send(f, s, due);
	}
}

static void feed_open(struct feed *f, int epoll)
{
	f->epoll = epoll;
	if (f->kind == FEED_NONE)
		return;
	if (f->kind == FEED_POST) {
		f->pool = calloc(f->n_pool, sizeof *f->pool);
		f->waiting_room = 1 << 16;
		f->waiting = calloc(f->waiting_room, sizeof *f->waiting);
		for (unsigned i = 0; i < f->n_pool; i++) {
			f->pool[i].source = (struct source){.ready = post_ready, .owner = f};
			post_open(&f->pool[i], epoll, f->host, f->port);
		}
		return;
	}
	f->wire.source = (struct source){.ready = feed_ready, .owner = f};
	wire_open(&f->wire, epoll, f->host, f->port);
	if (f->kind == FEED_NATS)
		wire_printf(&f->wire, "CONNECT {\"verbose\":false,\"pedantic\":false,\"name\":\"bench\"}\r\nSUB _INBOX.bench 1\r\n");
	wire_flush(&f->wire);
}

static void feed_start(struct feed *f, double rate, bool poisson, unsigned outstanding)
{
	f->rate = rate;
	f->poisson = poisson;
	f->outstanding = outstanding < LOOP_RING ? outstanding : LOOP_RING - 1;
	f->running = true;
	f->loop_done = (int64_t)f->published;
	f->due = (double)now_us();
	feed_loop(f, UINT32_MAX / 2);
}

#endif
