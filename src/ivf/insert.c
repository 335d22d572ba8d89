/*
 * insert.c
 *		Inserting a row: find the list whose centroid is nearest, encode the row against it, put it in a free slot.
 *
 * Takes no index-wide lock: two inserts meet only where they go into the same segment. WAL and locks: see page.c.
 */
#include "ivf/ivf.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "types/check.h"
#include "utils/memutils.h"

struct VcIvfInserter
{
	VcIvf		  *ivf;
	VcIvfQuery	   query;
	VcIvfFrontier *frontier;
	float		  *centroid;
	float		  *second_centroid; /* with spill */
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
	inserter->second_centroid = palloc(sizeof(float) * padded);
	inserter->residual = palloc(sizeof(float) * padded);
	vc_ivf_row_alloc(ivf, &ivf->rows, &inserter->row);
	return inserter;
}

/* Encode the row at hand against a list's centroid and put it there. */
static bool
add_copy(VcIvfInserter *inserter, const VcIvfProbe *probe, const float *centroid, ItemPointer tid, bool spilled)
{
	VcIvf *ivf = inserter->ivf;

	for (uint32 i = 0; i < ivf->rows.padded; i++)
		inserter->residual[i] = inserter->query.rotated[i] - centroid[i];
	vc_ivf_row_encode(ivf, &ivf->rows, inserter->residual, centroid, &inserter->row);
	inserter->row.spilled = spilled;
	return vc_ivf_add_row(ivf, &ivf->rows, probe->head, tid, &inserter->row);
}

bool
vc_ivf_insert_value(VcIvfInserter *inserter, ItemPointer tid, const VcValue *value, const VcKeyRow *keys, float *err)
{
	VcIvf	   *ivf = inserter->ivf;
	VcIvfRow   *row = &inserter->row;
	VcIvfProbe	probe;

	VcIvfProbe	second;
	bool		grown;

	vc_ivf_query_init(ivf, &inserter->query, value);
	if (!vc_ivf_frontier_nearest(inserter->frontier, &inserter->query, &probe, inserter->centroid))
		vc_page_corrupted(ivf->index, ivf->meta.root, "the index has no lists");
	if (row->vector != NULL)
		vc_ivf_value_store(ivf, tid, value, row->vector);
	row->keys = keys;
	grown = add_copy(inserter, &probe, inserter->centroid, tid, false);
	*err = row->factors.err;
	if (ivf->meta.spill && vc_ivf_frontier_spill(inserter->frontier, &inserter->query, &probe, inserter->centroid, &second,
												 inserter->second_centroid))
		grown |= add_copy(inserter, &second, inserter->second_centroid, tid, true);
	return grown;
}

/* What a statement that inserts keeps between its rows. */
typedef struct InsertState
{
	VcIvf		   ivf;
	VcIvfInserter *inserter;
	MemoryContext  context; /* of the above */
	MemoryContext  row_context;
} InsertState;

static void
open_for_insert(InsertState *state, Relation index)
{
	MemoryContext old;

	MemoryContextReset(state->context);
	old = MemoryContextSwitchTo(state->context);
	vc_ivf_open(&state->ivf, index);
	state->inserter = vc_ivf_inserter_new(&state->ivf);
	MemoryContextSwitchTo(old);
}

bool
vc_ivf_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap, IndexUniqueCheck check_unique,
			  bool index_unchanged, IndexInfo *index_info)
{
	InsertState	 *state = index_info->ii_AmCache;
	MemoryContext old;
	VcValue		  value;
	VcKeyRow	  keys;
	bool		  may_train;
	bool		  grown;
	float		  err;

	if (isnull[0])
		return false;
	if (state == NULL)
	{
		state = MemoryContextAllocZero(index_info->ii_Context, sizeof(InsertState));
		state->context = AllocSetContextCreate(index_info->ii_Context, "vc_ivf inserter", ALLOCSET_DEFAULT_SIZES);
		state->row_context = AllocSetContextCreate(index_info->ii_Context, "vc_ivf insert", ALLOCSET_DEFAULT_SIZES);
		open_for_insert(state, index);
		index_info->ii_AmCache = state;
	}
	state->ivf.index = index;
	may_train = vc_ivf_may_train(&state->ivf.meta);
	if (may_train)
	{
		VcIvfMeta meta;

		LockPage(index, VC_IVF_META_BLOCK, ShareLock);
		vc_ivf_read_meta(index, state->ivf.metric, &meta);
		if (meta.root != state->ivf.meta.root)
			open_for_insert(state, index);
	}
	old = MemoryContextSwitchTo(state->row_context);
	vc_metric_value(state->ivf.metric, values[0], &value);
	vc_check_same_dims(state->ivf.metric->type_name, state->ivf.meta.dim, value.dim);
	vc_keys_row(&state->ivf.rows.keys, index, values, isnull, &keys);
	grown = vc_ivf_insert_value(state->inserter, tid, &value, &keys, &err);
	if (may_train)
	{
		UnlockPage(index, VC_IVF_META_BLOCK, ShareLock);
		if (grown)
			vc_ivf_retrain_if_due(index, heap);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row_context);
	return false;
}
