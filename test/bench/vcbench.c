/*
 * vcbench.c
 *		Measures vector search, builds, inserts and statements of a PostgreSQL server, whatever extension does the work.
 *		README.md beside this file says what each figure means; `vcbench help` lists the options.
 */
#define _GNU_SOURCE
#include "vcbench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
	"usage: vcbench COMMAND OPTION...   connects as libpq's environment variables or --dsn say\n"
	"\n"
	"  load     --table T --type TYPE --dim D --base FILE [--first N] [--rows N]\n"
	"           creates the table (id int4, f int4, v TYPE(D)) unless it exists and copies the rows into it\n"
	"  insert   the same options, [--clients N] [--filter LOW-HIGH]: single-row prepared INSERTs, each its own\n"
	"           transaction; with --filter only of rows whose filter value is in LOW..HIGH-1\n"
	"  search   --sql 'SELECT id ... $1 ...' --type TYPE --dim D --query FILE\n"
	"           [--truth FILE --base FILE --metric l2|ip|cosine|l1 --k K] [--sweep NAME=V1,V2,... [--until RECALL]]\n"
	"           [--clients N] [--seconds S] [--expect-index NAME] [--queries N] [--batch N]\n"
	"           prepared, binary parameter; one pass to warm up and for recall, then timed; a record for each value swept\n"
	"  time     --sql STATEMENT [--relation NAME]: seconds, peak memory of the backend and its workers, relation size\n"
	"\n"
	"  everywhere: --set NAME=VALUE for each session, --tag LABEL:VALUE for each record\n";

double
now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

PGresult *
run(PGconn *conn, const char *sql)
{
	PGresult *res = PQexec(conn, sql);

	if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
		die("%s: %s", sql, PQerrorMessage(conn));
	return res;
}

void
run_command(PGconn *conn, const char *sql)
{
	PQclear(run(conn, sql));
}

void
set_setting(PGconn *conn, const char *name, const char *value)
{
	const char *values[] = {name, value};
	PGresult *res = PQexecParams(conn, "SELECT pg_catalog.set_config($1, $2, false)", 2, NULL, values, NULL, NULL, 0);

	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		die("could not set %s to %s: %s", name, value, PQerrorMessage(conn));
	PQclear(res);
}

/* Applies the --set options that are search_path, or those that are not. */
static void
apply_settings(PGconn *conn, const Options *opt, int search_path)
{
	for (int i = 0; i < opt->set_count; i++)
	{
		char *name = strdup(opt->set[i]);
		char *value = strchr(name, '=');

		if (!value)
			die("--set takes NAME=VALUE, not \"%s\"", name);
		*value++ = '\0';
		if ((strcmp(name, "search_path") == 0) == search_path)
			set_setting(conn, name, value);
		free(name);
	}
}

/*
 * An extension's settings are known once its library is loaded; before, a misspelt one would pass unseen. So the
 * type's input function is called first, and to find the type the search path comes before all.
 */
PGconn *
session(const Options *opt)
{
	PGconn *conn = PQconnectdb(opt->dsn);

	if (PQstatus(conn) != CONNECTION_OK)
		die("%s", PQerrorMessage(conn));
	run_command(conn, "SET client_min_messages = warning");
	apply_settings(conn, opt, 1);
	if (opt->type)
	{
		char sql[256];

		snprintf(sql, sizeof(sql), "SELECT '[1]'::%s", opt->type);
		run_command(conn, sql);
	}
	apply_settings(conn, opt, 0);
	return conn;
}

void
put16(char *out, uint16_t value)
{
	out[0] = value >> 8;
	out[1] = value;
}

void
put32(char *out, uint32_t value)
{
	put16(out, value >> 16);
	put16(out + 2, value);
}

uint32_t
get32(const char *in)
{
	const unsigned char *b = (const unsigned char *) in;

	return (uint32_t) b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

/* The type's name decides, without its schema. */
Encoding
encoding_of(const char *type)
{
	const char *dot = strrchr(type, '.');
	const char *name = dot ? dot + 1 : type;

	if (strcmp(name, "vector") == 0)
		return ENCODING_VECTOR;
	if (strcmp(name, "halfvec") == 0)
		return ENCODING_HALFVEC;
	die("--type must be vector or halfvec, not \"%s\"", type);
}

size_t
encoded_size(Encoding encoding, int dim)
{
	return 4 + (size_t) dim * (encoding == ENCODING_VECTOR ? 4 : 2);
}

size_t
encode(Encoding encoding, const float *v, int dim, char *out)
{
	char *p = out + 4;

	put16(out, dim);
	put16(out + 2, 0);
	for (int i = 0; i < dim; i++)
	{
		if (encoding == ENCODING_VECTOR)
		{
			uint32_t bits;

			memcpy(&bits, &v[i], 4);
			put32(p, bits);
			p += 4;
		}
		else
		{
			_Float16 half = v[i];
			uint16_t bits;

			memcpy(&bits, &half, 2);
			put16(p, bits);
			p += 2;
		}
	}
	return p - out;
}

void
begin_record(const Options *opt, const char *kind)
{
	printf("kind:%s", kind);
	for (int i = 0; i < opt->tag_count; i++)
		printf("\t%s", opt->tag[i]);
}

static double
decimal(const char *text, const char *what)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || value < 0)
		die("%s must be a number, not \"%s\"", what, text);
	return value;
}

static void
add(const char **list, int *count, const char *value, const char *what)
{
	if (*count == MAX_REPEATED)
		die("more than %d %s options", MAX_REPEATED, what);
	list[(*count)++] = value;
}

static void
parse_sweep(Options *opt, char *value)
{
	char *list = strchr(value, '=');

	if (!list)
		die("--sweep takes NAME=VALUE,VALUE..., not \"%s\"", value);
	*list++ = '\0';
	opt->sweep_name = value;
	for (char *v = strtok(list, ","); v; v = strtok(NULL, ","))
	{
		if (opt->sweep_count == MAX_STEPS)
			die("more than %d values to sweep", MAX_STEPS);
		opt->sweep[opt->sweep_count++] = v;
	}
}

static void
parse_filter(Options *opt, const char *value)
{
	char end;

	if (sscanf(value, "%d-%d%c", &opt->filter_low, &opt->filter_high, &end) != 2 || opt->filter_low >= opt->filter_high)
		die("--filter takes LOW-HIGH, not \"%s\"", value);
}

static void
parse_option(Options *opt, const char *name, char *value)
{
	static const struct
	{
		const char *name;
		size_t offset;
	} texts[] = {
		{"--dsn", offsetof(Options, dsn)},	   {"--table", offsetof(Options, table)},
		{"--type", offsetof(Options, type)},   {"--base", offsetof(Options, base)},
		{"--query", offsetof(Options, query)}, {"--truth", offsetof(Options, truth)},
		{"--sql", offsetof(Options, sql)},	   {"--expect-index", offsetof(Options, expect_index)},
		{"--relation", offsetof(Options, relation)},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(name, texts[i].name) == 0)
		{
			*(const char **) ((char *) opt + texts[i].offset) = value;
			return;
		}
	if (strcmp(name, "--set") == 0)
		add(opt->set, &opt->set_count, value, name);
	else if (strcmp(name, "--tag") == 0)
		add(opt->tag, &opt->tag_count, value, name);
	else if (strcmp(name, "--sweep") == 0)
		parse_sweep(opt, value);
	else if (strcmp(name, "--metric") == 0)
		opt->metric = parse_metric(value);
	else if (strcmp(name, "--dim") == 0)
		opt->dim = number(value, 1, 16000, name);
	else if (strcmp(name, "--k") == 0)
		opt->k = number(value, 1, TRUTH_K, name);
	else if (strcmp(name, "--clients") == 0)
		opt->clients = number(value, 1, MAX_CLIENTS, name);
	else if (strcmp(name, "--batch") == 0)
		opt->batch = number(value, 1, 10000, name);
	else if (strcmp(name, "--queries") == 0)
		opt->queries = number(value, 1, INT32_MAX, name);
	else if (strcmp(name, "--first") == 0)
		opt->first = number(value, 0, INT32_MAX, name);
	else if (strcmp(name, "--rows") == 0)
		opt->rows = number(value, 1, INT32_MAX, name);
	else if (strcmp(name, "--filter") == 0)
		parse_filter(opt, value);
	else if (strcmp(name, "--seconds") == 0)
		opt->seconds = decimal(value, name);
	else if (strcmp(name, "--until") == 0)
		opt->until = decimal(value, name);
	else
		die("unknown option %s; see vcbench help", name);
}

static void
need(const void *value, const char *option, const char *command)
{
	if (!value)
		die("%s needs %s", command, option);
}

int
main(int argc, char **argv)
{
	Options opt = {.dsn = "", .k = 10, .clients = 1, .rows = INT32_MAX, .queries = INT32_MAX, .seconds = 2, .until = 1.1,
				   .filter_high = 1000};
	const char *command = argc > 1 ? argv[1] : "help";

	if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0)
	{
		fputs(usage, stdout);
		return argc > 1 ? 0 : 2;
	}
	for (int i = 2; i < argc; i += 2)
	{
		if (i + 1 == argc)
			die("%s needs a value", argv[i]);
		parse_option(&opt, argv[i], argv[i + 1]);
	}
	if (strcmp(command, "load") == 0 || strcmp(command, "insert") == 0)
	{
		need(opt.table, "--table", command);
		need(opt.type, "--type", command);
		need(opt.base, "--base", command);
		need(opt.dim ? &opt : NULL, "--dim", command);
		if (strcmp(command, "load") == 0)
			do_load(&opt);
		else
			do_insert(&opt);
	}
	else if (strcmp(command, "search") == 0)
	{
		need(opt.sql, "--sql", command);
		need(opt.type, "--type", command);
		need(opt.query, "--query", command);
		need(opt.dim ? &opt : NULL, "--dim", command);
		if (opt.truth)
			need(opt.base, "--base", "search --truth");
		do_search(&opt);
	}
	else if (strcmp(command, "time") == 0)
	{
		need(opt.sql, "--sql", command);
		do_time(&opt);
	}
	else
		die("unknown command %s; see vcbench help", command);
	return 0;
}
