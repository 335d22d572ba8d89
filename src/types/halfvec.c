/*
 * halfvec.c
 *		Type halfvec: IEEE binary16 elements. What it does is in dense_impl.h, which it shares with vector.
 */
#include "types/halfvec.h"

#include "kernels/f16.h"
#include "types/half_text.h"

VcHalfvec *
vc_halfvec_new(int dim)
{
	Size size = VC_HALFVEC_SIZE(dim);
	VcHalfvec *v = palloc0(size);

	Assert(dim >= 1 && dim <= VC_MAX_DIM);
	SET_VARSIZE(v, size);
	v->dim = dim;
	return v;
}

#define VC_TYPE VcHalfvec
#define VC_TYPE_NAME "halfvec"
#define VC_FUNCTION(f) vc_halfvec_##f
#define VC_NEW(dim) vc_halfvec_new(dim)
#define VC_ELEMENT uint16
#define VC_SUFFIX f16
#define VC_LOAD(e) vc_f16_to_f32(e)
#define VC_STORE(f) vc_f32_to_f16(f)
#define VC_WIRE_BITS 16
#define VC_READ_LIST vc_decimal_list_f16
#define VC_WRITE(e, p) vc_half_to_text(e, p)
#define VC_WRITE_MAX VC_HALF_TEXT_LEN
#include "types/dense_impl.h"
