/*
 * malloc, write one byte, free: 4096 bytes at a time, what a C program pays for a buffer.
 *
 *     malloc-free ROUNDS ROUND_MS          prints one JSON line
 *
 * The pointer is volatile, or the compiler would drop the pair.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"

enum { BYTES = 4096, ROUNDS_MAX = 1000 };

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double run(long operations)
{
	double start = now_ns();
	for (long i = 0; i < operations; i++) {
		unsigned char *volatile p = malloc(BYTES);
		*(volatile unsigned char *)p = (unsigned char)i;
		free(p);
	}
	return now_ns() - start;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	double ns[ROUNDS_MAX];
	int rounds = argc > 1 ? atoi(argv[1]) : 45;
	double round_ms = argc > 2 ? atof(argv[2]) : 20;
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	long operations = 100000;
	double warm_ns = run(operations);
	operations = (long)(operations * round_ms * 1e6 / warm_ns) + 1;
	for (int i = 0; i < rounds; i++)
		ns[i] = run(operations) / operations;
	qsort(ns, rounds, sizeof ns[0], by_value);
	printf("{\"ns\":%.3f,\"nsBest\":%.3f,\"peakRssMb\":%.2f}\n", ns[rounds / 2], ns[0], peak_rss_mb());
	return 0;
}
