/*
 * distance_impl.h
 *		The float and half kernels, written once over the vector operations of a lanes_*.h and compiled by each isa_*.c.
 *
 * One loop, reduce(), serves every distance and every pair of element types: it takes how to load either side and how to
 * add one pair of vectors to a sum as constant function arguments, which the compiler resolves when it inlines them. What is
 * left in each kernel is the straight loop one would write by hand.
 */

/* How to read an array of one element type as floats. */
typedef struct VfSource
{
	VF (*load)(const void *base, size_t i);
	VF (*load_part)(const void *base, size_t i, size_t count);
} VfSource;

/* Adds the contribution of one vector from either side to a running sum. */
typedef VF (*VfStep)(VF sum, VF a, VF b);

static const VfSource source_f32 = {vf_load_f32, vf_load_part_f32};
static const VfSource source_f16 = {vf_load_f16, vf_load_part_f16};

VC_INLINE VF
step_l2sq(VF sum, VF a, VF b)
{
	VF diff = vf_sub(a, b);

	return vf_fma(diff, diff, sum);
}

VC_INLINE VF
step_ip(VF sum, VF a, VF b)
{
	return vf_fma(a, b, sum);
}

VC_INLINE VF
step_l1(VF sum, VF a, VF b)
{
	return vf_add(sum, vf_abs(vf_sub(a, b)));
}

/* Sums in a tree, which both shortens the chain and keeps the rounding error of equal lanes alike. */
VC_INLINE float
sum_all(const VF sums[VF_UNROLL])
{
	VF total[VF_UNROLL];

#pragma GCC unroll 16
	for (int k = 0; k < VF_UNROLL; k++)
		total[k] = sums[k];
#pragma GCC unroll 16
	for (int width = VF_UNROLL / 2; width > 0; width /= 2)
#pragma GCC unroll 16
		for (int k = 0; k < width; k++)
			total[k] = vf_add(total[k], total[k + width]);
	return vf_sum(total[0]);
}

VC_INLINE float
reduce(const void *a, const VfSource from_a, const void *b, const VfSource from_b, size_t n, VfStep step)
{
	VF sums[VF_UNROLL];
	size_t i = 0;

#pragma GCC unroll 16
	for (int k = 0; k < VF_UNROLL; k++)
		sums[k] = vf_zero();

	for (; n - i >= VF_UNROLL * VF_LANES; i += VF_UNROLL * VF_LANES)
	{
#pragma GCC unroll 16
		for (int k = 0; k < VF_UNROLL; k++)
			sums[k] = step(sums[k], from_a.load(a, i + k * VF_LANES), from_b.load(b, i + k * VF_LANES));
	}
	for (; n - i >= VF_LANES; i += VF_LANES)
		sums[0] = step(sums[0], from_a.load(a, i), from_b.load(b, i));
	if (i < n)
		sums[1] = step(sums[1], from_a.load_part(a, i, n - i), from_b.load_part(b, i, n - i));

	return sum_all(sums);
}

/* The three sums of a cosine in one pass; as reduce(), with three chains each. */
VC_INLINE VcDots
reduce_dots(const void *a, const VfSource from_a, const void *b, const VfSource from_b, size_t n)
{
	VF ab[VF_UNROLL];
	VF aa[VF_UNROLL];
	VF bb[VF_UNROLL];
	VcDots dots;
	size_t i = 0;

#pragma GCC unroll 16
	for (int k = 0; k < VF_UNROLL; k++)
		ab[k] = aa[k] = bb[k] = vf_zero();

	for (; n - i >= VF_UNROLL * VF_LANES; i += VF_UNROLL * VF_LANES)
	{
#pragma GCC unroll 16
		for (int k = 0; k < VF_UNROLL; k++)
		{
			VF x = from_a.load(a, i + k * VF_LANES);
			VF y = from_b.load(b, i + k * VF_LANES);

			ab[k] = vf_fma(x, y, ab[k]);
			aa[k] = vf_fma(x, x, aa[k]);
			bb[k] = vf_fma(y, y, bb[k]);
		}
	}
	while (i < n)
	{
		size_t left = n - i;
		VF x = left >= VF_LANES ? from_a.load(a, i) : from_a.load_part(a, i, left);
		VF y = left >= VF_LANES ? from_b.load(b, i) : from_b.load_part(b, i, left);

		ab[0] = vf_fma(x, y, ab[0]);
		aa[0] = vf_fma(x, x, aa[0]);
		bb[0] = vf_fma(y, y, bb[0]);
		i += left >= VF_LANES ? VF_LANES : left;
	}

	dots.ab = sum_all(ab);
	dots.aa = sum_all(aa);
	dots.bb = sum_all(bb);
	return dots;
}

/* The four kernels of one pair of element types. */
#define DEFINE_PAIR(type, A, from_a, B, from_b) \
	static float VC_KERNEL(l2sq_##type)(const A *a, const B *b, size_t n) \
	{ \
		return reduce(a, from_a, b, from_b, n, step_l2sq); \
	} \
	static float VC_KERNEL(ip_##type)(const A *a, const B *b, size_t n) \
	{ \
		return reduce(a, from_a, b, from_b, n, step_ip); \
	} \
	static float VC_KERNEL(l1_##type)(const A *a, const B *b, size_t n) \
	{ \
		return reduce(a, from_a, b, from_b, n, step_l1); \
	} \
	static VcDots VC_KERNEL(dots_##type)(const A *a, const B *b, size_t n) \
	{ \
		return reduce_dots(a, from_a, b, from_b, n); \
	}

DEFINE_PAIR(f32, float, source_f32, float, source_f32)
DEFINE_PAIR(f16, uint16_t, source_f16, uint16_t, source_f16)
DEFINE_PAIR(f16f32, uint16_t, source_f16, float, source_f32)

#undef DEFINE_PAIR

/* Both sides are the same address, so the compiler loads each vector once. */
static float
VC_KERNEL(norm2_f32)(const float *a, size_t n)
{
	return reduce(a, source_f32, a, source_f32, n, step_ip);
}

static float
VC_KERNEL(norm2_f16)(const uint16_t *a, size_t n)
{
	return reduce(a, source_f16, a, source_f16, n, step_ip);
}

static void
VC_KERNEL(f16_to_f32)(const uint16_t *src, float *dst, size_t n)
{
	size_t i = 0;

	for (; n - i >= VF_LANES; i += VF_LANES)
		vf_store_f32(dst + i, vf_load_f16(src, i));
	if (i < n)
		vf_store_part_f32(dst + i, vf_load_part_f16(src, i, n - i), n - i);
}

static void
VC_KERNEL(f32_to_f16)(const float *src, uint16_t *dst, size_t n)
{
	size_t i = 0;

	for (; n - i >= VF_LANES; i += VF_LANES)
		vf_store_f16(dst + i, vf_load_f32(src, i));
	if (i < n)
		vf_store_part_f16(dst + i, vf_load_part_f32(src, i, n - i), n - i);
}
