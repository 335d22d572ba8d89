/*
 * filter_text.c
 *		Full text in filters, over PostgreSQL's own text search.
 *
 * Texts are split by configuration "simple": words in lower case, no stemming and no stop words, which is what the
 * standard analyser of vector databases does. A GIN index on to_tsvector('pg_catalog.simple', field) serves all of it.
 */
#include "filter_compile.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "tsearch/ts_utils.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* The words of a text as a tsquery; op says how they are joined. */
static Datum
words_query(VcFilterContext *c, const VcFilterNode *words, VcFilterOp op)
{
	List *name = list_make2(makeString("pg_catalog"), makeString("simple"));
	Datum config = ObjectIdGetDatum(get_ts_config_oid(name, false));
	Datum text = PointerGetDatum(cstring_to_text_with_len(words->text, words->length));
	TSQuery query;
	QueryItem *item;

	if (op == VCF_TEXT_PHRASE)
		return DirectFunctionCall2(phraseto_tsquery_byid, config, text);
	query = DatumGetTSQuery(DirectFunctionCall2(plainto_tsquery_byid, config, text));
	item = GETQUERY(query);
	for (int i = 0; op == VCF_TEXT_ANY && i < query->size; i++)
		if (item[i].type == QI_OPR && item[i].qoperator.oper == OP_AND)
			item[i].qoperator.oper = OP_OR;
	return TSQueryGetDatum(query);
}

char *
vc_filter_text(VcFilterContext *c, const char *text_sql, const VcFilterNode *words, VcFilterOp op, int minimum,
			   int slop)
{
	char *vector = psprintf("pg_catalog.to_tsvector('pg_catalog.simple'::pg_catalog.regconfig, %s)", text_sql);
	int query;

	words = vc_filter_resolve(c, words);
	if (words->kind != VCF_STRING)
		vc_filter_error(c, words, "Text is matched with a string of words.", "expected a string");
	if (op == VCF_TEXT_PHRASE && slop > 0)
	{
		query = vc_statement_param(c->st, TSQUERYOID, words_query(c, words, VCF_TEXT_ALL));
		return psprintf("(%s OPERATOR(pg_catalog.@@) $%d AND vectorcoll._phrase_within(%s, $%d, %d))", vector, query,
						vector, query, slop);
	}
	query = vc_statement_param(c->st, TSQUERYOID, words_query(c, words, op));
	if (minimum > 1)
		return psprintf(
			"(%s OPERATOR(pg_catalog.@@) $%d AND vectorcoll._matched_words(%s, $%d) OPERATOR(pg_catalog.>=) %d)",
			vector, query, vector, query, minimum);
	return psprintf("(%s OPERATOR(pg_catalog.@@) $%d)", vector, query);
}

/* ---- what tsquery itself cannot say ---- */

/* The entry of a word in a tsvector, or NULL. */
static const WordEntry *
find_word(TSVector vector, const char *word, int length)
{
	const WordEntry *entries = ARRPTR(vector);
	int low = 0;
	int high = vector->size;

	while (low < high)
	{
		int middle = low + (high - low) / 2;
		int order =
			tsCompareString((char *)word, length, STRPTR(vector) + entries[middle].pos, entries[middle].len, false);

		if (order == 0)
			return &entries[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* The query's operands in the order of the text they come from, which is the order their words are stored in. */
static int
compare_operands(const void *a, const void *b)
{
	const QueryOperand *left = *(const QueryOperand *const *)a;
	const QueryOperand *right = *(const QueryOperand *const *)b;

	return left->distance < right->distance ? -1 : left->distance > right->distance;
}

static int
query_operands(TSQuery query, QueryOperand ***operands)
{
	QueryItem *items = GETQUERY(query);
	int n = 0;

	*operands = palloc(sizeof(QueryOperand *) * (query->size + 1));
	for (int i = 0; i < query->size; i++)
		if (items[i].type == QI_VAL)
			(*operands)[n++] = &items[i].qoperand;
	qsort(*operands, n, sizeof(QueryOperand *), compare_operands);
	return n;
}

/* _matched_words(tsvector, tsquery) -> int: how many of the query's words are in the text. */
PG_FUNCTION_INFO_V1(vc_matched_words);
Datum
vc_matched_words(PG_FUNCTION_ARGS)
{
	TSVector vector = PG_GETARG_TSVECTOR(0);
	TSQuery query = PG_GETARG_TSQUERY(1);
	QueryOperand **operands;
	int n = query_operands(query, &operands);
	int matched = 0;

	for (int i = 0; i < n; i++)
		if (find_word(vector, GETOPERAND(query) + operands[i]->distance, operands[i]->length))
			matched++;
	PG_RETURN_INT32(matched);
}

/*
 * _phrase_within(tsvector, tsquery, slop int) -> bool: the words follow one another in this order with at most `slop`
 * other words between them in all. From each place of the first word, taking the nearest place of each next one gives
 * the shortest stretch.
 */
PG_FUNCTION_INFO_V1(vc_phrase_within);
Datum
vc_phrase_within(PG_FUNCTION_ARGS)
{
	TSVector vector = PG_GETARG_TSVECTOR(0);
	TSQuery query = PG_GETARG_TSQUERY(1);
	int slop = PG_GETARG_INT32(2);
	QueryOperand **operands;
	int n = query_operands(query, &operands);
	const WordEntry **words = palloc(sizeof(WordEntry *) * (n + 1));

	if (n == 0)
		PG_RETURN_BOOL(false);
	for (int i = 0; i < n; i++)
	{
		words[i] = find_word(vector, GETOPERAND(query) + operands[i]->distance, operands[i]->length);
		if (words[i] == NULL || !words[i]->haspos)
			PG_RETURN_BOOL(false);
	}
	for (int start = 0; start < POSDATALEN(vector, words[0]); start++)
	{
		int first = WEP_GETPOS(POSDATAPTR(vector, words[0])[start]);
		int last = first;
		int i = 1;

		for (; i < n; i++)
		{
			int k = 0;

			while (k < POSDATALEN(vector, words[i]) && WEP_GETPOS(POSDATAPTR(vector, words[i])[k]) <= last)
				k++;
			if (k == POSDATALEN(vector, words[i]))
				break;
			last = WEP_GETPOS(POSDATAPTR(vector, words[i])[k]);
		}
		if (i == n && last - first - (n - 1) <= slop)
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}
