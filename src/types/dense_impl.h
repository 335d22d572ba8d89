/*
 * dense_impl.h
 *		The functions of a vector type with one element after the other, in terms of that element. vector.c and halfvec.c
 *		each include it once, which gives the two types the same behaviour without the same text twice.
 *
 * Before including, define:
 *	VC_TYPE			 the C type, with dim, unused and x[]			VC_TYPE_NAME	"vector"
 *	VC_FUNCTION(f)	 the C name of SQL-callable function f			VC_NEW(dim)		makes a zeroed value
 *	VC_ELEMENT		 the C type of an element						VC_SUFFIX		the kernels' name for it
 *	VC_LOAD(e)		 an element as float							VC_STORE(f)		a float as element, may overflow to infinity
 *	VC_WIRE_BITS	 bits of an element on the wire, 16 or 32
 *	VC_READ_LIST	 the decimal list reader
 *	VC_WRITE(e, p)	 writes an element's text, returns the length	VC_WRITE_MAX	the most it writes
 */
#include "types/check.h"
#include "types/detoast.h"
#include "types/distance.h"
#include "types/literal.h"

#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "utils/float.h"
#include "utils/varbit.h"

#include "types/dense_io_impl.h"
#include "types/dense_distance_impl.h"
#include "types/dense_ops_impl.h"
