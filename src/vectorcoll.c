/*
 * vectorcoll.c
 *		Module entry: registers the settings of each room when the library is loaded. The library needs no
 *		shared_preload_libraries; it is loaded by the first function or index that uses it.
 */
#include "vectorcoll.h"

#include "am/conditions.h"
#include "am/explain.h"
#include "am/plan.h"
#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	vc_kernels_init_guc();
	vc_hnsw_init_guc();
	vc_ivf_init_guc();
	vc_collection_init_guc();
	vc_plan_init();
	vc_explain_init();
	vc_conditions_init();
	MarkGUCPrefixReserved("vectorcoll");
}
