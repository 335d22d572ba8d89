/*
 * vector.c
 *		Type vector: float elements. What it does is in dense_impl.h, which it shares with halfvec.
 */
#include "types/vector.h"

#include "common/shortest_dec.h"

VcVector *
vc_vector_new(int dim)
{
	Size size = VC_VECTOR_SIZE(dim);
	VcVector *v = palloc0(size);

	Assert(dim >= 1 && dim <= VC_MAX_DIM);
	SET_VARSIZE(v, size);
	v->dim = dim;
	return v;
}

#define VC_TYPE VcVector
#define VC_TYPE_NAME "vector"
#define VC_FUNCTION(f) vc_vector_##f
#define VC_NEW(dim) vc_vector_new(dim)
#define VC_ELEMENT float
#define VC_SUFFIX f32
#define VC_LOAD(e) (e)
#define VC_STORE(f) (f)
#define VC_WIRE_BITS 32
#define VC_READ_LIST vc_decimal_list_f32
#define VC_WRITE(e, p) float_to_shortest_decimal_bufn(e, p)
#define VC_WRITE_MAX FLOAT_SHORTEST_DECIMAL_LEN
#include "types/dense_impl.h"
