/*
 * vectorcoll.h
 *		What every server-side file of the extension includes first: the limits and the settings that more than one
 *		room reads. kernels/ and quantize/ do not include it; they know nothing of the server.
 */
#ifndef VECTORCOLL_H
#define VECTORCOLL_H

#include "postgres.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h" /* part of postgres.h before */
#endif

/* 18 spells it as a specifier before the declaration; earlier servers get the same word. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn _Noreturn
#endif

#define VC_MAX_DIM 16000	 /* dimensions of vector, halfvec; non-zero elements of sparsevec */

/* Registers each room's settings; called from _PG_init in this order. */
extern void vc_kernels_init_guc(void);
extern void vc_hnsw_init_guc(void);
extern void vc_ivf_init_guc(void);
extern void vc_collection_init_guc(void);

#endif /* VECTORCOLL_H */
