/*
 * bits_impl.h
 *		Bit string kernels, written once over the byte vectors of a lanes_*.h and compiled by each isa_*.c.
 */

static uint64_t
VC_KERNEL(hamming)(const uint8_t *a, const uint8_t *b, size_t n)
{
	VB count0 = vb_zero();
	VB count1 = vb_zero();
	size_t i = 0;

	for (; n - i >= 2 * VB_BYTES; i += 2 * VB_BYTES)
	{
		count0 = vb_add64(count0, vb_count(vb_xor(vb_load(a + i), vb_load(b + i))));
		count1 = vb_add64(count1, vb_count(vb_xor(vb_load(a + i + VB_BYTES), vb_load(b + i + VB_BYTES))));
	}
	if (n - i >= VB_BYTES)
	{
		count0 = vb_add64(count0, vb_count(vb_xor(vb_load(a + i), vb_load(b + i))));
		i += VB_BYTES;
	}
	if (i < n)
		count1 = vb_add64(count1, vb_count(vb_xor(vb_load_part(a + i, n - i), vb_load_part(b + i, n - i))));
	return vb_sum64(vb_add64(count0, count1));
}

static void
VC_KERNEL(and_or_popcount)(const uint8_t *a, const uint8_t *b, size_t n, uint64_t *common, uint64_t *either)
{
	VB count_and = vb_zero();
	VB count_or = vb_zero();
	size_t i = 0;

	for (; n - i >= VB_BYTES; i += VB_BYTES)
	{
		VB x = vb_load(a + i);
		VB y = vb_load(b + i);

		count_and = vb_add64(count_and, vb_count(vb_and(x, y)));
		count_or = vb_add64(count_or, vb_count(vb_or(x, y)));
	}
	if (i < n)
	{
		VB x = vb_load_part(a + i, n - i);
		VB y = vb_load_part(b + i, n - i);

		count_and = vb_add64(count_and, vb_count(vb_and(x, y)));
		count_or = vb_add64(count_or, vb_count(vb_or(x, y)));
	}
	*common = vb_sum64(count_and);
	*either = vb_sum64(count_or);
}
