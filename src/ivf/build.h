/*
 * build.h
 *		What build.c and parallel.c share.
 */
#ifndef VC_IVF_BUILD_H
#define VC_IVF_BUILD_H

#include "ivf/assign.h"
#include "ivf/ivf.h"
#include "ivf/team.h"
#include "types/detoast.h"

typedef struct VcIvfShared VcIvfShared;

/* One process's part in a build. */
typedef struct VcIvfBuilder
{
	VcIvf		  *ivf;
	VcIvfBatch	  *batch;
	VcIvfInserter *inserter; /* where there is no batch */
	VcDetoastPlace place;
	MemoryContext  row_context;
	double		   rows;
	double		   err; /* sum over the rows */
	VcIvfShared	  *shared; /* null where one process builds alone */
} VcIvfBuilder;

extern void vc_ivf_builder_init(VcIvfBuilder *builder, VcIvf *ivf);

/* After the last row: write those that are still at hand. */
extern void vc_ivf_builder_finish(VcIvfBuilder *builder);

/* The callback of a table scan that feeds a builder. */
extern void vc_ivf_build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tuple_is_alive, void *arg);

/* Tell pg_stat_progress_create_index how many rows all processes have put in. */
extern void vc_ivf_report_rows(VcIvfBuilder *builder);

/*
 * Put all rows of the table into the lists, with the team where there is one, which it ends; fills the counts, also in ivf->meta.
 */
extern void vc_ivf_build_rows(Relation heap, Relation index, IndexInfo *index_info, VcIvf *ivf, VcIvfTeam *team,
							  IndexBuildResult *result);

#endif /* VC_IVF_BUILD_H */
