/* Loaded before the C library (LD_PRELOAD), this makes each flush to disk take
 * SLOWSYNC_US microseconds more: a disk that is slower than the one at hand. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_more(void) {
	const char *us = getenv("SLOWSYNC_US");
	long n = us ? atol(us) : 0;
	struct timespec t = {n / 1000000, n % 1000000 * 1000};
	nanosleep(&t, NULL);
}

int fsync(int fd) {
	int (*next)(int) = dlsym(RTLD_NEXT, "fsync");
	wait_more();
	return next(fd);
}

int fdatasync(int fd) {
	int (*next)(int) = dlsym(RTLD_NEXT, "fdatasync");
	wait_more();
	return next(fd);
}
