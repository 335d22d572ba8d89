/*
 * bench.c
 *		See bench.h.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void
die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void *
xmalloc(size_t size)
{
	return xrealloc(NULL, size);
}

void *
xrealloc(void *p, size_t size)
{
	p = realloc(p, size ? size : 1);
	if (!p)
		die("out of memory (%zu bytes)", size);
	return p;
}

long
number(const char *text, long min, long max, const char *what)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || *end || errno || value < min || value > max)
		die("%s must be a number from %ld to %ld, not \"%s\"", what, min, max, text);
	return value;
}

Metric
parse_metric(const char *name)
{
	static const char *const names[] = {"l2", "ip", "cosine", "l1"};

	for (int i = 0; i < 4; i++)
		if (strcmp(name, names[i]) == 0)
			return (Metric) i;
	die("unknown metric \"%s\"", name);
}

const void *
map_file(const char *path, size_t *size)
{
	struct stat st;
	void *p;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &st) != 0)
		die("could not open %s: %s", path, strerror(errno));
	if (st.st_size == 0)
		die("%s is empty", path);
	p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die("could not map %s: %s", path, strerror(errno));
	close(fd);
	*size = st.st_size;
	return p;
}

Rows
map_rows(const char *path, int dim)
{
	size_t size;
	Rows rows = {.data = map_file(path, &size), .dim = dim};

	if (size % (dim * sizeof(float)) != 0)
		die("%s does not hold whole rows of %d dimensions", path, dim);
	rows.count = size / (dim * sizeof(float));
	return rows;
}

double
exact_distance(const float *a, const float *b, int dim, Metric metric)
{
	double sum = 0;
	double aa = 0;
	double bb = 0;

	for (int i = 0; i < dim; i++)
	{
		double x = a[i];
		double y = b[i];

		switch (metric)
		{
			case METRIC_L2:
				sum += (x - y) * (x - y);
				break;
			case METRIC_L1:
				sum += fabs(x - y);
				break;
			case METRIC_COSINE:
				aa += x * x;
				bb += y * y;
				/* fall through */
			case METRIC_IP:
				sum -= x * y;
				break;
		}
	}
	if (metric == METRIC_COSINE)
		return aa > 0 && bb > 0 ? sum / sqrt(aa * bb) : INFINITY;
	return sum;
}

int
filter_value(long row)
{
	uint64_t z = (uint64_t) row * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % 1000;
}
