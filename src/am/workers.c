/*
 * workers.c
 *		See workers.h.
 *
 * The planner looks at the size of the table alone, but vectors are often in its TOAST table, and our indexes take longer to build
 * than what it has in mind; so the threshold is ours. Up to PostgreSQL 16 the server itself plans workers for B-trees only.
 */
#include "am/workers.h"

#include <sys/statvfs.h>

#include "access/table.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "storage/bufmgr.h"
#include "storage/dsm_impl.h"

/* Starting workers takes some milliseconds: smaller tables are done sooner without. */
#define PARALLEL_MIN_BYTES ((Size) 8 * 1024 * 1024)

/* Bytes of a table and its TOAST table. */
static Size
table_bytes(Relation heap)
{
	Size blocks = RelationGetNumberOfBlocks(heap);

	if (OidIsValid(heap->rd_rel->reltoastrelid))
	{
		Relation toast = table_open(heap->rd_rel->reltoastrelid, AccessShareLock);

		blocks += RelationGetNumberOfBlocks(toast);
		table_close(toast, AccessShareLock);
	}
	return blocks * BLCKSZ;
}

int
vc_workers_for_build(Relation heap, Relation index)
{
	int saved = min_parallel_table_scan_size;
	int workers = 0;

	if (table_bytes(heap) < Min(PARALLEL_MIN_BYTES, (Size) saved * BLCKSZ))
		return 0;
	min_parallel_table_scan_size = 0;
	PG_TRY();
	{
		workers = plan_create_index_workers(RelationGetRelid(heap), RelationGetRelid(index));
	}
	PG_FINALLY();
	{
		min_parallel_table_scan_size = saved;
	}
	PG_END_TRY();
	return workers;
}

bool
vc_workers_have_memory(double bytes)
{
#ifdef USE_DSM_POSIX
	struct statvfs fs;

	if (dynamic_shared_memory_type == DSM_IMPL_POSIX && statvfs("/dev/shm", &fs) == 0 &&
		(double) fs.f_bavail * fs.f_frsize < bytes)
	{
		ereport(DEBUG1, (errmsg("not building in parallel, because shared memory is short")));
		return false;
	}
#endif
	return true;
}
