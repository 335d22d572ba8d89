/*
 * half_text.h
 *		The shortest decimal text of a finite binary16 value that reads back as the same value, in the notation the server
 *		uses for float4: fixed from 0.0001 on, exponents below. Pure C.
 */
#ifndef VC_HALF_TEXT_H
#define VC_HALF_TEXT_H

#include <stdint.h>

/* "-0.00012345", "-6.1035e-05": room for the longest. */
#define VC_HALF_TEXT_LEN 12

/* Writes at most VC_HALF_TEXT_LEN bytes, no terminating zero; returns how many. `half` must be finite. */
extern int vc_half_to_text(uint16_t half, char *text);

#endif /* VC_HALF_TEXT_H */
