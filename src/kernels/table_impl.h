/*
 * table_impl.h
 *		The kernels of one instruction set, gathered. Included last by each isa_*.c. Members are named, so a kernel left out
 *		would be a null pointer: the unit test looks for those.
 */
const VcKernels VC_KERNEL(vc_kernels) = {
	.name = VC_ISA_LABEL,

	.l2sq_f32 = VC_KERNEL(l2sq_f32),
	.ip_f32 = VC_KERNEL(ip_f32),
	.l1_f32 = VC_KERNEL(l1_f32),
	.dots_f32 = VC_KERNEL(dots_f32),
	.norm2_f32 = VC_KERNEL(norm2_f32),

	.l2sq_f16 = VC_KERNEL(l2sq_f16),
	.ip_f16 = VC_KERNEL(ip_f16),
	.l1_f16 = VC_KERNEL(l1_f16),
	.dots_f16 = VC_KERNEL(dots_f16),
	.norm2_f16 = VC_KERNEL(norm2_f16),

	.l2sq_f16f32 = VC_KERNEL(l2sq_f16f32),
	.ip_f16f32 = VC_KERNEL(ip_f16f32),
	.l1_f16f32 = VC_KERNEL(l1_f16f32),
	.dots_f16f32 = VC_KERNEL(dots_f16f32),

	.f16_to_f32 = VC_KERNEL(f16_to_f32),
	.f32_to_f16 = VC_KERNEL(f32_to_f16),

	.hamming = VC_KERNEL(hamming),
	.and_or_popcount = VC_KERNEL(and_or_popcount),

	.quant = &VC_KERNEL(vc_quant_kernels),
};
