/*
 * vcbench_search.c
 *		Queries a second, latency and recall of one statement, over a range of one setting.
 *
 * Each client is a thread with its own session and prepared statement; parameters are encoded beforehand. A first
 * pass of one client over all queries brings everything into memory and gives the recall; the timed passes look at no
 * answer but check that it has rows. Clients start at different queries, so they do not share each other's pages.
 *
 * A result counts as found when its exact distance is at most that of the k-th true neighbour, so that a tie is right
 * whichever row wins it.
 */
#define _GNU_SOURCE
#include "vcbench.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct Parameters
{
	char *data;
	int size; /* bytes of one */
	long count;
} Parameters;

typedef struct Client
{
	PGconn *conn;
	const Parameters *params;
	long start;
	double until;	 /* clock time at which to stop */
	double *latency; /* seconds of each statement */
	long done;
	long room;
} Client;

static PGresult *
execute(PGconn *conn, const Parameters *params, long i)
{
	const char *values[] = {params->data + (size_t) i * params->size};
	const int lengths[] = {params->size};
	const int formats[] = {1};
	PGresult *res = PQexecPrepared(conn, "q", 1, values, lengths, formats, 1);

	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		die("query %ld: %s", i, PQerrorMessage(conn));
	return res;
}

static Oid
type_oid(PGconn *conn, const char *type)
{
	char sql[256];
	PGresult *res;
	Oid oid;

	snprintf(sql, sizeof(sql), "SELECT '%s'::pg_catalog.regtype::pg_catalog.oid", type);
	res = run(conn, sql);
	oid = strtoul(PQgetvalue(res, 0, 0), NULL, 10);
	PQclear(res);
	return oid;
}

/* One parameter a query; or, with --batch, one array of so many vectors. */
static Parameters
encode_queries(const Options *opt, const Rows *queries, Oid element)
{
	Encoding encoding = encoding_of(opt->type);
	int each = encoded_size(encoding, opt->dim);
	int batch = opt->batch ? opt->batch : 1;
	Parameters params = {.size = opt->batch ? 20 + batch * (4 + each) : each, .count = queries->count / batch};

	if (params.count == 0)
		die("%s has %ld queries, fewer than a batch of %d", opt->query, queries->count, batch);
	params.data = xmalloc((size_t) params.size * params.count);
	for (long i = 0; i < params.count; i++)
	{
		char *p = params.data + (size_t) i * params.size;

		if (opt->batch)
		{
			put32(p, 1);		/* dimensions of the array */
			put32(p + 4, 0);	/* no nulls */
			put32(p + 8, element);
			put32(p + 12, batch);
			put32(p + 16, 1);	/* lower bound */
			p += 20;
		}
		for (int j = 0; j < batch; j++)
		{
			if (opt->batch)
			{
				put32(p, each);
				p += 4;
			}
			p += encode(encoding, row_at(queries, i * batch + j), opt->dim, p);
		}
	}
	return params;
}

static PGconn *
search_session(const Options *opt)
{
	PGconn *conn = session(opt);
	PGresult *res = PQprepare(conn, "q", opt->sql, 0, NULL);

	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		die("%s: %s", opt->sql, PQerrorMessage(conn));
	PQclear(res);
	return conn;
}

/* A figure measured on a plan other than the one meant would mislead, so look at the plan first. */
static void
check_plan(PGconn *conn, const Options *opt, const Parameters *params)
{
	const char *values[] = {params->data};
	const int lengths[] = {params->size};
	const int formats[] = {1};
	char *sql;
	PGresult *res;
	int found = 0;

	if (asprintf(&sql, "EXPLAIN (COSTS OFF) %s", opt->sql) < 0)
		die("out of memory");
	res = PQexecParams(conn, sql, 1, NULL, values, lengths, formats, 0);
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		die("%s: %s", sql, PQerrorMessage(conn));
	for (int i = 0; i < PQntuples(res); i++)
		if (strstr(PQgetvalue(res, i, 0), opt->expect_index))
			found = 1;
	if (!found)
	{
		for (int i = 0; i < PQntuples(res); i++)
			fprintf(stderr, "%s\n", PQgetvalue(res, i, 0));
		die("the plan does not use index %s", opt->expect_index);
	}
	PQclear(res);
	free(sql);
}

/* How many of one query's rows in a result are among its k nearest. Column 0 is the id. */
static int
count_found(const Options *opt, const Rows *base, const float *query, const int32_t *truth, const PGresult *res, int from,
			int to)
{
	int k = opt->k;
	int found = 0;
	double worst;

	while (k > 0 && truth[k - 1] < 0)
		k--;
	if (k == 0)
		return 0;
	worst = exact_distance(row_at(base, truth[k - 1]), query, opt->dim, opt->metric);
	worst += fabs(worst) * 1e-7; /* the server computes in float */
	for (int i = from; i < to && i < from + k; i++)
	{
		long id = (int32_t) get32(PQgetvalue(res, i, 0));

		if (id < 0 || id >= base->count)
			die("row id %ld is not a row of %s", id, opt->base);
		if (exact_distance(row_at(base, id), query, opt->dim, opt->metric) <= worst)
			found++;
	}
	return found;
}

/* One pass over all queries: the share of true neighbours found, and the number of queries answered short of k rows. */
static double
measure_recall(const Options *opt, PGconn *conn, const Parameters *params, const Rows *queries, const Rows *base,
			   const int32_t *truth, long *short_answers)
{
	int batch = opt->batch ? opt->batch : 1;
	long found = 0;
	long wanted = 0;

	*short_answers = 0;
	for (long i = 0; i < params->count; i++)
	{
		PGresult *res = execute(conn, params, i);

		if (truth && PQntuples(res) > 0 && (PQfsize(res, 0) != 4 || PQgetlength(res, 0, 0) != 4))
			die("the first column of the query must be the row's id, an int4");
		for (int j = 0; truth && j < batch; j++)
		{
			long q = i * batch + j;
			int rows = PQntuples(res) / batch;
			int exist = opt->k;

			while (exist > 0 && truth[q * TRUTH_K + exist - 1] < 0)
				exist--;
			found += count_found(opt, base, row_at(queries, q), truth + q * TRUTH_K, res, j * rows, (j + 1) * rows);
			wanted += exist;
			*short_answers += rows < exist;
		}
		PQclear(res);
	}
	return wanted ? (double) found / wanted : -1;
}

static void *
search_worker(void *arg)
{
	Client *c = arg;
	double before = now_seconds();

	for (long i = c->start; before < c->until; i = (i + 1) % c->params->count)
	{
		PGresult *res = execute(c->conn, c->params, i);
		double after = now_seconds();

		PQclear(res);
		if (c->done == c->room)
			c->latency = xrealloc(c->latency, sizeof(double) * (c->room *= 2));
		c->latency[c->done++] = after - before;
		before = after;
	}
	return NULL;
}

static int
cmp_double(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

/*
 * Seconds of processor time that the clients' backends have had, or -1 where the system does not tell. On a machine
 * that does other work too this says more than the clock.
 */
static double
backend_seconds(const Options *opt, const Client *clients)
{
	unsigned long long sum = 0;

	for (int i = 0; i < opt->clients; i++)
	{
		unsigned long long ns;
		char path[64];
		FILE *f;
		int got;

		snprintf(path, sizeof(path), "/proc/%d/schedstat", PQbackendPID(clients[i].conn));
		f = fopen(path, "r");
		if (!f)
			return -1;
		got = fscanf(f, "%llu", &ns);
		fclose(f);
		if (got != 1)
			return -1;
		sum += ns;
	}
	return sum * 1e-9;
}

/* Runs all clients for opt->seconds and prints the figures of that time. */
static void
measure_speed(const Options *opt, Client *clients)
{
	pthread_t thread[MAX_CLIENTS];
	int batch = opt->batch ? opt->batch : 1;
	double start = now_seconds();
	double cpu = backend_seconds(opt, clients);
	double seconds;
	double *all;
	long total = 0;

	for (int i = 0; i < opt->clients; i++)
	{
		clients[i].until = start + opt->seconds;
		clients[i].done = 0;
		if (pthread_create(&thread[i], NULL, search_worker, &clients[i]) != 0)
			die("could not start a thread");
	}
	for (int i = 0; i < opt->clients; i++)
	{
		pthread_join(thread[i], NULL);
		total += clients[i].done;
	}
	seconds = now_seconds() - start;
	all = xmalloc(sizeof(double) * total);
	total = 0;
	for (int i = 0; i < opt->clients; i++)
	{
		memcpy(all + total, clients[i].latency, sizeof(double) * clients[i].done);
		total += clients[i].done;
	}
	qsort(all, total, sizeof(double), cmp_double);
	printf("\tclients:%d\tqps:%.1f\tp50_ms:%.4f\tp99_ms:%.4f\tn:%ld", opt->clients, total * batch / seconds,
		   all[total / 2] * 1e3, all[(long) (total * 0.99)] * 1e3, total);
	if (cpu >= 0)
		printf("\tcpu_ms:%.4f", (backend_seconds(opt, clients) - cpu) / total * 1e3);
	putchar('\n');
	fflush(stdout);
	free(all);
}

void
do_search(const Options *opt)
{
	Client clients[MAX_CLIENTS];
	Rows queries = map_rows(opt->query, opt->dim);
	Rows base = {0};
	const int32_t *truth = NULL;
	Parameters params;
	int steps = opt->sweep_count ? opt->sweep_count : 1;

	if (opt->truth)
	{
		size_t size;

		base = map_rows(opt->base, opt->dim);
		truth = map_file(opt->truth, &size);
		if (size != sizeof(int32_t) * TRUTH_K * queries.count)
			die("%s does not hold %d neighbours for each of %ld queries", opt->truth, TRUTH_K, queries.count);
	}
	if (queries.count > opt->queries)
		queries.count = opt->queries;
	for (int i = 0; i < opt->clients; i++)
		clients[i].conn = search_session(opt);
	params = encode_queries(opt, &queries, opt->batch ? type_oid(clients[0].conn, opt->type) : 0);
	for (int i = 0; i < opt->clients; i++)
	{
		clients[i].params = &params;
		clients[i].start = params.count * i / opt->clients;
		clients[i].room = 65536;
		clients[i].latency = xmalloc(sizeof(double) * clients[i].room);
	}

	for (int step = 0; step < steps; step++)
	{
		long short_answers;
		double recall;

		if (opt->sweep_count)
			for (int i = 0; i < opt->clients; i++)
				set_setting(clients[i].conn, opt->sweep_name, opt->sweep[step]);
		if (opt->expect_index)
			check_plan(clients[0].conn, opt, &params);
		recall = measure_recall(opt, clients[0].conn, &params, &queries, &base, truth, &short_answers);
		begin_record(opt, "search");
		if (opt->sweep_count)
			printf("\tsetting:%s=%s", opt->sweep_name, opt->sweep[step]);
		if (recall >= 0)
			printf("\tk:%d\trecall:%.5f\tshort:%ld", opt->k, recall, short_answers);
		measure_speed(opt, clients);
		if (recall >= opt->until)
			break;
	}
	for (int i = 0; i < opt->clients; i++)
	{
		free(clients[i].latency);
		PQfinish(clients[i].conn);
	}
	free(params.data);
}
