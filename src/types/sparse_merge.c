/*
 * sparse_merge.c
 *		See sparse_merge.h. Which list is behind is a coin toss no predictor learns, so the merges advance by comparison
 *		results instead of branching on them.
 */
#include "types/sparse_merge.h"

#include <math.h>

/* One list this many times longer than the other is searched instead of read. */
#define SEARCH_RATIO 32

#define VC_SPARSE VcSparse
#define VC_SPARSE_FUNCTION(name) vc_sparse_##name
#include "types/sparse_merge_impl.h"
#undef VC_SPARSE
#undef VC_SPARSE_FUNCTION

#define VC_SPARSE VcSparse16
#define VC_SPARSE_FUNCTION(name) vc_sparse16_##name
#include "types/sparse_merge_impl.h"
