/*
 * vcbench_load.c
 *		Rows into a table: in bulk by binary COPY, or one by one as an application inserts them.
 */
#include "vcbench.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define COPY_CHUNK (256 * 1024) /* bytes collected before they are handed to libpq */

/* The rows a command works on: [*first, *end) of the base file. */
static Rows
chosen_rows(const Options *opt, long *first, long *end)
{
	Rows rows = map_rows(opt->base, opt->dim);

	*first = opt->first;
	*end = opt->rows < rows.count - opt->first ? opt->first + opt->rows : rows.count;
	if (*first >= *end)
		die("%s has %ld rows, none of them from %ld on", opt->base, rows.count, opt->first);
	return rows;
}

static void
send_copy(PGconn *conn, const char *data, size_t size)
{
	if (PQputCopyData(conn, data, size) != 1)
		die("could not send rows: %s", PQerrorMessage(conn));
}

/*
 * The rows come in file order, so that id is the row number the truth file speaks of. FREEZE, which needs the table to
 * be made in the same transaction, spares the first searches from setting hint bits.
 */
void
do_load(const Options *opt)
{
	static const char header[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* the last of 19 bytes is the string's own zero */
	Encoding encoding = encoding_of(opt->type);
	size_t row_size = 2 + 4 + 4 + 4 + 4 + 4 + encoded_size(encoding, opt->dim);
	PGconn *conn = session(opt);
	long first, end;
	Rows rows = chosen_rows(opt, &first, &end);
	char *buffer = xmalloc(COPY_CHUNK + row_size);
	size_t used = sizeof(header);
	double start = now_seconds();
	char sql[1024];
	PGresult *res;

	run_command(conn, "BEGIN");
	if (first == 0)
	{
		snprintf(sql, sizeof(sql), "CREATE TABLE %s (id int4 NOT NULL, f int4 NOT NULL, v %s(%d) NOT NULL)", opt->table,
				 opt->type, opt->dim);
		run_command(conn, sql);
	}
	snprintf(sql, sizeof(sql), "COPY %s (id, f, v) FROM STDIN (FORMAT binary%s)", opt->table, first == 0 ? ", FREEZE" : "");
	res = PQexec(conn, sql);
	if (PQresultStatus(res) != PGRES_COPY_IN)
		die("%s: %s", sql, PQerrorMessage(conn));
	PQclear(res);
	memcpy(buffer, header, sizeof(header));
	for (long i = first; i < end; i++)
	{
		char *p = buffer + used;

		put16(p, 3);
		put32(p + 2, 4);
		put32(p + 6, i);
		put32(p + 10, 4);
		put32(p + 14, filter_value(i));
		put32(p + 18, encoded_size(encoding, opt->dim));
		used += 22 + encode(encoding, row_at(&rows, i), opt->dim, p + 22);
		if (used >= COPY_CHUNK)
		{
			send_copy(conn, buffer, used);
			used = 0;
		}
	}
	put16(buffer + used, 0xffff);
	send_copy(conn, buffer, used + 2);
	if (PQputCopyEnd(conn, NULL) != 1)
		die("could not end the copy: %s", PQerrorMessage(conn));
	while ((res = PQgetResult(conn)))
	{
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			die("%s: %s", sql, PQerrorMessage(conn));
		PQclear(res);
	}
	run_command(conn, "COMMIT");
	begin_record(opt, "load");
	start = now_seconds() - start;
	printf("\trows:%ld\tseconds:%.3f\trows_s:%.0f\n", end - first, start, (end - first) / start);
	free(buffer);
	PQfinish(conn);
}

/* ---- single-row inserts ---- */

typedef struct Inserter
{
	const Options *opt;
	PGconn *conn;
	const Rows *rows;
	long *next; /* shared by all clients */
	long end;
	long done;
} Inserter;

static void *
insert_worker(void *arg)
{
	Inserter *in = arg;
	Encoding encoding = encoding_of(in->opt->type);
	char *vector = xmalloc(encoded_size(encoding, in->opt->dim));
	char id[4];
	char filter[4];
	const char *values[] = {id, filter, vector};
	const int lengths[] = {4, 4, encoded_size(encoding, in->opt->dim)};
	const int formats[] = {1, 1, 1};
	long i;

	while ((i = __atomic_fetch_add(in->next, 1, __ATOMIC_RELAXED)) < in->end)
	{
		int f = filter_value(i);
		PGresult *res;

		if (f < in->opt->filter_low || f >= in->opt->filter_high)
			continue;
		put32(id, i);
		put32(filter, f);
		encode(encoding, row_at(in->rows, i), in->opt->dim, vector);
		res = PQexecPrepared(in->conn, "i", 3, values, lengths, formats, 0);
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			die("insert of row %ld: %s", i, PQerrorMessage(in->conn));
		PQclear(res);
		in->done++;
	}
	free(vector);
	return NULL;
}

void
do_insert(const Options *opt)
{
	Inserter in[MAX_CLIENTS];
	pthread_t thread[MAX_CLIENTS];
	long next, end;
	Rows rows = chosen_rows(opt, &next, &end);
	long count = 0;
	char sql[1024];
	double start, seconds;

	snprintf(sql, sizeof(sql), "INSERT INTO %s (id, f, v) VALUES ($1, $2, $3::%s)", opt->table, opt->type);
	for (int i = 0; i < opt->clients; i++)
	{
		PGresult *res;

		in[i] = (Inserter){opt, session(opt), &rows, &next, end, 0};
		res = PQprepare(in[i].conn, "i", sql, 0, NULL);
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			die("%s: %s", sql, PQerrorMessage(in[i].conn));
		PQclear(res);
	}
	start = now_seconds();
	for (int i = 0; i < opt->clients; i++)
		if (pthread_create(&thread[i], NULL, insert_worker, &in[i]) != 0)
			die("could not start a thread");
	for (int i = 0; i < opt->clients; i++)
	{
		pthread_join(thread[i], NULL);
		count += in[i].done;
	}
	seconds = now_seconds() - start;
	begin_record(opt, "insert");
	printf("\tclients:%d\trows:%ld\tseconds:%.3f\trows_s:%.0f\n", opt->clients, count, seconds, count / seconds);
	for (int i = 0; i < opt->clients; i++)
		PQfinish(in[i].conn);
}
