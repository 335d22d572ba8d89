/*
 * vcbench.h
 *		Options, connections and records of the benchmark client.
 *
 * A record is one line of standard output: tab-separated label:value pairs, which report.pl reads. Every record begins
 * with the labels given as --tag.
 */
#ifndef VCBENCH_H
#define VCBENCH_H

#include "bench.h"

#include <libpq-fe.h>

#define MAX_REPEATED 32 /* --set and --tag options */
#define MAX_STEPS 64	/* values in a --sweep list */
#define MAX_CLIENTS 64

/* How a column of vectors is sent. */
typedef enum Encoding
{
	ENCODING_VECTOR,
	ENCODING_HALFVEC
} Encoding;

typedef struct Options
{
	const char *dsn;
	const char *table;
	const char *type; /* column type without its dimensions; may be schema-qualified */
	const char *base;
	const char *query;
	const char *truth;
	const char *sql;
	const char *expect_index; /* the plan must use this index */
	const char *relation;	  /* report this relation's size */
	const char *sweep_name;
	char *sweep[MAX_STEPS];
	int sweep_count;
	const char *set[MAX_REPEATED]; /* NAME=VALUE, for each session */
	int set_count;
	const char *tag[MAX_REPEATED]; /* label:value, for each record */
	int tag_count;
	Metric metric;
	int dim;
	int k;
	int clients;
	long queries; /* use at most so many of the query file */
	int batch;	  /* queries a statement takes, as an array; 0 sends one vector */
	long first;
	long rows;
	int filter_low; /* insert only rows whose filter value is in low..high-1 */
	int filter_high;
	double seconds;
	double until; /* a sweep stops once recall is this good */
} Options;

extern double now_seconds(void);

/* A session with the options' settings applied; dies where it cannot be had. */
extern PGconn *session(const Options *opt);

/* Runs a command or query; dies, showing it, on any failure. Free the result with PQclear. */
extern PGresult *run(PGconn *conn, const char *sql);
extern void run_command(PGconn *conn, const char *sql);
extern void set_setting(PGconn *conn, const char *name, const char *value);

extern Encoding encoding_of(const char *type);

/* The type's binary format. `out` has room for encoded_size(); returns the bytes written. */
extern size_t encoded_size(Encoding encoding, int dim);
extern size_t encode(Encoding encoding, const float *v, int dim, char *out);

/* Big-endian stores, as the wire wants them. */
extern void put16(char *out, uint16_t value);
extern void put32(char *out, uint32_t value);
extern uint32_t get32(const char *in);

/* Starts a record of this kind, with the tags. Finish it with fputs("\n"). */
extern void begin_record(const Options *opt, const char *kind);

extern void do_load(const Options *opt);
extern void do_insert(const Options *opt);
extern void do_search(const Options *opt);
extern void do_time(const Options *opt);

#endif /* VCBENCH_H */
