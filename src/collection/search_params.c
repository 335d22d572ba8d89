/*
 * search_params.c
 *		search_params: Milvus's and Qdrant's names for how to search, checked one by one. See search.h.
 *
 * Settings are changed for the one statement only, at a nesting level of the server's own that an error unwinds too.
 */
#include "search.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/numeric.h"

static const char known[] =
	"Known are metric_type, ef, nprobe, radius, range_filter, exact, hints, round_decimal, params with any of them "
	"inside, and settings by name such as vc_hnsw.max_scan_tuples.";

static void
bad_value(const char *key, const char *expected)
{
	ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("invalid value for search parameter \"%s\"", key),
					errdetail("It must be %s.", expected), errhint("%s", known)));
}

static double
number_of(const char *key, JsonbValue *value)
{
	if (value->type != jbvNumeric)
		bad_value(key, "a number");
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
}

static int
integer_of(const char *key, JsonbValue *value, int min, int max)
{
	double d = number_of(key, value);

	if (d != floor(d) || d < min || d > max)
		bad_value(key, psprintf("an integer from %d to %d", min, max));
	return (int)d;
}

static void
add_setting(VcSearch *search, const char *name, char *value)
{
	VcSearchSetting *setting = &search->settings[search->nsettings];

	if (search->nsettings == VC_SEARCH_MAX_SETTINGS)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("search_params has too many settings"),
						errdetail("At most %d.", VC_SEARCH_MAX_SETTINGS), errhint("Use SET for the others.")));
	strlcpy(setting->name, name, sizeof(setting->name));
	strlcpy(setting->value, value, sizeof(setting->value));
	search->nsettings++;
}

/* A setting of an index access method under its full name. */
static void
named_setting(VcSearch *search, const char *key, JsonbValue *value)
{
	char *text;

	if (value->type == jbvNumeric)
		text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	else if (value->type == jbvBool)
		text = value->val.boolean ? "on" : "off";
	else if (value->type == jbvString)
		text = pnstrdup(value->val.string.val, value->val.string.len);
	else
		bad_value(key, "a number, a string or a boolean");
	if (strlen(key) >= NAMEDATALEN || strlen(text) >= sizeof(search->settings[0].value))
		bad_value(key, "shorter");
	add_setting(search, key, text);
}

static void
metric_type(VcSearch *search, JsonbValue *value)
{
	VcMetric metric;

	if (value->type != jbvString)
		bad_value("metric_type", "a string");
	metric = vc_metric_from_name(pnstrdup(value->val.string.val, value->val.string.len));
	if (metric != search->metric)
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER),
						errmsg("metric_type \"%.*s\" does not match field \"%s\"", value->val.string.len,
							   value->val.string.val, NameStr(search->field->name)),
						errdetail("The field's metric is %s.", vc_metric_name(search->metric)),
						errhint("Leave metric_type out, or create the index with the metric you want.")));
}

static void
one_param(VcSearch *search, const char *key, JsonbValue *value)
{
	if (value->type == jbvNull)
		return;
	if (strcmp(key, "metric_type") == 0)
		metric_type(search, value);
	else if (strcmp(key, "ef") == 0 || strcmp(key, "hnsw_ef") == 0)
		add_setting(search, "vc_hnsw.ef_search", psprintf("%d", integer_of(key, value, 1, 1000000)));
	else if (strcmp(key, "nprobe") == 0)
		add_setting(search, "vc_ivf.probes", psprintf("%d", integer_of(key, value, 1, 1000000)));
	else if (strcmp(key, "radius") == 0)
	{
		search->radius = number_of(key, value);
		search->has_radius = true;
	}
	else if (strcmp(key, "range_filter") == 0)
	{
		search->range_filter = number_of(key, value);
		search->has_range_filter = true;
	}
	else if (strcmp(key, "exact") == 0)
	{
		if (value->type != jbvBool)
			bad_value(key, "true or false");
		search->exact = value->val.boolean;
	}
	else if (strcmp(key, "hints") == 0)
	{
		/* What Milvus's only hint asks for is how filtered searches work here anyway. */
		if (value->type != jbvString || value->val.string.len != 16 ||
			memcmp(value->val.string.val, "iterative_filter", 16) != 0)
			bad_value(key, "\"iterative_filter\"");
	}
	else if (strcmp(key, "round_decimal") == 0)
		search->round_decimal = integer_of(key, value, -1, 6);
	else if (strncmp(key, "vc_hnsw.", 8) == 0 || strncmp(key, "vc_ivf.", 7) == 0)
		named_setting(search, key, value);
	else
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("unknown search parameter \"%s\"", key),
						errdetail("search_params has a key that means nothing here."), errhint("%s", known)));
}

static void
read_params(VcSearch *search, JsonbContainer *object, bool inner)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue item;
	char *key = NULL;

	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(item.val.string.val, item.val.string.len);
		else if (token == WJB_VALUE && !inner && strcmp(key, "params") == 0)
		{
			if (item.type != jbvBinary || !JsonContainerIsObject(item.val.binary.data))
				bad_value(key, "an object");
			read_params(search, item.val.binary.data, true);
		}
		else if (token == WJB_VALUE)
			one_param(search, key, &item);
	}
}

void
vc_search_params(VcSearch *search, Jsonb *params)
{
	bool similarity = search->metric == VC_METRIC_IP || search->metric == VC_METRIC_COSINE;

	if (params == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(params))
		ereport(ERROR, (vc_errcode(VC_E_INVALID_PARAMETER), errmsg("search_params is not a JSON object"),
						errdetail("It must hold keys and values."), errhint("%s", known)));
	read_params(search, &params->root, false);
	if (search->has_range_filter && !search->has_radius)
		ereport(ERROR, (vc_errcode(VC_E_MISSING_PARAMETER), errmsg("search parameter \"radius\" is missing"),
						errdetail("range_filter is given without it."),
						errhint("Pass radius, the outer bound of the range.")));
	if (search->has_range_filter &&
		(similarity ? search->radius >= search->range_filter : search->radius <= search->range_filter))
		ereport(ERROR,
				(vc_errcode(VC_E_INVALID_PARAMETER), errmsg("radius and range_filter leave no range"),
				 similarity
					 ? errdetail("For metric %s, radius < score <= range_filter.", vc_metric_name(search->metric))
					 : errdetail("For metric %s, range_filter <= distance < radius.", vc_metric_name(search->metric)),
				 errhint("Exchange the two, or widen the range.")));
}
