/* A histogram of microseconds with about 1.5 % resolution: 64 steps per power of two. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define HIST_STEPS 64
#define HIST_BUCKETS (HIST_STEPS * 36)

struct histogram {
	uint64_t count, sum, max;
	uint64_t bucket[HIST_BUCKETS];
};

static inline unsigned hist_index(uint64_t us)
{
	if (us < HIST_STEPS)
		return (unsigned)us;
	unsigned power = 63u - (unsigned)__builtin_clzll(us);
	unsigned index = (power - 5) * HIST_STEPS + (unsigned)((us >> (power - 6)) & (HIST_STEPS - 1));
	return index < HIST_BUCKETS ? index : HIST_BUCKETS - 1;
}

/* The middle of a bucket, in microseconds. */
static inline double hist_value(unsigned index)
{
	if (index < HIST_STEPS)
		return (double)index;
	unsigned power = index / HIST_STEPS + 5;
	uint64_t low = (1ull << power) + ((uint64_t)(index % HIST_STEPS) << (power - 6));
	return (double)low + (double)(1ull << (power - 6)) / 2;
}

static inline void hist_add(struct histogram *h, int64_t us)
{
	uint64_t value = us < 0 ? 0 : (uint64_t)us;
	h->bucket[hist_index(value)]++;
	h->count++;
	h->sum += value;
	if (value > h->max)
		h->max = value;
}

static inline double hist_quantile(const struct histogram *h, double q)
{
	uint64_t wanted = (uint64_t)(q * (double)h->count), seen = 0;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > wanted)
			return hist_value(i);
	}
	return (double)h->max;
}

/* {"count":..,"mean":..,"p10":..,...} in milliseconds; nulls where nothing was counted. */
static inline void hist_print(FILE *out, const struct histogram *h)
{
	if (!h->count) {
		fputs("{\"count\":0,\"mean\":null,\"p10\":null,\"p50\":null,\"p90\":null,\"p99\":null,\"p999\":null,\"max\":null}", out);
		return;
	}
	fprintf(out, "{\"count\":%llu,\"mean\":%.3f", (unsigned long long)h->count, (double)h->sum / (double)h->count / 1000);
	static const struct { const char *name; double q; } wanted[] = {
		{"p10", 0.10}, {"p50", 0.50}, {"p90", 0.90}, {"p99", 0.99}, {"p999", 0.999},
	};
	for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
		fprintf(out, ",\"%s\":%.3f", wanted[i].name, hist_quantile(h, wanted[i].q) / 1000);
	fprintf(out, ",\"max\":%.3f}", (double)h->max / 1000);
}

#endif
