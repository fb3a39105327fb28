/*
 * Sends UDP datagrams to 127.0.0.1, as fast as it can or at a steady rate. udp-sender.ts does the same without a compiler.
 *
 *     udp-sender PORT plain|gso COUNT SIZE RATE        RATE 0: as fast as it can; prints one JSON line when all is sent
 *
 * plain: sendmmsg(2). gso: super-datagrams that the kernel splits into SIZE bytes each (UDP_SEGMENT), as many as fit.
 * Each datagram begins with its sequence number, 8 bytes in the machine's order. After the last one come end markers of
 * 3 bytes, 1 ms apart until the receiver is gone: a queue that is full drops the first of them, never all.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { UDP_BYTES_MAX = 65507, SEGMENTS_MAX = 64, BATCH = 64, MARKERS_MAX = 5000, TICK_NS = 1000000 };

static unsigned char payloads[BATCH][UDP_BYTES_MAX];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];
static long long system_calls;

static void sleep_a_tick(void)
{
	struct timespec tick = {.tv_nsec = TICK_NS};
	nanosleep(&tick, NULL);
}

static int connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		fail("connect");
	return fd;
}

/* Fills one message with `segments` datagrams that begin with `sequence`, `sequence` + 1, ... */
static void fill(int i, uint64_t sequence, int segments, size_t size)
{
	for (int s = 0; s < segments; s++, sequence++)
		memcpy(payloads[i] + s * size, &sequence, size < sizeof sequence ? size : sizeof sequence);
	vectors[i] = (struct iovec){.iov_base = payloads[i], .iov_len = segments * size};
	messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
}

static void send_filled(int fd, int count)
{
	for (int done = 0; done < count;) {
		int n = sendmmsg(fd, messages + done, count - done, 0);
		if (n < 0)
			fail("sendmmsg");
		done += n;
		system_calls++;
	}
}

/* One call's worth from `sent` on, at most up to `due`. Returns how many datagrams that were. */
static long long send_batch(int fd, long long sent, long long due, int segments_max, size_t size)
{
	int filled = 0;
	long long next = sent;
	for (; filled < BATCH && next < due; filled++) {
		int segments = due - next < segments_max ? due - next : segments_max;
		fill(filled, next, segments, size);
		next += segments;
	}
	send_filled(fd, filled);
	return next - sent;
}

/* With a rate each tick sends what is due by now, so a late tick is made up for. */
static void send_all(int fd, long long count, int segments_max, size_t size, double rate)
{
	double start = seconds_now();
	for (long long sent = 0; sent < count;) {
		long long due = count;
		if (rate > 0) {
			due = (long long)((seconds_now() - start) * rate);
			if (due > count)
				due = count;
			if (due <= sent) {
				sleep_a_tick();
				continue;
			}
		}
		sent += send_batch(fd, sent, due, segments_max, size);
	}
}

static void send_markers(int fd)
{
	for (int i = 0; i < MARKERS_MAX; i++) {
		if (send(fd, "end", 3, 0) < 0) {
			if (errno == ECONNREFUSED)
				return;
			fail("send");
		}
		sleep_a_tick();
	}
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	int is_gso = strcmp(argv[2], "gso") == 0;
	long long count = atoll(argv[3]);
	int size = atoi(argv[4]), segments = 1;
	if ((!is_gso && strcmp(argv[2], "plain") != 0) || size < 8 || size > UDP_BYTES_MAX)
		return 2;
	int fd = connect_to(atoi(argv[1]));
	if (is_gso) {
		segments = UDP_BYTES_MAX / size < SEGMENTS_MAX ? UDP_BYTES_MAX / size : SEGMENTS_MAX;
		if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) < 0)
			fail("UDP_SEGMENT");
	}
	double start = seconds_now();
	send_all(fd, count, segments, size, atof(argv[5]));
	double seconds = seconds_now() - start;
	printf("{\"sent\":%lld,\"systemCalls\":%lld,\"seconds\":%.6f}\n", count, system_calls, seconds);
	fflush(stdout);
	send_markers(fd);
	return 0;
}
