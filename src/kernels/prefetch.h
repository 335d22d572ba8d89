/*
 * prefetch.h
 *		Memory that will soon be needed, brought into the CPU's cache meanwhile. Addresses need not be readable.
 */
#ifndef VC_PREFETCH_H
#define VC_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

#define VC_CACHE_LINE 64 /* bytes; of CPUs with longer lines some are asked for twice */

/* All lines of `bytes` bytes: not every CPU goes on by itself from the first. It can wait for a few tens at a time. */
static inline __attribute__((always_inline)) void
vc_prefetch(const void *from, size_t bytes)
{
	uintptr_t end = (uintptr_t) from + bytes;

	for (uintptr_t line = (uintptr_t) from / VC_CACHE_LINE * VC_CACHE_LINE; line < end; line += VC_CACHE_LINE)
		__builtin_prefetch((const void *) line);

	/* GCC takes a function that does nothing but prefetch for one without effects, and leaves out calls of it. This is an effect. */
	__asm__ volatile("" : : "r"(from));
}

#endif /* VC_PREFETCH_H */
