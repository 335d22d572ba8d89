/*
 * ivf.h
 *		Disk format of vc_ivf, and what the files of this room call each other for. README.md explains the ideas.
 *
 * Block 0 is the meta page. Everything else belongs to a list: a chain of segments, each `segment_pages` consecutive pages
 * that hold `segment_blocks` FastScan blocks of 32 rows. Where a block fits a page a segment is one page with as many
 * blocks as fit; otherwise it is one block over several pages. The first page of a segment:
 *
 *		offset					bytes		what
 *		0						16			VcIvfSegment: next segment, where there is room, the list
 *		16						592 each	VcIvfBlock, for each block: live bits, vector pages, factors, heap TIDs
 *		then					8 n each	keys of each block's rows (am/keys.h), where the index has key columns
 *		VcIvfShape.codes		plane each	1-bit RaBitQ codes of each block, centred on the list's centroid
 *
 * Codes that do not fit go on in the segment's other pages (VC_IVF_CODES). With bits > 1, what refines the one-bit codes follows
 * in further such pages: for each block `add`, `rescale` and `err` (128 bytes each) of the codes of all bits, then their
 * planes but the first, which is the one-bit code. With storage = half or float, and for the root, each block has vector
 * pages of its own (VC_IVF_VECTORS): `block_vector_pages` consecutive pages of entries { heap TID, bound, scale, value },
 * in slot order. With quantization = none there are no codes, and factors only tell how far rows are from their centroid.
 *
 * The root is a list whose rows are the lists: the TID is the list's first block, the value its centroid, rotated. So one
 * piece of code scores lists and rows. The root's own centre is a single entry in vector pages of its own. Above
 * VC_IVF_MAX_FLAT lists the rows of the root are branches, chains of the root's kind that have the lists as rows.
 */
#ifndef VC_IVF_H
#define VC_IVF_H

#include "vectorcoll.h"

#include "access/genam.h"
#include "am/cache.h"
#include "am/keys.h"
#include "am/metric.h"
#include "am/page.h"
#include "nodes/execnodes.h"
#include "quantize/rabitq.h"
#include "quantize/rotation.h"
#include "storage/bufmgr.h"
#include "storage/itemptr.h"

#define VC_IVF_MAGIC 0x56434956
#define VC_IVF_VERSION 1

/* Page kinds. */
#define VC_IVF_META 1
#define VC_IVF_SEGMENT 2
#define VC_IVF_CODES 3
#define VC_IVF_VECTORS 4
#define VC_IVF_FREE 5

#define VC_IVF_META_BLOCK 0

#define VC_IVF_MAX_LISTS 65536
#define VC_IVF_MAX_FLAT 4096 /* more lists than these are found by way of branches */
#define VC_IVF_ROWS_PER_LIST 500 /* what lists = 0 aims at, up to two million rows */
#define VC_IVF_MAX_PROBES VC_IVF_MAX_LISTS

/* How often an index made on few rows trains itself. */
#define VC_IVF_TRAININGS 2

/* Recall targets for which a build measures how many lists to probe. */
#define VC_IVF_TARGETS 8

typedef enum VcIvfStorage
{
	VC_IVF_STORAGE_HEAP = 0, /* rows are compared exactly by fetching them from the table */
	VC_IVF_STORAGE_HALF,	 /* by copies in half precision in the index, and by the table where these leave a doubt */
	VC_IVF_STORAGE_FLOAT,	 /* by copies in the index */
	VC_IVF_STORAGE_DEFAULT	 /* not on disk: heap, or float where there are no codes */
} VcIvfStorage;

typedef enum VcIvfQuantization
{
	VC_IVF_QUANTIZATION_NONE = 0, /* no codes: the lists' values are compared */
	VC_IVF_QUANTIZATION_RABITQ
} VcIvfQuantization;

typedef struct VcIvfMeta
{
	uint32		magic;
	uint32		version;
	uint8		element; /* VcElement and VcMetricKind of the operator class that made the index */
	uint8		metric;
	uint8		storage; /* VcIvfStorage */
	uint8		bits;	 /* of the codes; 0: quantization = none */
	uint32		dim;
	uint64		seed; /* of the rotation */
	uint32		lists;
	BlockNumber root;	/* first segment of the root */
	BlockNumber centre; /* vector pages of the root's centre */
	uint32		sample; /* rows the centroids were trained on; 0: not trained, one list */
	uint16		probes[VC_IVF_TARGETS]; /* lists to probe for each of vc_ivf_targets, as measured on the sample */
	double		built_rows;				/* rows, and the mean of their `err`, when the index was built: to tell drift by */
	double		built_err;
	float		thin_growth; /* the nearest of one row in n are spread over n^thin_growth times as many lists */
	BlockNumber retired[VC_IVF_TRAININGS]; /* roots that the index had before it trained itself, until vacuum frees them */
	BlockNumber retired_centre[VC_IVF_TRAININGS];
	BlockNumber free[2]; /* chains of free pages: VcIvfFreeFor */
	uint8		spill;	  /* whether rows are put into a second list as well */
	uint8		unused[7];
	uint32		branches; /* rows of the root, each a chain of lists; 0: the root's rows are the lists */
} VcIvfMeta;

StaticAssertDecl(sizeof(VcIvfMeta) == 112, "the meta page's layout is on disk");

extern const double vc_ivf_targets[VC_IVF_TARGETS];

typedef struct VcIvfSegment
{
	BlockNumber next; /* or InvalidBlockNumber */
	BlockNumber room; /* in the first segment: no segment before this one has room; a hint */
	uint32		list; /* number of the list; VC_IVF_ROOT for the root */
	uint32		unused;
} VcIvfSegment;

#define VC_IVF_ROOT UINT32_MAX

typedef struct VcIvfBlock
{
	uint32			live;	 /* bit i: slot i holds a row */
	BlockNumber		vectors; /* first of the block's vector pages, or InvalidBlockNumber */
	float			add[VC_RABITQ_BLOCK];
	float			rescale[VC_RABITQ_BLOCK];
	float			err[VC_RABITQ_BLOCK];
	ItemPointerData tid[VC_RABITQ_BLOCK];
	uint32			spilled; /* bit i: slot i is a row's second copy, with spill */
	uint32			unused;
} VcIvfBlock;

StaticAssertDecl(sizeof(VcIvfSegment) == 16 && sizeof(VcIvfBlock) == 592, "the segment's layout is on disk");

typedef struct VcIvfVector
{
	ItemPointerData tid; /* as in the slot, so that a reader sees whose value this is */
	uint16			moved; /* upper half of a float: how far from the row's value the stored one is, at most */
	float			scale; /* VcValue.scale; 0 for a zero vector under cosine */
	char			data[FLEXIBLE_ARRAY_MEMBER];
} VcIvfVector;

StaticAssertDecl(offsetof(VcIvfVector, data) == 12, "the vector's layout is on disk");

/* What follows from dimensions and storage: where things lie in a list. */
typedef struct VcIvfShape
{
	uint32 padded;	 /* dimensions of codes */
	Size   plane;	 /* bytes of the one-bit codes of a block; 0: the list has none */
	uint32 segment_blocks;
	uint32 segment_pages;
	VcKeyLayout keys;		   /* columns = 0: none */
	Size   keys_at;			   /* offset of the keys in the payload of a segment's first page */
	Size   codes;			   /* offset of the codes in the payload of a segment's first page */
	Size   first_codes;		   /* bytes of codes in that page */
	int	   bits;
	uint32 refine_page;  /* page of the segment where refinements start */
	Size   refine_bytes; /* of a block; 0 for one bit */
	Size   value_bytes;		   /* of a value in vector pages; 0: the list has none */
	Size   vector_bytes;	   /* of an entry */
	uint32 vectors_per_page;   /* entries in a page; 0: an entry is larger than a page */
	uint32 pages_per_vector;   /* 1, or what a larger entry takes */
	uint32 block_vector_pages; /* of a block */
} VcIvfShape;

typedef struct VcIvfOptions
{
	int32 vl_len_; /* varlena header, never touched directly */
	int	  lists;
	int	  storage; /* VcIvfStorage */
	int	  bits;
	int	  quantization; /* VcIvfQuantization */
	bool  spill;
} VcIvfOptions;

/* An index, opened for work. */
typedef struct VcIvf
{
	Relation		  index;
	ForkNumber		  fork;
	bool			  wal; /* false while the index is built: nobody else sees it, and it is logged whole at the end */
	const VcMetric	 *metric;
	const VcMetric	 *stored; /* of values in the lists: the same, or that of halves */
	VcIvfMeta		  meta;
	VcIvfShape		  rows; /* of the lists of rows */
	VcIvfShape		  root;
	const VcRotation *rotation;
	BlockNumber		  nblocks; /* the index is at least so long */
	VcCached		 *cached;  /* where its blocks were last seen; null for another fork than the main one */
} VcIvf;

/* What is stored of a row besides its TID. */
typedef struct VcIvfRow
{
	uint8		   *bits; /* one-bit code, a bit string */
	VcRabitqFactors factors;
	uint8		   *code; /* code of all bits, a byte for each dimension, and its factors; where the list has more than one */
	VcRabitqFactors code_factors;
	VcIvfVector	   *vector; /* where the list has vector pages */
	const VcKeyRow *keys;	/* where the list has keys */
	bool			spilled; /* a second copy */
} VcIvfRow;

/* What refines the one-bit codes of a block: factors in front of the planes. */
typedef struct VcIvfRefinement
{
	float add[VC_RABITQ_BLOCK];
	float rescale[VC_RABITQ_BLOCK];
	float err[VC_RABITQ_BLOCK];
	uint8 planes[FLEXIBLE_ARRAY_MEMBER]; /* from the second on */
} VcIvfRefinement;

/* A query, or a row about to be inserted, prepared for comparison. */
typedef struct VcIvfQuery
{
	VcValue		  value;
	float		 *floats; /* [dim], for metrics that compare with floats; null for others */
	double		  norm;	  /* of the value, where inner products with halves are compared */
	float		 *rotated; /* [padded] */
	uint8		 *lut;
	VcRabitqQuery rabitq;
} VcIvfQuery;

/* settings: handler.c */
extern int	  vc_ivf_probes;
extern double vc_ivf_target_recall;
extern double vc_ivf_epsilon;
extern int	  vc_ivf_max_scan_tuples;

/* page.c: the meta page, segments and vector pages */

/* Settings of a new index, without lists yet. */
extern void vc_ivf_meta_fill(VcIvfMeta *meta, Relation index);

/* Read the meta page, checked. */
extern void vc_ivf_read_meta(Relation index, const VcMetric *metric, VcIvfMeta *meta);

/* Open an index on disk; what never changes is cached in the relation. */
extern void vc_ivf_open(VcIvf *ivf, Relation index);

/* Open an index that is being made, in a fork that is still empty. */
extern void vc_ivf_open_new(VcIvf *ivf, Relation index, ForkNumber fork, const VcIvfMeta *meta);

/* Append the meta page, without WAL; it must be block 0 and stays empty until vc_ivf_write_meta. */
extern void vc_ivf_add_meta(VcIvf *ivf);

/* Make ivf->meta what the meta page says. */
extern void vc_ivf_write_meta(VcIvf *ivf);

/* Pin a page that another one names, which must not be the meta page. XX002 where there is no such page. */
extern Buffer vc_ivf_read_block(VcIvf *ivf, BlockNumber block);

/* Pin and lock the first page of a segment, checked. */
extern Buffer vc_ivf_read_segment(VcIvf *ivf, const VcIvfShape *shape, BlockNumber block, int mode);

/* Bring the start of a segment that will be read soon into the CPU's cache, if it is in shared buffers where it was last seen. */
extern void vc_ivf_prefetch_segment(VcIvf *ivf, const VcIvfShape *shape, BlockNumber block);

static inline VcIvfSegment *
vc_ivf_segment(Page page)
{
	return (VcIvfSegment *) VcPageGetPayload(page);
}

static inline VcIvfBlock *
vc_ivf_blocks(Page page)
{
	return (VcIvfBlock *) (VcPageGetPayload(page) + sizeof(VcIvfSegment));
}

/* The keys of a block's rows; only where shape->keys.columns > 0. */
static inline void *
vc_ivf_keys(const VcIvfShape *shape, Page page, int block)
{
	return VcPageGetPayload(page) + shape->keys_at + block * shape->keys.bytes;
}

/* Raise XX002 for a list that cannot be so many segments long: damage can make a chain lead back into itself. */
static inline void
vc_ivf_check_length(VcIvf *ivf, BlockNumber head, uint64 segments)
{
	if (unlikely(segments % 1024 == 0) && segments > RelationGetNumberOfBlocksInFork(ivf->index, ivf->fork))
		vc_page_corrupted(ivf->index, head, "the list runs in a circle");
}

/*
 * The codes of a block of a segment whose first page is locked: in the page itself, or gathered in scratch[shape->plane].
 */
extern const uint8 *vc_ivf_codes(VcIvf *ivf, const VcIvfShape *shape, BlockNumber segment, Page page, int block,
								 uint8 *scratch);

/* A new list without rows; returns its first block. */
extern BlockNumber vc_ivf_new_list(VcIvf *ivf, const VcIvfShape *shape, uint32 list);

/* Vector pages for one entry, outside any list. */
extern BlockNumber vc_ivf_new_vector(VcIvf *ivf, const VcIvfShape *shape, const VcIvfVector *vector);

/* Read what refines the one-bit codes of a block, all planes but the first. The segment's first page is locked. */
extern void vc_ivf_read_refinement(VcIvf *ivf, const VcIvfShape *shape, BlockNumber segment, int block, VcIvfRefinement *out);

/*
 * The same, but of the planes only what a query makes of them: sum[] has the sums of the first plane (vc_quant.h), and gets
 * those of all bits. Of out, the factors are filled in.
 */
extern void vc_ivf_refine_sums(VcIvf *ivf, const VcIvfShape *shape, BlockNumber segment, int block, const uint8 *lut,
							   uint32 sum[VC_RABITQ_BLOCK], VcIvfRefinement *out);

/* Room for a row, and the encoding of a rotated value against a rotated centre into it. */
extern void vc_ivf_row_alloc(VcIvf *ivf, const VcIvfShape *shape, VcIvfRow *row);
extern void vc_ivf_row_encode(VcIvf *ivf, const VcIvfShape *shape, const float *residual, const float *centre, VcIvfRow *row);

/* Put a row into the list that starts at `head`; true if the list got a new segment for it. */
extern bool vc_ivf_add_row(VcIvf *ivf, const VcIvfShape *shape, BlockNumber head, ItemPointer tid, const VcIvfRow *row);

/* Where a list has room, as one process remembers it that adds many rows. */
typedef struct VcIvfRoom
{
	BlockNumber segment; /* no segment before it has any */
	Buffer		buffer;	 /* where that was, or InvalidBuffer: not pinned, good only for a guess */
	int			block;	 /* that took the last row */
} VcIvfRoom;

/* The same, beginning where there is room; *room comes to be where the row went. */
extern void vc_ivf_add_row_from(VcIvf *ivf, const VcIvfShape *shape, VcIvfRoom *room, ItemPointer tid, const VcIvfRow *row);

/* Fetch into the CPU's cache what a row that goes there soon will change. */
extern void vc_ivf_prefetch_room(const VcIvfShape *shape, const VcIvfRoom *room);

/* What moving rows from one segment of a list to another needs, made once for many. */
typedef struct VcIvfMover VcIvfMover;

extern VcIvfMover *vc_ivf_mover_new(VcIvf *ivf, const VcIvfShape *shape);

/*
 * Move rows, one by one, between segments whose first pages are exclusively locked: true if `from` is empty then, false if
 * `to` is full. Nobody may be scanning the list.
 */
extern bool vc_ivf_move_rows(VcIvfMover *mover, Buffer from, Buffer to);

/* Tell a list that starts at `head` that no segment before `room` has a free slot. */
extern void vc_ivf_note_room(VcIvf *ivf, const VcIvfShape *shape, BlockNumber head, BlockNumber room);

/*
 * Read the entry of a slot, found at block `vectors` + what the slot's number gives, into out[shape->vector_bytes]. With
 * slot = 0 and one entry this also reads the root's centre. The caller compares the TID.
 */
extern void vc_ivf_read_vector(VcIvf *ivf, const VcIvfShape *shape, BlockNumber vectors, int slot, VcIvfVector *out);

/*
 * An entry looked at in place: its page stays pinned and share-locked until another page's entry is looked at or
 * vc_ivf_view_end is called. An entry larger than a page is a copy.
 */
typedef struct VcIvfView
{
	Buffer		 buffer;
	BlockNumber	 block;
	VcIvfVector *copy;
} VcIvfView;

/* Bring an entry that will be looked at soon into the CPU's cache, if it is in shared buffers where it was last seen. */
extern void vc_ivf_prefetch_vector(VcIvf *ivf, const VcIvfShape *shape, BlockNumber vectors, int slot);

extern void vc_ivf_view_init(const VcIvfShape *shape, VcIvfView *view);
extern const VcIvfVector *vc_ivf_view_vector(VcIvf *ivf, const VcIvfShape *shape, VcIvfView *view, BlockNumber vectors,
											 int slot);
extern void vc_ivf_view_end(VcIvfView *view);

/* value.c: values in lists */

/* Fill the entry of a row; out has rows.vector_bytes. */
extern void vc_ivf_value_store(VcIvf *ivf, ItemPointer tid, const VcValue *value, VcIvfVector *out);

/* The distance of a stored value, as the range it is known to lie in; true where that is exact. */
extern bool vc_ivf_value_range(VcIvf *ivf, const VcIvfQuery *query, const VcIvfVector *vector, float *low, float *high);

/* query.c: comparing a value with lists and rows */

extern void vc_ivf_query_alloc(VcIvf *ivf, VcIvfQuery *query);

/* Prepare a value; it must live as long as the query. Without value (a null) every row is as far as any other. */
extern void vc_ivf_query_init(VcIvf *ivf, VcIvfQuery *query, const VcValue *value);

/* Exact distance of a stored value; infinite where cosine has none. */
extern float vc_ivf_distance(VcIvf *ivf, const VcIvfQuery *query, const void *data, float scale);

/* Distance of a rotated centre in the terms of rabitq.h: what is added as g, and |q - c|. */
extern void vc_ivf_centre_distance(VcIvf *ivf, const VcIvfQuery *query, const float *centre, float *g, float *distance);

/* frontier.c: the lists of an index in order of the distance of their centroids, one after another */
typedef struct VcIvfFrontier VcIvfFrontier;

typedef struct VcIvfProbe
{
	BlockNumber head;
	float		g;
	float		distance; /* |q - c| */
} VcIvfProbe;

/* With `keep`, what has been read once stays in memory, for many queries. */
extern VcIvfFrontier *vc_ivf_frontier_new(VcIvf *ivf, bool keep);

/* Start over with a query; then take lists, nearest first, until there are no more: false. */
extern void vc_ivf_frontier_start(VcIvfFrontier *frontier, const VcIvfQuery *query);
extern bool vc_ivf_frontier_next(VcIvfFrontier *frontier, VcIvfProbe *probe);

/* Only the nearest list, and its centroid[padded]; false where there are none. Of a frontier that keeps what it reads. */
extern bool vc_ivf_frontier_nearest(VcIvfFrontier *frontier, const VcIvfQuery *query, VcIvfProbe *probe, float *centroid);

/*
 * With spill: the list for the second copy of a row that is in the list nearest to it, and its centroid[padded]; false where
 * there is one list only. Follows vc_ivf_frontier_nearest, with what that gave.
 */
extern bool vc_ivf_frontier_spill(VcIvfFrontier *frontier, const VcIvfQuery *query, const VcIvfProbe *nearest,
								  const float *nearest_centroid, VcIvfProbe *probe, float *centroid);

/*
 * What choosing a list costs a second copy (Sun et al., SOAR, 2023): its squared distance, and once more what of that lies along the
 * residual r in the nearest list. A query for which r is long and points its way is bad for the nearest list; the second
 * list should be good for that one.
 */
static inline float
vc_ivf_spill_loss(float squared_distance, float along, float squared_residual)
{
	return squared_distance + (squared_residual > 0 ? along * along / squared_residual : 0);
}

/* The first blocks of all lists, in the root's order; new memory. */
extern BlockNumber *vc_ivf_heads(VcIvf *ivf, uint32 *count);

/* The same for as many lists as the meta page says, with their centroids[lists][padded]. */
extern void vc_ivf_centroids(VcIvf *ivf, BlockNumber *heads, float *centroids);

/* insert.c */

/* What inserting needs, made once for many rows. */
typedef struct VcIvfInserter VcIvfInserter;

extern VcIvfInserter *vc_ivf_inserter_new(VcIvf *ivf);

/*
 * Put in a row; keys are those of its key columns, if there are any. *err gets the `err` of the row's code; true if the
 * row's list got a new segment.
 */
extern bool vc_ivf_insert_value(VcIvfInserter *inserter, ItemPointer tid, const VcValue *value, const VcKeyRow *keys,
								float *err);

/* retrain.c: an index made on few rows trains itself when there are more */

/*
 * An index whose lists were made for fewer rows may be given new ones. While that is so, whoever adds rows to it holds a
 * share lock on the meta page (the heavyweight one, LockPage) and reads the meta page under it. Who trains holds the training
 * lock exclusively all the time and the meta page's at the end; vacuum holds the training lock in share mode.
 */
#define VC_IVF_TRAINS_BELOW 2000
#define VC_IVF_TRAINING_LOCK 1 /* a block number, for LockPage; what the block holds does not matter */

static inline bool
vc_ivf_may_train(const VcIvfMeta *meta)
{
	return meta->built_rows < VC_IVF_TRAINS_BELOW;
}

/* Give the index new lists if it has outgrown its own by far. The caller holds no lock on the meta page. */
extern void vc_ivf_retrain_if_due(Relation index, Relation table);

/* The access method's functions. */
extern IndexBuildResult *vc_ivf_build(Relation heap, Relation index, IndexInfo *index_info);
extern void vc_ivf_buildempty(Relation index);
extern bool vc_ivf_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
						  IndexUniqueCheck check_unique, bool index_unchanged, IndexInfo *index_info);
extern IndexBulkDeleteResult *vc_ivf_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
												IndexBulkDeleteCallback callback, void *callback_state);
extern IndexBulkDeleteResult *vc_ivf_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);
extern IndexScanDesc vc_ivf_beginscan(Relation index, int nkeys, int norderbys);
extern void vc_ivf_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool vc_ivf_gettuple(IndexScanDesc scan, ScanDirection dir);
extern void vc_ivf_endscan(IndexScanDesc scan);

/* How many lists a search looks at to begin with, where this share of the rows passes the conditions on keys. */
extern uint32 vc_ivf_probes_to_use(const VcIvfMeta *meta, double passing);

/* How many standard errors wide it takes the bounds of rows. */
extern double vc_ivf_epsilon_to_use(const VcIvfMeta *meta);

#endif /* VC_IVF_H */
