/*
 * Receives TCP the way a plain C program does: read(2) into one 64 KiB buffer, epoll when there are many connections.
 *
 *     tcp-receiver PORT CONNECTIONS BYTES RETAIN       prints one JSON line
 *
 * RETAIN: so many of the last chunks are kept as copies of their own. One byte of each chunk is looked at.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

enum { READ_BYTES = 65536, EVENTS = 1024 };

struct ring {
	unsigned char **chunks;
	long size, next;
};

static unsigned char buffer[READ_BYTES];
static volatile unsigned char touched;

static int connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		fail("connect");
	return fd;
}

static void keep(struct ring *ring, size_t count)
{
	unsigned char *copy = malloc(count);
	if (copy == NULL)
		fail("malloc");
	memcpy(copy, buffer, count);
	free(ring->chunks[ring->next]);
	ring->chunks[ring->next] = copy;
	ring->next = (ring->next + 1) % ring->size;
}

/* One read; 0 at the end of the stream. */
static size_t receive(int fd, struct ring *ring)
{
	ssize_t n = read(fd, buffer, sizeof buffer);
	if (n < 0)
		fail("read");
	if (n > 0) {
		touched = buffer[0];
		if (ring->size > 0)
			keep(ring, n);
	}
	return n;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct rusage before = {0}, after;
	double start = 0;
	long long received = 0, chunks = 0;
	if (argc != 5)
		return 2;
	int connections = atoi(argv[2]);
	long long bytes = atoll(argv[3]);
	struct ring ring = {.size = atol(argv[4])};
	ring.chunks = calloc(ring.size + 1, sizeof *ring.chunks);
	int poll = epoll_create1(0), fd = -1;
	for (int i = 0; i < connections; i++) {
		fd = connect_to(atoi(argv[1]));
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
		epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
	}
	while (received < bytes) {
		int ready = 1;
		events[0].data.fd = fd;
		if (connections > 1)
			ready = epoll_wait(poll, events, EVENTS, -1);
		for (int i = 0; i < ready; i++) {
			size_t n = receive(events[i].data.fd, &ring);
			if (n == 0) {
				if (connections == 1)
					return 3;
				epoll_ctl(poll, EPOLL_CTL_DEL, events[i].data.fd, NULL);
			}
			if (start == 0) {
				start = seconds_now();
				getrusage(RUSAGE_SELF, &before);
			}
			received += n;
			chunks += n > 0;
		}
	}
	double seconds = seconds_now() - start;
	getrusage(RUSAGE_SELF, &after);
	printf("{\"bytes\":%lld,\"chunks\":%lld,\"seconds\":%.6f,\"userSeconds\":%.6f,\"systemSeconds\":%.6f,\"peakRssMb\":%.2f}\n",
	       received, chunks, seconds, seconds_of(after.ru_utime) - seconds_of(before.ru_utime),
	       seconds_of(after.ru_stime) - seconds_of(before.ru_stime), peak_rss_mb());
	return 0;
}
