-- Instruction set of the distance kernels (setting vectorcoll.simd).

CREATE FUNCTION vectorcoll.simd_level() RETURNS text
	AS 'MODULE_PATHNAME', 'vc_simd_level' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vectorcoll.simd_level() IS
	'instruction set the distance kernels use in this session: scalar, sse2 or neon, avx2, avx512';
