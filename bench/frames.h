/*
 * Frames of Server-Sent Events, parsed once and recognised afterwards.
 *
 * All viewers get the same bytes, so a frame is parsed when it is first seen and later ones are compared with it: a
 * compare proves every byte of every connection and costs a fraction of a parse. What differs is parsed on its own.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_SLOTS 4096
#define CACHE_BYTES (192u << 20)
/* Frames looked at before the table: the ones most connections are at. */
#define RECENT 8

enum frame_kind { FRAME_ITEMS, FRAME_GAP, FRAME_BUSY, FRAME_OTHER };

struct frame {
	enum frame_kind kind;
	size_t len;
	char *bytes;
	int64_t prev, to;      /* items: the delivery's range; gap: from - 1 and to */
	uint32_t items;
	uint32_t disorder;     /* items not above the one before them, or outside the range */
	uint32_t mislabelled;  /* an id that is not `to`, or a range that does not parse */
	int64_t first_seq, last_seq;
	bool sampled, backfill;
	int64_t *stamps;       /* microseconds since the epoch when each item was published; 0 when it does not say */
	int64_t *numbers;      /* the publisher's own number of each item; -1 when it does not say */
	struct frame *next;    /* in its slot */
	struct frame *older;   /* in order of arrival */
};

struct frames {
	struct frame *slot[CACHE_SLOTS];
	struct frame *recent[RECENT];
	unsigned recent_at;
	struct frame *oldest, *newest;
	size_t bytes;
	uint64_t parsed, recognised;
};

static inline bool starts(const char *p, size_t len, const char *what, size_t n)
{
	return len >= n && memcmp(p, what, n) == 0;
}
#define STARTS(p, len, literal) starts((p), (len), (literal), sizeof(literal) - 1)

/* The number at *p*, up to *end*; -1 when there is none. */
static inline int64_t number_at(const char *p, const char *end)
{
	int64_t value = 0;
	const char *start = p;
	while (p < end && *p >= '0' && *p <= '9')
		value = value * 10 + (*p++ - '0');
	return p == start ? -1 : value;
}

static inline const char *find(const char *p, const char *end, const char *what)
{
	return p < end ? memmem(p, (size_t)(end - p), what, strlen(what)) : NULL;
}

static inline int64_t field(const char *p, const char *end, const char *name)
{
	const char *at = find(p, end, name);
	return at ? number_at(at + strlen(name), end) : -1;
}

static void frame_items(struct frame *f, const char *p, const char *end)
{
	uint32_t room = 64;
	f->stamps = malloc(room * sizeof *f->stamps);
	f->numbers = malloc(room * sizeof *f->numbers);
	int64_t before = f->prev;
	/* Quotes in texts are escaped, so this is always a key. */
	const char *item = find(p, end, "\"seq\":");
	while (item) {
		const char *following = find(item + 6, end, "\"seq\":");
		const char *stop = following ? following : end;
		if (f->items == room) {
			room *= 2;
			f->stamps = realloc(f->stamps, room * sizeof *f->stamps);
			f->numbers = realloc(f->numbers, room * sizeof *f->numbers);
		}
		int64_t seq = number_at(item + 6, stop);
		if (seq <= before || seq > f->to)
			f->disorder++;
		if (!f->items)
			f->first_seq = seq;
		before = f->last_seq = seq;
		int64_t stamp = field(item, stop, "\"text\":\"t=");
		f->stamps[f->items] = stamp < 0 ? 0 : stamp;
		f->numbers[f->items++] = stamp < 0 ? -1 : field(item, stop, " n=");
		item = following;
	}
}

static void frame_data(struct frame *f, const char *p, const char *end, int64_t id)
{
	f->prev = field(p, end, "\"prev\":");
	f->to = field(p, end, "\"to\":");
	f->mislabelled = f->prev < 0 || f->to < f->prev || (id >= 0 && id != f->to);
	const char *items = find(p, end, "\"items\":[");
	const char *head_end = items ? items : end;
	f->backfill = find(p, head_end, "\"backfill\":true") != NULL;
	f->sampled = find(p, head_end, "\"sampled\":{") != NULL;
	if (items)
		frame_items(f, items, end);
	else
		f->mislabelled = 1;
}

/* Parse one frame of *len* bytes, its blank line included. */
static struct frame *frame_parse(const char *bytes, size_t len)
{
	struct frame *f = calloc(1, sizeof *f);
	f->kind = FRAME_OTHER;
	f->len = len;
	f->bytes = malloc(len);
	memcpy(f->bytes, bytes, len);
	int64_t id = -1;
	bool comments = true, known = false;
	const char *p = bytes, *end = bytes + len;
	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((eol ? eol : end) - p);
		if (STARTS(p, n, "id: ")) {
			const char *q = p + 4;
			while (q < p + n && *q >= '0' && *q <= '9')
				q++;
			/* Other servers' ids (`1700000000:0`) say nothing about the log. */
			id = q == p + n ? number_at(p + 4, q) : -1;
		} else if (STARTS(p, n, "event: ")) {
			comments = STARTS(p, n, "event: comments");
			if (STARTS(p, n, "event: busy"))
				f->kind = FRAME_BUSY;
			if (STARTS(p, n, "event: gap"))
				f->kind = FRAME_GAP;
		} else if (STARTS(p, n, "data: {") && !known) {
			known = true;
			if (f->kind == FRAME_GAP) {
				f->prev = field(p, p + n, "\"from\":") - 1;
				f->to = field(p, p + n, "\"to\":");
			} else if (comments && find(p, p + (n < 64 ? n : 64), "\"prev\":")) {
				f->kind = FRAME_ITEMS;
				frame_data(f, p, p + n, id);
			}
		}
		p = eol ? eol + 1 : end;
	}
	return f;
}

static inline unsigned frame_slot(const char *bytes, size_t len)
{
	/* The head (id, prev, to) and the tail tell frames apart well enough; a compare decides. */
	uint64_t h = len * 0x9e3779b97f4a7c15ull;
	for (size_t i = 0; i < 24 && i < len; i++)
		h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3ull;
	for (size_t i = len > 60 ? 40 : len; i < 60; i++)
		h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3ull;
	return (unsigned)(h >> 40) % CACHE_SLOTS;
}

static void frames_forget_oldest(struct frames *c)
{
	struct frame *gone = c->oldest;
	struct frame **at = &c->slot[frame_slot(gone->bytes, gone->len)];
	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	for (unsigned i = 0; i < RECENT; i++)
		if (c->recent[i] == gone)
			c->recent[i] = NULL;
	c->oldest = gone->older;
	if (!c->oldest)
		c->newest = NULL;
	c->bytes -= gone->len;
	free(gone->bytes);
	free(gone->stamps);
	free(gone->numbers);
	free(gone);
}

/*
 * The frame at the front of *p*; NULL while it is not all there. It stays valid until the next call.
 * *used* is set to the bytes it takes.
 */
static inline struct frame *frames_take(struct frames *c, const char *p, size_t len, size_t *used)
{
	for (unsigned i = 0; i < RECENT; i++) {
		struct frame *f = c->recent[(c->recent_at - i) % RECENT];
		if (f && len >= f->len && memcmp(p, f->bytes, f->len) == 0) {
			*used = f->len;
			c->recognised++;
			return f;
		}
	}
	/* A frame ends with its first blank line. */
	const char *end = memmem(p, len, "\n\n", 2);
	if (!end)
		return NULL;
	*used = (size_t)(end - p) + 2;
	unsigned slot = frame_slot(p, *used);
	struct frame *f = c->slot[slot];
	while (f && (f->len != *used || memcmp(f->bytes, p, *used)))
		f = f->next;
	if (f) {
		c->recognised++;
	} else {
		f = frame_parse(p, *used);
		c->parsed++;
		f->next = c->slot[slot];
		c->slot[slot] = f;
		if (c->newest)
			c->newest->older = f;
		else
			c->oldest = f;
		c->newest = f;
		c->bytes += f->len;
		while (c->bytes > CACHE_BYTES && c->oldest != f)
			frames_forget_oldest(c);
	}
	c->recent[++c->recent_at % RECENT] = f;
	return f;
}

#endif
