/*
 * toast.h
 *		Fetching values that are stored out of line in any order, as a rerank needs them.
 */
#ifndef VC_TOAST_H
#define VC_TOAST_H

#include "vectorcoll.h"

#include "storage/block.h"

#define VC_TOAST_MARKS 64

/* A place in a TOAST table: chunks of values with ids about this one lie in this block. */
typedef struct VcToastMark
{
	Oid			id;
	BlockNumber block;
} VcToastMark;

/* What is known of where a table's values lie; all zeros at first. Kept from one scan to the next, and good as long as the table's file. */
typedef struct VcToastMap
{
	int			n;
	VcToastMark mark[VC_TOAST_MARKS]; /* by id, and then also by block */
	BlockNumber ends;				  /* the ends are marked as they were when the table had so many blocks; 0: not */
	int			wait;				  /* values to leave to the server before guessing again */
	int			wrong;				  /* guesses failed since one was right */
	uint16		at;					  /* where what points to a value lay in the row seen last; 0: none was seen */
} VcToastMap;

typedef struct VcToast VcToast;

/* With a map that lives longer. */
extern VcToast *vc_toast_open(VcToastMap *map);

/* A value that VARATT_IS_EXTERNAL_ONDISK, in line, in the current context. All values of a VcToast are in one TOAST table. */
extern struct varlena *vc_toast_fetch(VcToast *toast, struct varlena *value);

/*
 * Values of a TOAST table that will probably be fetched soon, VC_PEEK_ROWS of them at most: those in pages whose place in shared buffers is
 * known are brought into the CPU's cache. What points to them need not be true.
 */
extern void vc_toast_expect(VcToast *toast, Oid toast_table, const struct varatt_external *pointers, int n);

extern void vc_toast_close(VcToast *toast);

#endif /* VC_TOAST_H */
