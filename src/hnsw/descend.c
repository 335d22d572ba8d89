/*
 * descend.c
 *		The way from the entry down to the level that is searched.
 */
#include "hnsw/hnsw.h"

VcHnswId
vc_hnsw_search_nearest(VcHnswSearch *s, bool down)
{
	uint32			   n;
	const VcHnswFound *found = vc_hnsw_search_found(s, &n);
	const VcHnswFound *best = NULL;

	for (uint32 i = 0; i < n; i++)
		if (best == NULL || found[i].distance < best->distance)
			best = &found[i];
	if (best == NULL)
		return VC_HNSW_NONE;
	return down ? best->down : best->id;
}

VcHnswId
vc_hnsw_descend(const VcHnswGraph *graph, VcHnswSearch *s, const VcHnswQuery *query, VcHnswId entry, int from, int level)
{
	for (; from > level && entry != VC_HNSW_NONE; from--)
	{
		vc_hnsw_search_start(s, query, entry);
		vc_hnsw_search_run(s, VC_HNSW_DESCEND_EF, UINT32_MAX);
		entry = vc_hnsw_search_nearest(s, true);
	}
	if (graph->shape.compact && level == 0 && entry != VC_HNSW_NONE)
	{
		vc_hnsw_search_far_only(s, true);
		vc_hnsw_search_start(s, query, entry);
		vc_hnsw_search_run(s, VC_HNSW_DESCEND_EF, UINT32_MAX);
		vc_hnsw_search_far_only(s, false);
		entry = vc_hnsw_search_nearest(s, false);
	}
	return entry;
}
