/*
 * guarded.h
 *		Memory between two pages that may not be touched: data placed at either edge turns a read or write of one byte too
 *		many into a signal, also where it would go unnoticed under a sanitizer because vector instructions did it.
 */
#ifndef VC_GUARDED_H
#define VC_GUARDED_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct Guarded
{
	uint8_t *start; /* first usable byte, on a page boundary */
	uint8_t *end;	/* just past the last usable byte, on a page boundary */
} Guarded;

static inline Guarded
guarded_alloc(size_t size)
{
	size_t page = (size_t) sysconf(_SC_PAGESIZE);
	size_t usable = (size + page - 1) / page * page;
	uint8_t *base = mmap(NULL, usable + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	Guarded memory;

	if (base == MAP_FAILED || mprotect(base + page, usable, PROT_READ | PROT_WRITE) != 0)
	{
		perror("guarded_alloc");
		exit(2);
	}
	memory.start = base + page;
	memory.end = base + page + usable;
	return memory;
}

#endif /* VC_GUARDED_H */
