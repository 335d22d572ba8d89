/*
 * filter.c
 *		libFuzzer target for both filter parsers. Whatever the bytes, the parser gives a tree within its limits or an
 *error that lies within the input.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc test/fuzz/filter.c src/collection/filter_lex.c \
 *         src/collection/filter_parse.c src/collection/filter_qdrant.c -o build/fuzz-filter && build/fuzz-filter
 *-dict=test/fuzz/filter.dict -max_total_time=60
 */
#include "collection/filter.h"

#include <stdlib.h>

typedef struct Block
{
	struct Block *next;
} Block;

static Block *blocks = NULL;

static void *
block_alloc(void *context, size_t bytes)
{
	Block *block = malloc(sizeof(Block) + bytes);

	(void)context;
	if (block == NULL)
		abort();
	block->next = blocks;
	blocks = block;
	return block + 1;
}

/* The tree's depth, recounted; every node must say its own rightly or compiling it could overflow the stack. */
static int
depth_of(const VcFilterNode *node)
{
	int deepest = 0;

	for (int i = 0; i < node->nargs; i++)
	{
		int depth = depth_of(node->args[i]);

		if (depth > deepest)
			deepest = depth;
	}
	if (node->depth < deepest + 1 || node->depth > VC_FILTER_MAX_DEPTH + 1)
		abort();
	return deepest + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VcFilterArena arena = {block_alloc, NULL};
	VcFilterNode *(*const parsers[])(VcFilterArena *, const char *, size_t, VcFilterError *) = {
		vc_filter_parse, vc_filter_parse_expression, vc_filter_parse_qdrant};

	for (int i = 0; i < 3; i++)
	{
		VcFilterError error = {0};
		/* A copy of exact size, so that a byte read too many is seen. */
		char *copy = malloc(size + (size == 0));
		VcFilterNode *node;

		for (size_t k = 0; k < size; k++)
			copy[k] = (char)data[k];
		node = parsers[i](&arena, copy, size, &error);
		if (node)
			depth_of(node);
		else if (error.message[0] == '\0' || error.position > size)
			abort();
		free(copy);
		while (blocks)
		{
			Block *next = blocks->next;

			free(blocks);
			blocks = next;
		}
	}
	return 0;
}
