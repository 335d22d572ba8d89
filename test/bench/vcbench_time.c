/*
 * vcbench_time.c
 *		Times one statement (a build, a vacuum) and watches the memory of the processes that run it.
 *
 * Memory is what the statement adds: anonymous memory of the backend and its parallel workers, plus the dynamic shared
 * memory they share, sampled every 50 ms beyond what they had at the start. It needs Linux's /proc, the server on this
 * machine and permission to look; the record has no peak_mb where any of them is missing.
 */
#define _GNU_SOURCE
#include "vcbench.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

typedef struct Watch
{
	const Options *opt;
	int backend; /* process id */
	int stop;
	double start; /* bytes */
	double peak;
} Watch;

/* Anonymous resident bytes, or -1 where the process is gone or not ours to see. */
static double
anonymous_bytes(int pid)
{
	char path[64];
	char line[256];
	long kb;
	double bytes = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %ld kB", &kb) == 1)
			bytes = kb * 1024.0;
	fclose(f);
	return bytes;
}

/* Blocks in use by the dynamic shared memory segments that the process has mapped; each segment counts once. */
static double
dynamic_shared_bytes(int pid)
{
	char path[512];
	char line[512];
	ino_t last = 0;
	double bytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
	{
		char *name = strstr(line, "/dev/shm/PostgreSQL.");
		struct stat st;

		if (!name)
			continue;
		name[strcspn(name, " \n")] = '\0';
		snprintf(path, sizeof(path), "/proc/%d/root%s", pid, name);
		if (stat(path, &st) == 0 && st.st_ino != last)
		{
			bytes += st.st_blocks * 512.0;
			last = st.st_ino;
		}
	}
	fclose(f);
	return bytes;
}

static double
memory(PGconn *conn, int backend)
{
	double bytes = anonymous_bytes(backend);
	char sql[128];
	PGresult *res;

	if (bytes < 0)
		return -1;
	bytes += dynamic_shared_bytes(backend);
	snprintf(sql, sizeof(sql), "SELECT pid FROM pg_stat_activity WHERE leader_pid = %d AND pid <> leader_pid", backend);
	res = run(conn, sql);
	for (int i = 0; i < PQntuples(res); i++)
	{
		double worker = anonymous_bytes(atoi(PQgetvalue(res, i, 0)));

		if (worker > 0)
			bytes += worker;
	}
	PQclear(res);
	return bytes;
}

static void *
watch(void *arg)
{
	Watch *w = arg;
	PGconn *conn = PQconnectdb(w->opt->dsn);
	struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};

	if (PQstatus(conn) != CONNECTION_OK)
		die("%s", PQerrorMessage(conn));
	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED))
	{
		double bytes = memory(conn, w->backend);

		if (bytes - w->start > w->peak)
			w->peak = bytes - w->start;
		nanosleep(&pause, NULL);
	}
	PQfinish(conn);
	return NULL;
}

void
do_time(const Options *opt)
{
	PGconn *conn = session(opt);
	Watch w = {.opt = opt, .backend = PQbackendPID(conn)};
	pthread_t thread;
	double start, seconds;

	w.start = memory(conn, w.backend);
	if (pthread_create(&thread, NULL, watch, &w) != 0)
		die("could not start a thread");
	start = now_seconds();
	run_command(conn, opt->sql);
	seconds = now_seconds() - start;
	__atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);

	begin_record(opt, "time");
	printf("\tseconds:%.3f", seconds);
	if (w.start >= 0)
		printf("\tpeak_mb:%.1f", w.peak / 1e6);
	if (opt->relation)
	{
		char sql[512];
		PGresult *res;

		/* Free-space maps are housekeeping, not index: the main fork alone counts. */
		snprintf(sql, sizeof(sql), "SELECT pg_relation_size('%s')", opt->relation);
		res = run(conn, sql);
		printf("\tmb:%.1f", atof(PQgetvalue(res, 0, 0)) / 1e6);
		PQclear(res);
	}
	putchar('\n');
	PQfinish(conn);
}
