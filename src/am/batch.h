/*
 * batch.h
 *		The queries of one vectorcoll.knn_batch and the answers to them: what batch.c and batch_index.c share.
 */
#ifndef VC_BATCH_H
#define VC_BATCH_H

#include "vectorcoll.h"

#include "access/attnum.h"
#include "storage/itemptr.h"

/* What is searched, by what. */
typedef struct VcBatchTarget
{
	Oid	  table;
	Oid	  index;	   /* InvalidOid where no index is used */
	bool  whole_index; /* an index was named: its expression, its predicate, its table alone */
	Oid	  type;		   /* of the values */
	Oid	  operator;
	AttrNumber attno;	 /* of the values; 0 for an expression */
	char	  *value;	 /* in SQL */
} VcBatchTarget;

typedef struct VcBatchAnswer
{
	Oid				table;
	ItemPointerData tid;
	bool			isnull;
	double			distance;
} VcBatchAnswer;

typedef struct VcBatch
{
	VcBatchTarget target;
	int		n;
	int		k;
	Datum  *queries; /* [n] */
	int	   *counts;	  /* [n] */
	int	   *rooms;	  /* [n] */
	VcBatchAnswer **answers; /* [n][counts], with room for rooms; in this context */
	MemoryContext context;
} VcBatch;

/* One more answer to a query, of k at most; the caller fills it in. */
extern VcBatchAnswer *vc_batch_add(VcBatch *batch, int query);

/* Answer all queries by the target's index, with parallel workers where that pays. */
extern void vc_batch_by_index(VcBatch *batch);

#endif /* VC_BATCH_H */
