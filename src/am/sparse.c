/*
 * sparse.c
 *		See sparse.h.
 */
#include "am/sparse.h"

#include "types/sparse_merge.h"

static inline bool
is_narrow(uint32 dim)
{
	return dim <= (uint32) UINT16_MAX + 1;
}

static inline Size
element_size(uint32 dim)
{
	return sizeof(float) + (is_narrow(dim) ? sizeof(uint16) : sizeof(int32));
}

Size
vc_sparse_stored_size(uint32 dim, uint32 n)
{
	return sizeof(uint32) + element_size(dim) * n;
}

uint32
vc_sparse_stored_capacity(uint32 dim, Size bytes)
{
	return (uint32) ((bytes - sizeof(uint32)) / element_size(dim));
}

void *
vc_sparse_store(const VcSparsevec *v)
{
	char  *stored = palloc(vc_sparse_stored_size(v->dim, v->nnz));
	float *values = (float *) (stored + sizeof(uint32));

	*(uint32 *) stored = v->nnz;
	memcpy(values, VC_SPARSEVEC_VALUES(v), sizeof(float) * v->nnz);
	if (is_narrow(v->dim))
	{
		uint16 *indices = (uint16 *) (values + v->nnz);

		for (int32 i = 0; i < v->nnz; i++)
			indices[i] = (uint16) v->indices[i];
	}
	else
		memcpy(values + v->nnz, v->indices, sizeof(int32) * v->nnz);
	return stored;
}

static inline VcSparse
wide(const void *stored)
{
	uint32		 n = vc_sparse_stored_count(stored);
	const float *values = (const float *) ((const char *) stored + sizeof(uint32));

	return (VcSparse){(int32) n, (const int32 *) (values + n), values};
}

static inline VcSparse16
narrow(const void *stored)
{
	uint32		 n = vc_sparse_stored_count(stored);
	const float *values = (const float *) ((const char *) stored + sizeof(uint32));

	return (VcSparse16){(int32) n, (const uint16 *) (values + n), values};
}

#define STORED_SUM(name)                                                                                               \
	float vc_sparse_stored_##name(const void *a, const void *b, uint32 dim)                                            \
	{                                                                                                                  \
		return (float) (is_narrow(dim) ? vc_sparse16_##name(narrow(a), narrow(b)) : vc_sparse_##name(wide(a), wide(b)));   \
	}

STORED_SUM(ip)
STORED_SUM(l2sq)
STORED_SUM(l1)

double
vc_sparse_stored_norm2(const void *a, uint32 dim)
{
	return is_narrow(dim) ? vc_sparse16_norm2(narrow(a)) : vc_sparse_norm2(wide(a));
}
