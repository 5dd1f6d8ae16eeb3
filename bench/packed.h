/*
 * Compressed bytes, decoded once for all connections that are in the same state.
 *
 * Viewers of a stream share compressed windows, so what a connection receives is nearly always what another one received
 * in the same state of its decoder: a compare of the compressed bytes proves what they decode to. States form chains that
 * begin at `packed_start`, a decoder that has seen nothing: bytes that decode there refer to nothing before them.
 */
#ifndef BENCH_PACKED_H
#define BENCH_PACKED_H

#include "frames.h"

#include <zlib.h>

/* Followers remembered of each state: running viewers, those who wait for an epoch's start, and some to spare. */
#define PACKED_AFTER 8

struct packed {
	z_stream *z;           /* the decoder after these bytes */
	unsigned holders;      /* viewers in this state, and the state before it */
	size_t len, plain_len;
	char *bytes;
	struct frame **frames; /* what they decode to, heartbeats left out */
	unsigned n_frames;
	struct packed *after[PACKED_AFTER];
	unsigned after_at;
};

static struct packed packed_start;

static void packed_drop(struct packed *p)
{
	if (!p || --p->holders)
		return;
	for (unsigned i = 0; i < PACKED_AFTER; i++)
		packed_drop(p->after[i]);
	for (unsigned i = 0; i < p->n_frames; i++)
		p->frames[i]->holders--;
	inflateEnd(p->z);
	free(p->z);
	free(p->frames);
	free(p->bytes);
	free(p);
}

/* Whether nothing of a block has begun: the decoder is at a byte's edge and waits for a block's first bit. */
static inline bool packed_boundary(const z_stream *z)
{
	return (z->data_type & 128) && !(z->data_type & 63);
}

static inline struct packed *packed_find(const struct packed *from, const char *bytes, size_t len)
{
	for (unsigned i = 0; i < PACKED_AFTER; i++) {
		struct packed *p = from->after[(from->after_at - i) % PACKED_AFTER];
		if (p && p->len == len && !memcmp(p->bytes, bytes, len))
			return p;
	}
	return NULL;
}

static struct packed *packed_remember(struct packed *from, struct packed *p)
{
	struct packed **slot = &from->after[++from->after_at % PACKED_AFTER];
	packed_drop(*slot);
	*slot = p;
	p->holders++;
	return p;
}

/* Whether *plain* is whole frames; they are put into *p*. */
static bool packed_frames(struct packed *p, struct frames *c, const char *plain, size_t len)
{
	struct place at = {0};
	unsigned room = 0;
	while (len) {
		size_t used;
		struct frame *f = frames_take(c, &at, plain, len, &used);
		plain += used;
		len -= used;
		if (f == &c->small && f->kind != FRAME_OTHER)
			return false;
		if (!f || f == &c->small)
			continue;
		if (p->n_frames == room)
			p->frames = realloc(p->frames, (room = room ? 2 * room : 4) * sizeof(struct frame *));
		f->holders++;
		p->frames[p->n_frames++] = f;
	}
	bool whole = !at.frame && !at.head_len;
	place_hold(&at, NULL);
	return whole;
}

/*
 * Decode *bytes* in the state *from* (NULL: one that has seen nothing). The state after them, held by *from* then; NULL
 * when they do not decode there, or do not end with a frame and a block.
 */
static struct packed *packed_decode(struct packed *from, struct frames *c, const char *bytes, size_t len, char *work, size_t room)
{
	struct packed *p = calloc(1, sizeof *p);
	p->z = calloc(1, sizeof *p->z);
	if (from)
		inflateCopy(p->z, from->z);
	else
		inflateInit2(p->z, -15);
	p->z->next_in = (Bytef *)bytes;
	p->z->avail_in = (uInt)len;
	p->z->next_out = (Bytef *)work;
	p->z->avail_out = (uInt)room;
	int rc = inflate(p->z, Z_SYNC_FLUSH);
	p->plain_len = room - p->z->avail_out;
	p->holders = 1;
	if ((rc != Z_OK && rc != Z_BUF_ERROR) || p->z->avail_in || !p->z->avail_out || !packed_boundary(p->z) ||
	    !packed_frames(p, c, work, p->plain_len)) {
		packed_drop(p);
		return NULL;
	}
	p->bytes = malloc(len);
	memcpy(p->bytes, bytes, len);
	p->len = len;
	p->holders = 0;
	return packed_remember(from ? from : &packed_start, p);
}

/* The state after *bytes* for somebody in the state *at*; NULL when they end in the middle of something. */
static inline struct packed *packed_take(struct packed *at, struct frames *c, const char *bytes, size_t len, char *work, size_t room)
{
	struct packed *p = packed_find(&packed_start, bytes, len);
	if (!p)
		p = packed_find(at, bytes, len);
	if (!p)
		p = packed_decode(NULL, c, bytes, len, work, room);
	return p ? p : packed_decode(at, c, bytes, len, work, room);
}

#endif
