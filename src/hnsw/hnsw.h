/*
 * hnsw.h
 *		Disk format of vc_hnsw, and what the files of this room call each other for. README.md explains the ideas.
 *
 * Block 0 is the meta page. All other blocks are pages of nodes, continuations of nodes larger than a page, or overflow
 * lists of heap TIDs. A node is one indexed value in one level of the graph; its id is
 *		block * slots_per_page + slot
 * where a node larger than a page is slot 0 of its first block. A node, in a slot of slot_size bytes (R = degree):
 *
 *		offset			bytes			what
 *		0				32				VcHnswNode: flags, level, number of links, heap TIDs, ...
 *		32				4 R				ids of the neighbours, VC_HNSW_NONE where a link was taken away
 *		links_add		4 R				RaBitQ factor `add` of each neighbour     (coded metrics only)
 *		links_add_ip	4 R				the same for inner products                (inner product only)
 *		links_rescale	4 R				RaBitQ factor `rescale`                    (coded metrics only)
 *		links_distance	2 R				distance of each neighbour from this node, and whether the link is spare
 *		keys			key block		keys of the heap TIDs here            (indexes with key columns only, am/keys.h)
 *		codes			R/32 blocks		RaBitQ codes of the neighbours, centred on this node, FastScan blocks (coded
 *only) value			value_bytes		the node's own value, as given
 *
 * With storage = compact nodes are aligned to four bytes, `add` is a bfloat16 and `rescale` a byte, the spare marks are bits after them, there
 * are no distances, and the value is a code (value.c). All nodes are on level 0; some are hubs, whose last
 * links lead to other hubs.
 *
 * Sparse values differ in size, so their nodes do, and a page of them has a directory (VcHnswSlots) in front that says where each
 * slot's node lies; nodes are aligned to eight bytes and never larger than a page. slot_size and value_bytes are then the most there can be.
 *
 * So one page visit gives the exact distance of a node and an estimate for each of its neighbours. The header and the
 * links always lie in the node's first page.
 */
#ifndef VC_HNSW_H
#define VC_HNSW_H

#include "vectorcoll.h"

#include "access/genam.h"
#include "am/keys.h"
#include "am/metric.h"
#include "am/page.h"
#include "am/sparse.h"
#include "am/store.h"
#include "quantize/compact.h"
#include "quantize/rabitq.h"
#include "quantize/rotation.h"
#include "storage/itemptr.h"
#include "storage/spin.h"

#define VC_HNSW_MAGIC 0x56434857
#define VC_HNSW_VERSION 4

/* Page kinds. */
#define VC_HNSW_META 1
#define VC_HNSW_NODES 2
#define VC_HNSW_TAIL 3 /* second and further pages of a node larger than a page */
#define VC_HNSW_TIDS 4 /* heap TIDs of a value that more rows have than its node holds */
#define VC_HNSW_KEYS 5 /* keys of all rows, in a list of pages */

#define VC_HNSW_META_BLOCK 0

#define VC_HNSW_MIN_M 2
#define VC_HNSW_MAX_M 100
#define VC_HNSW_DEFAULT_M 16
#define VC_HNSW_MIN_EF_CONSTRUCTION 4
#define VC_HNSW_MAX_EF_CONSTRUCTION 1000
#define VC_HNSW_DEFAULT_EF_CONSTRUCTION 64
#define VC_HNSW_MIN_EF_SEARCH 1
#define VC_HNSW_MAX_EF_SEARCH 100000
#define VC_HNSW_DEFAULT_EF_SEARCH 64

#define VC_HNSW_MAX_DEGREE 224
#define VC_HNSW_MAX_LEVEL 15
#define VC_HNSW_INLINE_TIDS 3
#define VC_HNSW_COMPACT_TIDS 2
#define VC_HNSW_DESCEND_EF 1 /* ef in the levels a search only passes through */

typedef uint32 VcHnswId;

#define VC_HNSW_NONE UINT32_MAX

/* What ef a search needs for each of vc_hnsw_targets, for 10 rows and for 100 (calibrate.c). */
#define VC_HNSW_TARGETS 8

typedef struct VcHnswCalibration
{
	double nodes; /* that the index had room for when it was measured; 0: it was not */
	uint32 ef[VC_HNSW_TARGETS][2];
} VcHnswCalibration;

typedef struct VcHnswMeta
{
	uint32	 magic;
	uint32	 version;
	uint8	 element; /* VcElement and VcMetricKind of the operator class that made the index */
	uint8	 metric;
	uint16	 m;
	uint16	 ef_construction;
	uint16	 entry_level;
	uint32	 dim;
	uint32	 slot_size;
	uint64	 seed;		   /* of the rotation */
	VcHnswId entry;		   /* where searches start, a node of the highest level; VC_HNSW_NONE while there is none */
	uint32	 insert_block; /* where the last insert found room, a hint */
	uint32   keys;         /* first page of the list of keys, or InvalidBlockNumber where there are no key columns */
	uint32   keys_room;    /* no page of the list before this one has room, a hint */
	uint8	 storage;	   /* VcHnswStorage */
	uint8	 shifted;	   /* the origin of rotated values follows, [padded] bfloat16 (origin.c) */
	uint8	 zero[6];
	VcHnswCalibration calibration;
} VcHnswMeta;

StaticAssertDecl(sizeof(VcHnswMeta) == 128, "the meta page's layout is on disk");

typedef enum VcHnswStorage
{
	VC_HNSW_STORAGE_FULL = 0,
	VC_HNSW_STORAGE_COMPACT
} VcHnswStorage;

/* Node flags. A slot without VC_HNSW_USED is free. */
#define VC_HNSW_USED 1
#define VC_HNSW_DEAD 2 /* no heap TIDs are left: routes searches until vacuum takes it out, is never returned */
#define VC_HNSW_APART 4 /* not in the graph: a zero vector under cosine, which has no distance from anything */
#define VC_HNSW_HUB 8 /* compact: the last shape->far_links places are for links to other hubs, far away; all places are counted as links */

/* What a compact node keeps beside its value's code; scale is its factor k. */
typedef struct VcHnswOwn
{
	float  norm2;
	uint16 err;	 /* a bfloat16, rounded up */
	uint16 hash; /* of the value as given: equal codes of other values are told apart */
} VcHnswOwn;

typedef struct VcHnswNode
{
	uint8			flags;
	uint8			level;
	uint8			links;	  /* neighbours, holes included */
	uint8			tids;	  /* heap TIDs in tid[]; level 0 only */
	union
	{
		BlockNumber overflow; /* level 0: first VC_HNSW_TIDS page, or InvalidBlockNumber */
		VcHnswId	down;	  /* other levels: the same value's node one level lower */
	};
	float scale; /* VcValue.scale; compact: see VcHnswOwn */
	union
	{
		ItemPointerData tid[VC_HNSW_INLINE_TIDS]; /* shape->inline_tids of them */
		struct
		{
			ItemPointerData compact_tid[VC_HNSW_COMPACT_TIDS];
			VcHnswOwn		own; /* compact only */
		};
	};
} VcHnswNode;

StaticAssertDecl(sizeof(VcHnswNode) == 32, "the node's layout is on disk");

/*
 * The start of a page of nodes of sparse values. A node that was freed keeps its place and its bytes until somebody needs the
 * room. An `end` of zero is that of an empty page.
 */
#define VC_HNSW_SPARSE_SLOTS 24

typedef struct VcHnswSlots
{
	uint16 end; /* of the last node, in bytes of payload */
	uint16 offset[VC_HNSW_SPARSE_SLOTS]; /* of each slot's node in the payload; 0: none */
} VcHnswSlots;

#define VC_HNSW_SLOTS_BYTES MAXALIGN(sizeof(VcHnswSlots))

typedef struct VcHnswTids
{
	BlockNumber		next; /* or InvalidBlockNumber */
	uint32			count;
	ItemPointerData tid[FLEXIBLE_ARRAY_MEMBER]; /* behind VcHnswKeys.tids.capacity of them, their keys */
} VcHnswTids;

/*
 * A page of the list of keys. For each row the node it is in; then, for as many, their heap TIDs; then their keys. The
 * list may have rows that are no more in the index, or not in that node, but has all that are in it.
 */
typedef struct VcHnswKeyPage
{
	BlockNumber next; /* or InvalidBlockNumber */
	uint32      count;
	VcHnswId    node[FLEXIBLE_ARRAY_MEMBER];
} VcHnswKeyPage;

/* Without key columns. */
#define VC_HNSW_TIDS_MAX ((VC_PAGE_PAYLOAD - offsetof(VcHnswTids, tid)) / sizeof(ItemPointerData))

/* What follows from the meta page; the same for the life of an index. */
typedef struct VcHnswShape
{
	uint32 dim;
	uint32 padded; /* dimensions of rotated values */
	bool   coded;
	bool   sparse;	/* nodes differ in size */
	bool   compact; /* storage = compact */
	VcCompactForm own; /* compact: of a value's code */
	uint8  inline_tids;
	uint8  level_bits; /* one node in 2^level_bits is on the next level too; compact: is a hub */
	uint8  far_links; /* compact: of a hub; 0 where there are levels */
	uint16 m;
	uint16 ef_construction;
	uint16 degree;
	uint64 seed;
	Size   value_bytes; /* at most, where sparse */
	int	   bits;		/* of a code, a dimension */
	Size   block_bytes; /* of a FastScan block: the codes of 32 neighbours */
	Size   links_add;
	Size   links_rescale;
	Size   links_add_ip; /* inner product only; links_add is then that of the distance nodes are linked by */
	Size   links_distance;
	Size   links_spare; /* compact: a bit for each */
	Size   keys;
	Size   codes;
	Size   value;
	Size   slot_size; /* at most, where sparse */
	uint32 slots_per_page;
	uint32 pages_per_node;
} VcHnswShape;

/* Where keys lie in an index that has key columns. */
typedef struct VcHnswKeys
{
	VcKeyLayout node; /* in nodes */
	VcKeyLayout tids; /* in VC_HNSW_TIDS pages */
	Size        tids_at;
	VcKeyLayout list; /* in VC_HNSW_KEYS pages */
	Size        list_tids_at;
	Size        list_at;
} VcHnswKeys;

typedef struct VcHnswOptions
{
	int32 vl_len_; /* varlena header, never touched directly */
	int	  m;
	int	  ef_construction;
	int	  storage;
} VcHnswOptions;

/* An index, opened for work. */
typedef struct VcHnswGraph
{
	VcStore			  store;
	VcHnswShape		  shape;
	const VcMetric	 *metric; /* of the operator class, or the one that nodes are linked by: VcHnswPurpose */
	const VcRotation *rotation; /* null unless coded */
	float			 *origin;	/* [padded], what rotated values are counted from; null: zero */
	const VcHnswKeys *keys;     /* null unless there are key columns */
	VcHnswCalibration calibration;
	BlockNumber		  fill_block; /* where this process puts new nodes, or InvalidBlockNumber */
	char			 *image;	  /* of a node larger than a page, as last read */
	int8			 *unpacked;	  /* [padded], scratch; this and the next two only where compact */
	float			 *centre;	  /* [padded], scratch */
	uint8			 *lut;		  /* scratch */
	VcHnswNode		 *none;		  /* stands for the node of a slot that has none; only where sparse */
} VcHnswGraph;

static inline VcHnswId *
vc_hnsw_links(const VcHnswNode *node)
{
	return (VcHnswId *) ((char *) node + sizeof(VcHnswNode));
}

static inline float *
vc_hnsw_links_add(const VcHnswShape *shape, const VcHnswNode *node)
{
	return (float *) ((char *) node + shape->links_add);
}

static inline float *
vc_hnsw_links_rescale(const VcHnswShape *shape, const VcHnswNode *node)
{
	return (float *) ((char *) node + shape->links_rescale);
}

static inline float *
vc_hnsw_links_add_ip(const VcHnswShape *shape, const VcHnswNode *node)
{
	return (float *) ((char *) node + shape->links_add_ip);
}

static inline uint16 *
vc_hnsw_links_distance(const VcHnswShape *shape, const VcHnswNode *node)
{
	return (uint16 *) ((char *) node + shape->links_distance);
}

/* The keys of the heap TIDs in a node, and in a page of further ones. */
static inline void *
vc_hnsw_node_keys(const VcHnswShape *shape, const VcHnswNode *node)
{
	return (char *) node + shape->keys;
}

static inline void *
vc_hnsw_tids_keys(const VcHnswKeys *keys, const VcHnswTids *tids)
{
	return (char *) tids + keys->tids_at;
}

static inline uint32
vc_hnsw_tids_max(const VcHnswGraph *graph)
{
	return graph->keys ? graph->keys->tids.capacity : VC_HNSW_TIDS_MAX;
}

static inline uint8 *
vc_hnsw_codes(const VcHnswShape *shape, const VcHnswNode *node)
{
	return (uint8 *) node + shape->codes;
}

static inline void *
vc_hnsw_node_value(const VcHnswShape *shape, const VcHnswNode *node)
{
	return (char *) node + shape->value;
}

/* Bytes of a value, of the node that has it, and whether two values are the same. */
static inline Size
vc_hnsw_value_size(const VcHnswShape *shape, const void *value)
{
	return shape->sparse ? vc_sparse_stored_size(shape->dim, vc_sparse_stored_count(value)) : shape->value_bytes;
}

static inline Size
vc_hnsw_node_size(const VcHnswShape *shape, const VcHnswNode *node)
{
	return shape->sparse ? MAXALIGN(shape->value + vc_hnsw_value_size(shape, vc_hnsw_node_value(shape, node)))
						 : shape->slot_size;
}

static inline bool
vc_hnsw_same_value(const VcHnswShape *shape, const void *a, const void *b)
{
	Size size = vc_hnsw_value_size(shape, a);

	return size == vc_hnsw_value_size(shape, b) && memcmp(a, b, size) == 0;
}

static inline BlockNumber
vc_hnsw_block(const VcHnswShape *shape, VcHnswId id)
{
	return id / shape->slots_per_page;
}

/*
 * The distance of a link, for comparing links by: a bfloat16, which keeps a float's range, with 7 bits of its precision, because the
 * last one says that the link is spare: a nearer neighbour of the node is nearer to this one than the node is, so a search
 * would find its way without it.
 */
#define VC_HNSW_SPARE 1

static inline uint16
vc_hnsw_pack_distance(float distance)
{
	uint32 bits;

	memcpy(&bits, &distance, sizeof(bits));
	return (uint16) ((bits + 0xFFFF + ((bits >> 17) & 1)) >> 16) & ~VC_HNSW_SPARE;
}

static inline float
vc_hnsw_unpack_distance(uint16 packed)
{
	uint32 bits = (uint32) (packed & ~VC_HNSW_SPARE) << 16;
	float  distance;

	memcpy(&distance, &bits, sizeof(distance));
	return distance;
}

/* bfloat16, rounded to nearest; what is beyond its range becomes its largest. */
static inline uint16
vc_hnsw_pack_short(float f)
{
	uint32 bits;

	memcpy(&bits, &f, sizeof(bits));
	return (bits & 0x80000000) >> 16 |
		   Min((bits & 0x7FFFFFFF) + 0x7FFF + ((bits >> 16) & 1), UINT32_C(0x7F7F0000)) >> 16;
}

static inline float
vc_hnsw_unpack_short(uint16 packed)
{
	uint32 bits = (uint32) packed << 16;
	float  f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/*
 * A compact node keeps its links' factors short, and no distances: those follow from the codes. `add` is a bfloat16, `rescale` a byte
 * (link.c), and a bit says whether the link is spare.
 */
static inline uint16 *
vc_hnsw_links_short(const VcHnswNode *node, Size offset)
{
	return (uint16 *) ((char *) node + offset);
}

static inline uint8 *
vc_hnsw_links_bytes(const VcHnswNode *node, Size offset)
{
	return (uint8 *) ((char *) node + offset);
}

/* Place a link; in a coded graph vc_hnsw_set_code follows. */
static inline void
vc_hnsw_set_link(const VcHnswShape *shape, VcHnswNode *node, int link, VcHnswId id, float distance, bool spare)
{
	vc_hnsw_links(node)[link] = id;
	if (shape->compact)
	{
		uint8 *bits = vc_hnsw_links_bytes(node, shape->links_spare) + link / 8;

		*bits = (uint8) ((*bits & ~(1 << link % 8)) | spare << link % 8);
	}
	else
		vc_hnsw_links_distance(shape, node)[link] = vc_hnsw_pack_distance(distance) | (spare ? VC_HNSW_SPARE : 0);
}

/* The places of a node's links to its neighbours, or of those that a hub has to other hubs: none in other nodes. */
static inline void
vc_hnsw_places(const VcHnswShape *shape, const VcHnswNode *node, bool far, int *first, int *end)
{
	int near = node->flags & VC_HNSW_HUB ? shape->degree - shape->far_links : shape->degree;

	*first = far ? near : 0;
	*end = far ? shape->degree : near;
}

static inline bool
vc_hnsw_link_is_spare(const VcHnswShape *shape, const VcHnswNode *node, int link)
{
	if (shape->compact)
		return vc_hnsw_links_bytes(node, shape->links_spare)[link / 8] >> link % 8 & 1;
	return (vc_hnsw_links_distance(shape, node)[link] & VC_HNSW_SPARE) != 0;
}

static inline void
vc_hnsw_link_make_spare(const VcHnswShape *shape, VcHnswNode *node, int link)
{
	if (shape->compact)
		vc_hnsw_links_bytes(node, shape->links_spare)[link / 8] |= (uint8) (1 << link % 8);
	else
		vc_hnsw_links_distance(shape, node)[link] |= VC_HNSW_SPARE;
}

/* value.c: values as nodes keep them */

typedef struct VcHnswStored
{
	const void *value;
	float		scale;
	VcHnswOwn	own;
} VcHnswStored;

/* The stored form of a value; rotated is null where it has no distance from anything, room has shape.value_bytes. */
extern void vc_hnsw_store_value(VcHnswGraph *graph, const VcValue *value, const float *rotated, void *room,
								VcHnswStored *stored);
extern void vc_hnsw_set_value(const VcHnswShape *shape, VcHnswNode *node, const VcHnswStored *stored);

/* Whether a node is one of this value. */
extern bool vc_hnsw_has_value(const VcHnswShape *shape, const VcHnswNode *node, const VcHnswStored *stored);

/* The rotated vector that a node's value and scale stand for; coded metrics only. */
extern void vc_hnsw_rotated(const VcHnswGraph *graph, const void *value, float scale, float *out);

/* The squared length of what that vector is off the value that was given. */
extern float vc_hnsw_error2(const VcHnswGraph *graph, const VcHnswNode *node);

/* For qsort (calibrate.c). */
extern int vc_hnsw_compare_floats(const void *a, const void *b);

/* origin.c: what rotated values are counted from */

/*
 * choose: from a sample of n rotated rows, for an index that is being built, before anything is done with values. size, write: what is to
 * follow the meta page's struct. read: from there, of a graph whose shape is only about to be set. join: the same for a graph opened with
 * vc_hnsw_open_new, once its store has the meta page.
 */
extern void vc_hnsw_origin_choose(VcHnswGraph *graph, const float *rows, Size n);
extern Size vc_hnsw_origin_size(const VcHnswGraph *graph);
extern void vc_hnsw_origin_write(const VcHnswGraph *graph, void *room);
extern void vc_hnsw_origin_read(VcHnswGraph *graph, const VcHnswShape *shape, float *origin);
extern void vc_hnsw_origin_join(VcHnswGraph *graph);

/* Rotate a vector of `padded` floats in place, and count it from the origin. */
extern void vc_hnsw_rotate(const VcHnswGraph *graph, float *vector);

/* graph.c: the meta page, nodes and their pages */

/* Settings of a new index. */
extern void vc_hnsw_meta_fill(VcHnswMeta *meta, Relation index);
extern void vc_hnsw_shape_fill(VcHnswShape *shape, const VcMetric *metric, const VcHnswMeta *meta,
							   const VcHnswKeys *keys);

/*
 * By what distance an open graph compares: rows are searched by that of the operator, links are chosen by one that is small
 * between neighbours. They differ for inner product (README.md).
 */
typedef enum VcHnswPurpose
{
	VC_HNSW_TO_LINK,
	VC_HNSW_TO_SEARCH
} VcHnswPurpose;

/* Open an index on disk. What can be kept is cached in the relation. */
extern void vc_hnsw_open(VcHnswGraph *graph, Relation index, VcHnswPurpose purpose);

/*
 * Open an index with what was allocated for another, which may have been closed since; false, with nothing done, where they differ
 * in more than their rotation's seed.
 */
extern bool vc_hnsw_open_again(VcHnswGraph *graph, Relation index, VcHnswPurpose purpose);

/* Open a graph that is being built, over a store that is empty or to be replaced by another graph's. */
extern void vc_hnsw_open_new(VcHnswGraph *graph, Relation index, const VcHnswMeta *meta, VcHnswPurpose purpose);

/* Where searches start; false while the graph is empty. */
extern bool vc_hnsw_entry(VcHnswGraph *graph, VcHnswId *entry, int *level);

/*
 * Tell the meta page of a new node, which becomes the entry if it is on a higher level than that one, and of where this
 * process now puts new nodes.
 */
extern void vc_hnsw_note(VcHnswGraph *graph, VcHnswId entry, int level);

/* Make `entry` the entry if it is `old` still; VC_HNSW_NONE makes the graph one without entry. */
extern void vc_hnsw_replace_entry(VcHnswGraph *graph, VcHnswId old, VcHnswId entry, int level);

/* Tell the meta page what was measured. */
extern void vc_hnsw_set_calibration(VcHnswGraph *graph, const VcHnswCalibration *calibration);

/*
 * Read a key for insertion: of the index's dimensions and, where sparse, small enough for a node. 22000 and 54000 otherwise.
 */
extern void vc_hnsw_read_key(VcHnswGraph *graph, Datum datum, VcValue *value);

/* Tell the free space map of a page of nodes that has room. */
extern void vc_hnsw_note_room(VcHnswGraph *graph, BlockNumber block);

/* Payload bytes of the first page of a node or page of nodes. */
static inline Size
vc_hnsw_head_bytes(const VcHnswShape *shape)
{
	return Min(shape->slots_per_page * shape->slot_size, VC_PAGE_PAYLOAD);
}

/*
 * Look at a node, share-locked until vc_hnsw_done. A node larger than a page is copied to graph->image. Raises XX002 where
 * the id or the node cannot be right.
 */
extern const VcHnswNode *vc_hnsw_node(VcHnswGraph *graph, VcHold *hold, VcHnswId id);

/* The same without what lies on further pages: only the header and the links may be looked at. */
extern const VcHnswNode *vc_hnsw_node_header(VcHnswGraph *graph, VcHold *hold, VcHnswId id);

static inline void
vc_hnsw_done(VcHnswGraph *graph, VcHold *hold)
{
	vc_store_release(&graph->store, hold);
}

/*
 * The same, exclusively locked and for change; for a node larger than a page what is returned is a copy of the node. To be
 * followed by vc_hnsw_node_commit, saying which link was changed (-1: only the header), or by vc_hnsw_done.
 */
extern VcHnswNode *vc_hnsw_node_for_update(VcHnswGraph *graph, VcHold *hold, VcHnswId id);
extern void vc_hnsw_node_commit(VcHnswGraph *graph, VcHold *hold, VcHnswId id, int link);

/*
 * The same where little is changed: of the node returned only the bytes up to its codes may be looked at and changed; *whole is the
 * node as it was. A code of it is changed by vc_hnsw_change_code.
 */
extern VcHnswNode *vc_hnsw_node_head_for_update(VcHnswGraph *graph, VcHold *hold, VcHnswId id, const VcHnswNode **whole);

/* Store a new node given as an image of slot_size bytes; VC_HNSW_NONE where a build in memory is out of room. */
extern VcHnswId vc_hnsw_node_add(VcHnswGraph *graph, const VcHnswNode *image);

/*
 * Store a node of level 0 without links as the first of an empty graph. False, with nothing done, where the graph is not
 * empty any more; *id is as vc_hnsw_node_add returns it.
 */
extern bool vc_hnsw_node_add_first(VcHnswGraph *graph, const VcHnswNode *image, VcHnswId *id);

/* Whether a block is the first page of nodes; false for other kinds and for pages never used. */
extern bool vc_hnsw_is_node_block(VcHnswGraph *graph, BlockNumber block);

/* link.c: what a node says of its neighbours */

/* RaBitQ's factors for the distance nodes are linked by, and `add` for inner products, where those are searched. */
typedef struct VcHnswFactors
{
	float add;
	float rescale;
	float add_ip;
	float product; /* compact: the part of `add` that is proportional to `rescale` */
} VcHnswFactors;

/*
 * Codes of neighbours. encode: a neighbour's vector less the node's, both rotated, with the node as centre; residual is room for
 * [padded], may be the vector, and has nothing to tell afterwards; code has shape.padded bytes. set_code: into a node's place `link`,
 * with its factors; set_factors: those alone. get_code: what lies there.
 */
extern void vc_hnsw_encode(const VcHnswGraph *graph, const float *vector, const float *centre, float *residual, uint8 *code,
						   VcHnswFactors *factors);
extern void vc_hnsw_set_code(const VcHnswShape *shape, VcHnswNode *node, int link, const uint8 *code,
							 const VcHnswFactors *factors);
extern void vc_hnsw_set_factors(const VcHnswShape *shape, VcHnswNode *node, int link, const VcHnswFactors *factors);
extern void vc_hnsw_get_code(const VcHnswShape *shape, const VcHnswNode *node, int link, uint8 *code);

/* Of a node got by vc_hnsw_node_head_for_update, change one link's code, with its factors; once for each time it was got. */
extern void vc_hnsw_change_code(VcHnswGraph *graph, VcHold *hold, VcHnswNode *node, const VcHnswNode *whole, int link,
								const uint8 *code, const VcHnswFactors *factors);

/*
 * The factors of a link. A compact node keeps a rounded `rescale`; expect: what it is to keep beside, given the factors
 * that vc_hnsw_encode made. False where the two `rescale` are not neighbours.
 */
extern bool vc_hnsw_expect_factors(const VcHnswShape *shape, const VcHnswNode *node, int link, VcHnswFactors *factors);
extern void vc_hnsw_get_factors(const VcHnswShape *shape, const VcHnswNode *node, int link, VcHnswFactors *factors);

/* The distances of a node's neighbours from it, holes included. */
extern void vc_hnsw_link_distances(const VcHnswGraph *graph, const VcHnswNode *node, float *distances);

/* tids.c: the rows of a value */

/*
 * Add a heap TID, with its keys where there are key columns, to a node that has this value already. False where the node is
 * no longer there for that, or where it would need a page of row pointers and must not take one.
 */
extern bool vc_hnsw_node_add_tid(VcHnswGraph *graph, VcHnswId id, const VcHnswStored *stored, ItemPointer tid,
								 const VcKeyRow *keys, bool may_overflow);

/*
 * The heap TIDs of a node of level 0 that pass a filter (null: all), written to *tids, an array of *size that is made
 * larger where needed. Returns how many there are: none where the node is gone.
 */
extern Size vc_hnsw_node_tids(VcHnswGraph *graph, VcHnswId id, const VcKeyFilter *filter, ItemPointerData **tids,
							  Size *size);

/*
 * Look at a node's heap TIDs, those in it and then page by page, with their keys (layout is null without key columns),
 * until visit returns false. The node is locked by the caller in vc_hnsw_each_tids, by itself in
 * vc_hnsw_node_each_tids.
 */
typedef bool (*VcHnswVisitTids)(void *arg, VcHnswId id, const ItemPointerData *tids, uint32 n,
								const VcKeyLayout *layout, const void *keys);
extern void vc_hnsw_each_tids(VcHnswGraph *graph, VcHnswId id, const VcHnswNode *node, VcHnswVisitTids visit,
							  void *arg);
extern void vc_hnsw_node_each_tids(VcHnswGraph *graph, VcHnswId id, VcHnswVisitTids visit, void *arg);

/* keys.c: the list of keys */

/* Where the keys of an index lie; false where it has no key columns. */
extern bool vc_hnsw_keys_fill(VcHnswKeys *keys, Relation index, bool compact);

/* Append the first page of a list to a fork, initialised, and with its buffer locked and dirty. */
extern Buffer vc_hnsw_keys_first(Relation index, ForkNumber fork);

/* Make the list of an index that has just been built, and tell the meta page. */
extern void vc_hnsw_keys_build(VcHnswGraph *graph);

/* Add a row that has been put into a node. */
extern void vc_hnsw_keys_add(VcHnswGraph *graph, VcHnswId id, ItemPointer tid, const VcKeyRow *keys);

/* The nodes of all rows that pass, some perhaps more than once; allocated in the current context. */
extern VcHnswId *vc_hnsw_keys_sweep(VcHnswGraph *graph, const VcKeyFilter *filter, Size *count);

/* Take rows out for which dead() is true. */
extern void vc_hnsw_keys_clean(VcHnswGraph *graph, IndexBulkDeleteCallback dead, void *arg);

/* Look at a page of the list, share-locked; XX002 where it cannot be one. And at its rows' TIDs and keys. */
extern const VcHnswKeyPage *vc_hnsw_keys_page(VcHnswGraph *graph, VcHold *hold, BlockNumber block);
extern BlockNumber          vc_hnsw_keys_head(VcHnswGraph *graph);

static inline ItemPointerData *
vc_hnsw_keys_tids(const VcHnswKeys *keys, const VcHnswKeyPage *page)
{
	return (ItemPointerData *) ((char *) page + keys->list_tids_at);
}

static inline void *
vc_hnsw_keys_block(const VcHnswKeys *keys, const VcHnswKeyPage *page)
{
	return (char *) page + keys->list_at;
}

/* search.c: finding the nodes of a level nearest to a value */

/* A value prepared for comparison with many nodes. */
typedef struct VcHnswQuery
{
	const void	  *data;
	float		   scale;
	float		  *floats;	/* [dim], the same as data, where metric->distance_to_floats asks for them; else null */
	float		  *rotated; /* [padded] */
	VcRabitqQuery  rabitq;
	float		   unit;	 /* the weight of products with `rescale`: 1, or 1/2 for inner products */
	float		   near;	 /* nearer to a node than this, the table's rounding is no longer small beside a code's error */
	float		   optimism; /* what is taken off a mean of estimates, in units of its deviation (search.c) */
	float		   norm2;    /* of the value; inner products only */
	VcCompactQuery own; /* compact only */
	int8		  *own_memory;
	const VcKeyFilter *filter; /* which rows are wanted; null: all */
} VcHnswQuery;

/*
 * Estimates of the distances of all a node's neighbours from a query, given the node's own, and `rescale` of all links (link.c). Both arrays
 * have room for shape.degree. Returns the L2 distance of the two; an estimate's error is proportional to it and to `rescale`.
 */
extern float vc_hnsw_estimate(const VcHnswGraph *graph, const VcHnswQuery *query, const VcHnswNode *node, float distance,
							  float *estimates, float *rescales);

/* Distance and id in one integer that orders as the distance does. */
typedef uint64 VcHnswOrdered;

static inline VcHnswOrdered
vc_hnsw_ordered(float distance, VcHnswId id)
{
	uint32 bits;

	memcpy(&bits, &distance, sizeof(bits));
	bits ^= (bits >> 31) ? UINT32_C(0xFFFFFFFF) : UINT32_C(0x80000000);
	return (VcHnswOrdered) bits << 32 | id;
}

static inline float
vc_hnsw_ordered_distance(VcHnswOrdered r)
{
	uint32 bits = (uint32) (r >> 32);
	float  distance;

	bits ^= (bits >> 31) ? UINT32_C(0x80000000) : UINT32_C(0xFFFFFFFF);
	memcpy(&distance, &bits, sizeof(distance));
	return distance;
}

/* In VcHnswFound.flags, beside those of the node: it has rows, but none that is wanted. */
#define VC_HNSW_REJECTED 128

/* query.c */

/* Get the memory a query needs, once; then prepare it for one value after another. */
extern void vc_hnsw_query_alloc(VcHnswGraph *graph, VcHnswQuery *query);
extern void vc_hnsw_query_init(VcHnswGraph *graph, VcHnswQuery *query, const VcValue *value);

/* The same for a value as a node holds it; the query refers to those bytes. */
extern void vc_hnsw_query_init_node(VcHnswGraph *graph, VcHnswQuery *query, const void *value, float scale);

/*
 * The distance of a compact node from a query, as its code tells it, and what it is at least; at most it is about as much more. One value in
 * thirty thousand is nearer than that.
 */
extern float vc_hnsw_compact_distance(const VcHnswGraph *graph, const VcHnswQuery *query, const VcHnswNode *node,
									  float *bound);

/* The distance of a node from a query. */
static inline float
vc_hnsw_distance(const VcHnswGraph *graph, const VcHnswQuery *query, const VcHnswNode *node)
{
	if (unlikely(graph->shape.compact))
		return vc_hnsw_compact_distance(graph, query, node, NULL);
	if (query->floats)
		return graph->metric->distance_to_floats(vc_hnsw_node_value(&graph->shape, node), node->scale, query->floats,
												 query->scale, graph->shape.dim);
	return graph->metric->distance(vc_hnsw_node_value(&graph->shape, node), node->scale, query->data, query->scale,
								   graph->shape.dim);
}

typedef struct VcHnswFound
{
	float			distance; /* exact; of a compact node about what it is */
	float			bound;	  /* it is at least this much */
	float			scale;	  /* of the node's value */
	VcHnswId		id;
	VcHnswId		down;
	uint8			flags;
	uint8			level;
	uint8			tids;
	bool			overflow;
	ItemPointerData tid[VC_HNSW_INLINE_TIDS];
} VcHnswFound;

typedef struct VcHnswSearch VcHnswSearch;

/* Everything a search needs, to be used again and again; lives in the current context. */
extern VcHnswSearch *vc_hnsw_search_new(VcHnswGraph *graph);

/* The same from and to a store of one that this backend keeps. */
extern VcHnswSearch *vc_hnsw_search_borrow(VcHnswGraph *graph);
extern void vc_hnsw_search_return(VcHnswSearch *search);

/* Forget everything; and start at a node. */
extern void vc_hnsw_search_reset(VcHnswSearch *search);
extern void vc_hnsw_search_start(VcHnswSearch *search, const VcHnswQuery *query, VcHnswId entry);

/*
 * Let a search keep a copy of the value of each node it finds, up to `room` of them; the copy of the i-th, or null. Until a
 * search is told otherwise.
 */
extern void		   vc_hnsw_search_keep_values(VcHnswSearch *search, char *values, Size stride, uint32 room);
extern const void *vc_hnsw_search_value(VcHnswSearch *search, uint32 i);

/* A node's value will be looked at soon: start bringing it into the CPU's cache. */
extern void vc_hnsw_search_expect(VcHnswSearch *search, VcHnswId id);

/* Let a search follow only the links from hub to hub, until told otherwise. What it starts at need not be one. */
extern void vc_hnsw_search_far_only(VcHnswSearch *search, bool far_only);

/* Let a search that has been started go around a node. */
extern void vc_hnsw_search_exclude(VcHnswSearch *search, VcHnswId id);

/*
 * Visit nodes, nearest first, until no node left to visit promises to be nearer than the ef nearest live ones found so
 * far, or until max_found nodes were. May be called again with a larger ef to go on. Returns false once nothing reachable
 * is left to visit.
 */
extern bool vc_hnsw_search_run(VcHnswSearch *search, uint32 ef, uint32 max_found);

/*
 * A whole search of a coded graph that ends as another would, or when `patience` visits in a row were not among the ef nearest so far, or
 * at last; later if what it found is so far away that it may have gone astray. It cannot be gone on with.
 */
extern void vc_hnsw_search_few(VcHnswSearch *search, const VcHnswQuery *query, VcHnswId entry, uint32 ef,
							   uint32 patience);

/*
 * Visit those of some nodes that were not visited yet, and do not follow their links. Where the query has no value, and
 * where a node has no distance from it, that is NaN.
 */
extern void vc_hnsw_search_visit(VcHnswSearch *search, const VcHnswQuery *query, const VcHnswId *ids, Size n);

/*
 * What the list of keys costs beside a search: in the time of one visit the keys of so many rows are tested, and a
 * visit that does not follow links takes this share of one that does.
 */
#define VC_HNSW_KEYS_PER_VISIT 500
#define VC_HNSW_LONE_VISIT 0.35

/* The visits that the list of keys takes as long as, where so many of an index's nodes pass. */
static inline double
vc_hnsw_list_visits(double nodes, double passing)
{
	return nodes / VC_HNSW_KEYS_PER_VISIT + passing * VC_HNSW_LONE_VISIT;
}

/* The nodes visited, in the order of the visits. */
extern VcHnswFound *vc_hnsw_search_found(VcHnswSearch *search, uint32 *count);

/* The nearest node found, or with `down` its node one level lower; VC_HNSW_NONE where nothing was found. */
extern VcHnswId vc_hnsw_search_nearest(VcHnswSearch *search, bool down);

/* What was found of a node; null if it was not visited. */
extern const VcHnswFound *vc_hnsw_search_lookup(VcHnswSearch *search, VcHnswId id);

/* The visits after which a search for the ef nearest ends at last, for each of them. */
#define VC_HNSW_MOST_VISITS 16

/* Of the nodes found, dead ones and those without wanted rows too, how many are nearer than anything the search expects to find. */
extern uint32 vc_hnsw_search_settled(VcHnswSearch *search);

/* Up to this distance the search has found what it will find, until it is run with a larger ef. */
extern float vc_hnsw_search_limit(VcHnswSearch *search);

/*
 * From the entry down to (not into) `level`, in a compact graph from hub to hub: the node to start at in that level. VC_HNSW_NONE where the entry has just been
 * taken out by vacuum; the meta page then names another one.
 */
extern VcHnswId vc_hnsw_descend(const VcHnswGraph *graph, VcHnswSearch *search, const VcHnswQuery *query, VcHnswId entry, int from,
								int level);

/* calibrate.c: how wide a search must be for a recall */

extern const double vc_hnsw_targets[VC_HNSW_TARGETS];

/* Of all samples, how many of the nearest rows were missed by each step, which is twice as wide as the one before. */
#define VC_HNSW_MEASURE_STEPS 9

typedef struct VcHnswMisses
{
	double few[VC_HNSW_MEASURE_STEPS];
	double many[VC_HNSW_MEASURE_STEPS];
	double few_of;
	double many_of;
} VcHnswMisses;

/* A measure that is being taken: in shared memory where several processes take it together. */
typedef struct VcHnswMeasure
{
	pg_atomic_uint32 tries; /* places looked at */
	pg_atomic_uint32 taken; /* nodes searched for, or being so */
	slock_t			 mutex; /* of the rest */
	VcHnswMisses	 misses;
} VcHnswMeasure;

/*
 * Start a measure; take part in it until it is through, with a graph opened to search that nobody changes; and what came of it when all are
 * through: calibration->nodes is 0 where the graph is too small.
 */
extern void vc_hnsw_measure_init(VcHnswMeasure *measure);
extern void vc_hnsw_measure(VcHnswMeasure *measure, VcHnswGraph *graph);
extern void vc_hnsw_measured(VcHnswMeasure *measure, VcHnswGraph *graph, VcHnswCalibration *calibration);

/* All of that for an index on disk. And whether one has outgrown its measure. */
extern void vc_hnsw_calibrate(Relation index, VcHnswCalibration *calibration);
extern bool vc_hnsw_calibration_is_due(Relation index);

/*
 * How many rows an ef is good for. A search is least sure of the last of the ef nearest: what the estimates put beyond them is not visited. So when more rows are wanted
 * than these, it is widened before the last quarter is returned; a LIMIT of 10 is served by any ef from 10 on.
 */
#define VC_HNSW_EF_SERVES(ef) Max((uint64) (ef) - (ef) / 4, 10)

/* What a recall takes: ef for up to ten rows, how it grows with their number. */
typedef struct VcHnswWidth
{
	uint32 few;
	double power;
	bool   all; /* everything must be looked at */
} VcHnswWidth;

extern void vc_hnsw_plan_width(const VcHnswCalibration *calibration, double recall, VcHnswWidth *width);

/* How many rows an ef is good for. */
extern uint64 vc_hnsw_width_serves(const VcHnswWidth *width, uint64 ef);

/* insert.c: one new value */

typedef struct VcHnswInserter VcHnswInserter;
typedef struct VcHnswLists    VcHnswLists; /* lists.h */

extern VcHnswInserter *vc_hnsw_inserter_new(VcHnswGraph *graph);

/* While an index is built: find neighbours by lists, as long as those are usable, and add new values to them. */
extern void vc_hnsw_inserter_use_lists(VcHnswInserter *inserter, VcHnswLists *lists);

/*
 * Insert a value for a heap row with its keys, which are null where there are no key columns. False, with nothing
 * changed, where a build in memory is out of room. The list of keys is not kept while an index is built.
 */
extern bool vc_hnsw_insert(VcHnswInserter *inserter, const VcValue *value, const VcKeyRow *keys, ItemPointer tid);

/* Insert a row into an index on disk. */
extern void vc_hnsw_insert_row(Relation index, Datum *values, bool *isnull, ItemPointer tid);

/* The access method's entry points. */
extern IndexBuildResult *vc_hnsw_build(Relation heap, Relation index, struct IndexInfo *index_info);
extern void vc_hnsw_build_empty(Relation index);
extern bool vc_hnsw_aminsert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
							 IndexUniqueCheck check_unique, bool index_unchanged, struct IndexInfo *index_info);
extern IndexScanDesc vc_hnsw_begin_scan(Relation index, int nkeys, int norderbys);
extern void vc_hnsw_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool vc_hnsw_get_tuple(IndexScanDesc scan, ScanDirection direction);
extern void vc_hnsw_end_scan(IndexScanDesc scan);
extern IndexBulkDeleteResult *vc_hnsw_bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
												  IndexBulkDeleteCallback callback, void *callback_state);
extern IndexBulkDeleteResult *vc_hnsw_vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);

/* Settings. */
extern int	  vc_hnsw_ef_search;
extern double vc_hnsw_target_recall;
extern int	  vc_hnsw_max_scan_tuples;

/* Share-locked by inserts while they choose and write links, exclusively by vacuum to wait for them. */
#define VC_HNSW_INSERT_LOCK_BLOCK VC_HNSW_META_BLOCK

#endif /* VC_HNSW_H */
