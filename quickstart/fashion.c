/*
 * fashion.c
 *		The quickstart's client: what is worth measuring goes over the binary protocol, from one connection.
 *
 *	fashion load COLLECTION IMAGES LABELS COUNT		copy IDX images into a collection, with a progress bar
 *	fashion index SQL								run SQL, showing the server's progress in building an index
 *	fashion search COLLECTION QUERIES COUNT			search with IDX images: exactly, then by index
 *
 * IMAGES, LABELS and QUERIES are unpacked IDX files or pipes. Results go to stdout as key=value, progress to stderr. The
 * connection comes from libpq's environment variables.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define SIDE 28
#define PIXELS (SIDE * SIDE)
#define NEIGHBOURS 10
#define VECTOR_BYTES (4 + 4 * PIXELS) /* int16 dimensions, int16 zero, float4 each */
#define COPY_CHUNK (256 * 1024)
#define BAR_WIDTH 40

static const char *const classes[] = {"T-shirt", "Trouser", "Pullover", "Dress", "Coat",
									  "Sandal",  "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format,...)
{
	va_list args;

	va_start(args, format);
	fputs("fashion: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Redraws a progress bar in place on a terminal; elsewhere prints a line whenever the label changes or it is full. */
static void
show_progress(const char *label, double fraction)
{
	static char last_label[128];
	static int	last_percent = -1;
	int			percent = (int) (fraction * 100);
	char		bar[BAR_WIDTH + 1];

	if (percent == last_percent && strcmp(label, last_label) == 0)
		return;
	if (!isatty(STDERR_FILENO) && percent < 100 && strcmp(label, last_label) == 0)
		return;
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < fraction * BAR_WIDTH ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, isatty(STDERR_FILENO) ? "\r\033[K  %-32s [%s] %3d %%" : "  %-32s [%s] %3d %%\n", label, bar, percent);
	snprintf(last_label, sizeof last_label, "%s", label);
	last_percent = percent;
}

static void
end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
}

static PGconn *
connect_server(void)
{
	PGconn	   *conn = PQconnectdb("application_name=quickstart");

	if (PQstatus(conn) != CONNECTION_OK)
		die("%s", PQerrorMessage(conn));
	return conn;
}

/* Fails unless a statement ended as expected; returns its result. */
static PGresult *
expect(PGconn *conn, PGresult *result, ExecStatusType status)
{
	if (PQresultStatus(result) != status)
		die("%s", PQerrorMessage(conn));
	return result;
}

static void
execute(PGconn *conn, const char *sql)
{
	PQclear(expect(conn, PQexec(conn, sql), PGRES_COMMAND_OK));
}

/* Opens an IDX file of unsigned bytes and reads its header; rank is 1 for labels, 3 for images. Returns its length. */
static FILE *
open_idx(const char *path, int rank, int count)
{
	uint32_t	header[4];
	FILE	   *file = fopen(path, "rb");

	if (file == NULL)
		die("%s: %s", path, strerror(errno));
	if (fread(header, 4, 1 + rank, file) != (size_t) (1 + rank) || ntohl(header[0]) != 0x800u + (uint32_t) rank ||
		(rank == 3 && (ntohl(header[2]) != SIDE || ntohl(header[3]) != SIDE)))
		die("%s is not an IDX file of %s", path, rank == 3 ? "28 x 28 images" : "labels");
	if (ntohl(header[1]) < (uint32_t) count)
		die("%s holds %u items, %d wanted", path, ntohl(header[1]), count);
	return file;
}

/* Reads the next image as a vector in the type's binary format. */
static void
read_vector(FILE *file, char *out)
{
	uint8_t		pixels[PIXELS];
	uint16_t	head[2] = {htons(PIXELS), 0};

	if (fread(pixels, 1, PIXELS, file) != PIXELS)
		die("the file of images ends too early");
	memcpy(out, head, 4);
	for (int i = 0; i < PIXELS; i++)
	{
		float		value = pixels[i];
		uint32_t	bits;

		memcpy(&bits, &value, 4);
		bits = htonl(bits);
		memcpy(out + 4 + 4 * i, &bits, 4);
	}
}

/* Appends one field of a binary COPY row: its length, then its bytes. */
static char *
put_field(char *at, const void *bytes, uint32_t length)
{
	uint32_t	prefix = htonl(length);

	memcpy(at, &prefix, 4);
	memcpy(at + 4, bytes, length);
	return at + 4 + length;
}

/* Binary COPY rows are id, vector and the label as jsonb in the collection's dynamic field. */
static void
load(const char *collection, const char *images_path, const char *labels_path, int count)
{
	static const char signature[19] = "PGCOPY\n\377\r\n";
	FILE	   *images = open_idx(images_path, 3, count);
	FILE	   *labels = open_idx(labels_path, 1, count);
	char	   *buffer = malloc(COPY_CHUNK + VECTOR_BYTES + 256);
	char	   *at = buffer;
	char		sql[256];
	double		start = now_s();
	PGconn	   *conn = connect_server();
	PGresult   *result;

	if (buffer == NULL)
		die("out of memory");
	snprintf(sql, sizeof sql, "COPY %s (id, vector, \"$meta\") FROM STDIN (FORMAT binary)", collection);
	PQclear(expect(conn, PQexec(conn, sql), PGRES_COPY_IN));
	memcpy(at, signature, sizeof signature);
	at += sizeof signature;

	for (int i = 0; i < count; i++)
	{
		uint16_t	fields = htons(3);
		uint32_t	id[2] = {0, htonl(i)};
		char		vector[VECTOR_BYTES];
		char		meta[64] = "\1";	/* version of jsonb's binary format */
		int			label = fgetc(labels);

		if (label < 0 || label >= (int) (sizeof classes / sizeof *classes))
			die("%s: label out of range at item %d", labels_path, i);
		read_vector(images, vector);
		snprintf(meta + 1, sizeof meta - 1, "{\"label\": \"%s\"}", classes[label]);
		memcpy(at, &fields, 2);
		at = put_field(at + 2, id, 8);
		at = put_field(at, vector, VECTOR_BYTES);
		at = put_field(at, meta, strlen(meta));
		if (at - buffer >= COPY_CHUNK || i == count - 1)
		{
			if (PQputCopyData(conn, buffer, (int) (at - buffer)) != 1)
				die("%s", PQerrorMessage(conn));
			at = buffer;
			show_progress(collection, (double) (i + 1) / count);
		}
	}
	if (PQputCopyData(conn, "\377\377", 2) != 1 || PQputCopyEnd(conn, NULL) != 1)
		die("%s", PQerrorMessage(conn));
	result = expect(conn, PQgetResult(conn), PGRES_COMMAND_OK);
	end_progress();
	printf("rows=%s load_s=%.1f\n", PQcmdTuples(result), now_s() - start);
	PQclear(result);
	while ((result = PQgetResult(conn)) != NULL)
		PQclear(expect(conn, result, PGRES_COMMAND_OK));
	PQfinish(conn);
	free(buffer);
	fclose(images);
	fclose(labels);
}

/* Runs one statement while a second connection watches pg_stat_progress_create_index on its behalf. */
static void
build_index(const char *sql)
{
	PGconn	   *builder = connect_server();
	PGconn	   *watcher = connect_server();
	char		progress[512];
	double		start = now_s();
	PGresult   *result;

	snprintf(progress, sizeof progress,
			 "SELECT phase, coalesce(tuples_done::float8 / nullif(tuples_total, 0), "
			 "blocks_done::float8 / nullif(blocks_total, 0), 0) FROM pg_stat_progress_create_index WHERE pid = %d",
			 PQbackendPID(builder));
	if (PQsendQuery(builder, sql) != 1)
		die("%s", PQerrorMessage(builder));
	for (;;)
	{
		struct pollfd ready = {.fd = PQsocket(builder), .events = POLLIN};

		if (poll(&ready, 1, 100) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		if (PQconsumeInput(builder) != 1)
			die("%s", PQerrorMessage(builder));
		if (!PQisBusy(builder))
			break;
		result = expect(watcher, PQexec(watcher, progress), PGRES_TUPLES_OK);
		if (PQntuples(result) == 1)
			show_progress(PQgetvalue(result, 0, 0), atof(PQgetvalue(result, 0, 1)));
		PQclear(result);
	}
	while ((result = PQgetResult(builder)) != NULL)
	{
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			expect(builder, result, PGRES_COMMAND_OK);
		PQclear(result);
	}
	show_progress("done", 1.0);
	end_progress();
	printf("build_s=%.1f\n", now_s() - start);
	PQfinish(builder);
	PQfinish(watcher);
}

/* Runs the queries once with the prepared statement, leaving NEIGHBOURS ids each in ids; returns queries a second. */
static double
run_queries(PGconn *conn, const char *vectors, int count, int64_t *ids, const char *label)
{
	const int	length = VECTOR_BYTES;
	const int	binary = 1;
	double		start = now_s();

	for (int i = 0; i < count; i++)
	{
		const char *value = vectors + (size_t) i * VECTOR_BYTES;
		PGresult   *result = PQexecPrepared(conn, "nearest", 1, &value, &length, &binary, 1);

		expect(conn, result, PGRES_TUPLES_OK);
		if (PQntuples(result) != NEIGHBOURS)
			die("query %d returned %d rows instead of %d", i, PQntuples(result), NEIGHBOURS);
		for (int j = 0; j < NEIGHBOURS; j++)
		{
			uint32_t	id[2];

			memcpy(id, PQgetvalue(result, j, 0), 8);
			ids[i * NEIGHBOURS + j] = (int64_t) ((uint64_t) ntohl(id[0]) << 32 | ntohl(id[1]));
		}
		PQclear(result);
		if (label != NULL)
			show_progress(label, (double) (i + 1) / count);
	}
	if (label != NULL)
		end_progress();
	return count / (now_s() - start);
}

/* Says whether the planner answers the prepared statement with an index scan, for a vector in binary format. */
static bool
uses_index(PGconn *conn, const char *vector)
{
	char		sql[PIXELS * 8 + 64] = "EXPLAIN EXECUTE nearest('";
	char	   *at = sql + strlen(sql);
	bool		found = false;
	PGresult   *result;

	for (int i = 0; i < PIXELS; i++)
	{
		float		value;
		uint32_t	bits;

		memcpy(&bits, vector + 4 + 4 * i, 4);
		bits = ntohl(bits);
		memcpy(&value, &bits, 4);
		at += sprintf(at, "%c%.0f", i == 0 ? '[' : ',', value);
	}
	strcpy(at, "]')");
	result = expect(conn, PQexec(conn, sql), PGRES_TUPLES_OK);
	for (int i = 0; i < PQntuples(result); i++)
		found |= strstr(PQgetvalue(result, i, 0), "Index Scan") != NULL;
	PQclear(result);
	return found;
}

static void
search(const char *collection, const char *queries_path, int count)
{
	FILE	   *queries = open_idx(queries_path, 3, count);
	char	   *vectors = malloc((size_t) count * VECTOR_BYTES);
	int64_t    *exact = malloc(sizeof(int64_t) * count * NEIGHBOURS);
	int64_t    *found = malloc(sizeof(int64_t) * count * NEIGHBOURS);
	char		sql[256];
	double		exact_qps;
	double		qps;
	long		hits = 0;
	PGconn	   *conn = connect_server();

	if (vectors == NULL || exact == NULL || found == NULL)
		die("out of memory");
	for (int i = 0; i < count; i++)
		read_vector(queries, vectors + (size_t) i * VECTOR_BYTES);
	fclose(queries);

	snprintf(sql, sizeof sql, "SELECT id FROM %s ORDER BY vector <-> $1 LIMIT %d", collection, NEIGHBOURS);
	execute(conn, "SET enable_indexscan = off");
	PQclear(expect(conn, PQprepare(conn, "nearest", sql, 0, NULL), PGRES_COMMAND_OK));
	exact_qps = run_queries(conn, vectors, count, exact, "exact search");

	execute(conn, "RESET enable_indexscan");
	execute(conn, "DEALLOCATE nearest");
	PQclear(expect(conn, PQprepare(conn, "nearest", sql, 0, NULL), PGRES_COMMAND_OK));
	if (!uses_index(conn, vectors))
		die("the planner does not use the index");
	run_queries(conn, vectors, count, found, NULL);		/* warms the cache */
	qps = run_queries(conn, vectors, count, found, "search by index");

	for (int i = 0; i < count; i++)
		for (int j = 0; j < NEIGHBOURS; j++)
			for (int k = 0; k < NEIGHBOURS; k++)
				hits += found[i * NEIGHBOURS + j] == exact[i * NEIGHBOURS + k];
	printf("recall_at_10=%.4f qps=%.0f exact_qps=%.1f\n", (double) hits / (count * NEIGHBOURS), qps, exact_qps);
	PQfinish(conn);
	free(vectors);
	free(exact);
	free(found);
}

int
main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "load") == 0)
		load(argv[2], argv[3], argv[4], atoi(argv[5]));
	else if (argc == 3 && strcmp(argv[1], "index") == 0)
		build_index(argv[2]);
	else if (argc == 5 && strcmp(argv[1], "search") == 0)
		search(argv[2], argv[3], atoi(argv[4]));
	else
		die("usage: fashion load COLLECTION IMAGES LABELS COUNT | index SQL | search COLLECTION QUERIES COUNT");
	return 0;
}
