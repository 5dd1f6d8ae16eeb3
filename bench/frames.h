/*
 * Frames of Server-Sent Events, parsed once and recognised afterwards.
 *
 * All viewers get the same bytes, so a frame is parsed when it is first seen and later ones are compared with it: a
 * compare proves every byte of every connection and costs a fraction of a parse. A viewer whose frame is not all there
 * holds no copy of it either, but a place in the frame that the first one to get it is building.
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
/* Bytes that tell frames apart well enough to look for them; a compare decides. */
#define LOOK 40

enum frame_kind { FRAME_ITEMS, FRAME_GAP, FRAME_BUSY, FRAME_OTHER };

struct frame {
	enum frame_kind kind;
	bool whole;
	uint32_t holders;      /* viewers in the middle of it */
	size_t len, room;
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
	struct frame small;    /* the last frame that ended before it had a head */
};

/* Where one viewer is: in the middle of a frame, or with a few bytes of one that cannot be looked for yet. */
struct place {
	struct frame *frame;
	size_t matched;
	size_t head_len;
	char head[LOOK];
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

/* Parse the frame's bytes, its blank line included. */
static void frame_parse(struct frame *f)
{
	const char *bytes = f->bytes;
	size_t len = f->len;
	f->kind = FRAME_OTHER;
	f->whole = true;
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
}

static inline unsigned frame_slot(const char *head)
{
	uint64_t h = 0;
	for (size_t i = 0; i < LOOK; i += 8) {
		uint64_t word;
		memcpy(&word, head + i, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return (unsigned)(h >> 40) % CACHE_SLOTS;
}

static void frame_append(struct frames *c, struct frame *f, const char *bytes, size_t len)
{
	if (f->len + len > f->room) {
		f->room = 2 * (f->len + len);
		f->bytes = realloc(f->bytes, f->room);
	}
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
	c->bytes += len;
}

static void frames_forget_oldest(struct frames *c)
{
	struct frame *gone = c->oldest;
	c->oldest = gone->older;
	gone->older = NULL;
	if (gone->holders) { /* somebody is in the middle of it: it begins anew */
		c->newest->older = gone;
		c->newest = gone;
		if (!c->oldest)
			c->oldest = gone;
		return;
	}
	struct frame **at = &c->slot[frame_slot(gone->bytes)];
	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	for (unsigned i = 0; i < RECENT; i++)
		if (c->recent[i] == gone)
			c->recent[i] = NULL;
	c->bytes -= gone->len;
	free(gone->bytes);
	free(gone->stamps);
	free(gone->numbers);
	free(gone);
}

static struct frame *frames_new(struct frames *c, const char *bytes, size_t len)
{
	for (unsigned i = 0; i < 16 && c->bytes > CACHE_BYTES && c->oldest != c->newest; i++)
		frames_forget_oldest(c);
	struct frame *f = calloc(1, sizeof *f);
	unsigned slot = frame_slot(bytes);
	frame_append(c, f, bytes, len);
	f->next = c->slot[slot];
	c->slot[slot] = f;
	if (c->newest)
		c->newest->older = f;
	else
		c->oldest = f;
	c->newest = f;
	return f;
}

/* Another frame that begins like the first *matched* bytes of *f* and goes on like *p*; a new one if there is none. */
static struct frame *frames_fork(struct frames *c, const struct frame *f, size_t matched, const char *p, size_t len)
{
	for (struct frame *g = c->slot[frame_slot(f->bytes)]; g; g = g->next) {
		size_t n = g->len - matched < len ? g->len - matched : len;
		if (g != f && g->len > matched && !memcmp(g->bytes, f->bytes, matched) && !memcmp(g->bytes + matched, p, n))
			return g;
	}
	return frames_new(c, f->bytes, matched);
}

static inline void place_hold(struct place *at, struct frame *f)
{
	if (at->frame)
		at->frame->holders--;
	if (f)
		f->holders++;
	at->frame = f;
}

/* A frame shorter than a head; NULL while it is not all there. *taken* bytes of it came with this receive. */
static struct frame *frames_small(struct frames *c, struct place *at, size_t taken, size_t *used)
{
	size_t before = at->head_len, have = before + taken;
	const char *end = memmem(at->head, have, "\n\n", 2);
	at->head_len = have;
	*used = taken;
	if (!end)
		return NULL;
	struct frame *f = &c->small;
	f->len = 0;
	frame_append(c, f, at->head, (size_t)(end - at->head) + 2);
	c->bytes -= f->len;
	frame_parse(f);
	*used = f->len > before ? f->len - before : 0;
	at->head_len = 0;
	return f;
}

/*
 * Take bytes from *p*: a frame when one has become whole, NULL when all bytes are taken and it has not. The frame stays
 * valid until the next call. *used* is set to the bytes taken.
 */
static inline struct frame *frames_take(struct frames *c, struct place *at, const char *p, size_t len, size_t *used)
{
	size_t taken = 0;
	if (!at->frame) {
		for (unsigned i = 0; i < RECENT && !at->head_len; i++) {
			struct frame *f = c->recent[(c->recent_at - i) % RECENT];
			if (f && len >= f->len && memcmp(p, f->bytes, f->len) == 0) {
				*used = f->len;
				c->recognised++;
				return f;
			}
		}
		taken = LOOK - at->head_len < len ? LOOK - at->head_len : len;
		memcpy(at->head + at->head_len, p, taken);
		struct frame *small = frames_small(c, at, taken, used);
		if (small || at->head_len < LOOK)
			return small;
		at->head_len = 0;
		struct frame *f = c->slot[frame_slot(at->head)];
		while (f && memcmp(f->bytes, at->head, LOOK))
			f = f->next;
		place_hold(at, f ? f : frames_new(c, at->head, LOOK));
		at->matched = LOOK;
	}
	struct frame *f = at->frame;
	bool known = f->whole;
	while (!(f->whole && at->matched == f->len)) {
		size_t n = f->len - at->matched < len - taken ? f->len - at->matched : len - taken;
		if (n && memcmp(f->bytes + at->matched, p + taken, n)) {
			f = frames_fork(c, f, at->matched, p + taken, len - taken);
			place_hold(at, f);
			known = f->whole;
			continue;
		}
		at->matched += n;
		taken += n;
		if (f->whole || taken == len) {
			if (taken < len || (f->whole && at->matched == f->len))
				continue;
			*used = taken;
			return NULL;
		}
		/* The first to get further: up to the first blank line, which may be cut in two. */
		const char *end = p + taken;
		if (!(f->bytes[f->len - 1] == '\n' && *end == '\n')) {
			end = memmem(p + taken, len - taken, "\n\n", 2);
			end = end ? end + 1 : NULL;
		}
		size_t more = end ? (size_t)(end - p) + 1 - taken : len - taken;
		frame_append(c, f, p + taken, more);
		at->matched += more;
		taken += more;
		if (end) {
			frame_parse(f);
			c->parsed++;
		}
	}
	c->recognised += known;
	place_hold(at, NULL);
	c->recent[++c->recent_at % RECENT] = f;
	*used = taken;
	return f;
}

#endif
