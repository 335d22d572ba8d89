/*
 * insert.c
 *		Inserting a row: find the list whose centroid is nearest, encode the row against it, put it in a free slot.
 *
 * Takes no index-wide lock: two inserts meet only where they go into the same segment. WAL and locks: see page.c.
 */
#include "ivf/ivf.h"

#include "miscadmin.h"
#include "types/check.h"
#include "utils/memutils.h"

struct VcIvfInserter
{
	VcIvf		  *ivf;
	VcIvfQuery	   query;
	VcIvfFrontier *frontier;
	float		  *centroid;
	float		  *residual;
	VcIvfRow	   row;
};

VcIvfInserter *
vc_ivf_inserter_new(VcIvf *ivf)
{
	VcIvfInserter *inserter = palloc0(sizeof(VcIvfInserter));
	uint32		   padded = ivf->rows.padded;

	inserter->ivf = ivf;
	vc_ivf_query_alloc(ivf, &inserter->query);
	inserter->frontier = vc_ivf_frontier_new(ivf, true);
	inserter->centroid = palloc(sizeof(float) * padded);
	inserter->residual = palloc(sizeof(float) * padded);
	vc_ivf_row_alloc(ivf, &ivf->rows, &inserter->row);
	return inserter;
}

float
vc_ivf_insert_value(VcIvfInserter *inserter, ItemPointer tid, const VcValue *value)
{
	VcIvf	   *ivf = inserter->ivf;
	VcIvfRow   *row = &inserter->row;
	VcIvfProbe	probe;

	vc_ivf_query_init(ivf, &inserter->query, value);
	if (!vc_ivf_frontier_nearest(inserter->frontier, &inserter->query, &probe, inserter->centroid))
		vc_page_corrupted(ivf->index, ivf->meta.root, "the index has no lists");
	for (uint32 i = 0; i < ivf->rows.padded; i++)
		inserter->residual[i] = inserter->query.rotated[i] - inserter->centroid[i];
	vc_ivf_row_encode(ivf, &ivf->rows, inserter->residual, inserter->centroid, row);
	if (row->vector != NULL)
	{
		row->vector->tid = *tid;
		row->vector->scale = value->is_zero ? 0 : value->scale;
		memcpy(row->vector->data, value->data, ivf->rows.value_bytes);
	}
	vc_ivf_add_row(ivf, &ivf->rows, probe.head, tid, row);
	return row->factors.err;
}

/* What a statement that inserts keeps between its rows. */
typedef struct InsertState
{
	VcIvf		   ivf;
	VcIvfInserter *inserter;
	MemoryContext  row_context;
} InsertState;

bool
vc_ivf_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap, IndexUniqueCheck check_unique,
			  bool index_unchanged, IndexInfo *index_info)
{
	InsertState	 *state = index_info->ii_AmCache;
	MemoryContext old_context;
	VcValue		  value;

	if (isnull[0])
		return false;
	if (state == NULL)
	{
		old_context = MemoryContextSwitchTo(index_info->ii_Context);
		state = palloc(sizeof(InsertState));
		vc_ivf_open(&state->ivf, index);

		/* The relation's cache, and the rotation with it, may go away between rows. */
		state->ivf.rotation = memcpy(palloc(vc_rotation_size(state->ivf.meta.dim)), state->ivf.rotation,
									 vc_rotation_size(state->ivf.meta.dim));
		state->inserter = vc_ivf_inserter_new(&state->ivf);
		state->row_context = AllocSetContextCreate(index_info->ii_Context, "vc_ivf insert", ALLOCSET_DEFAULT_SIZES);
		index_info->ii_AmCache = state;
		MemoryContextSwitchTo(old_context);
	}
	state->ivf.index = index;
	old_context = MemoryContextSwitchTo(state->row_context);
	vc_metric_value(state->ivf.metric, values[0], &value);
	vc_check_same_dims(state->ivf.metric->type_name, state->ivf.meta.dim, value.dim);
	vc_ivf_insert_value(state->inserter, tid, &value);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(state->row_context);
	return false;
}
