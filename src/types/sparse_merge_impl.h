/*
 * sparse_merge_impl.h
 *		The sums of sparse_merge.h for one width of indices. The includer defines VC_SPARSE, the list, and VC_SPARSE_FUNCTION(name).
 */

/* The first position from `from` on whose index is not below `target`, by doubling steps and bisection. */
static int32_t
VC_SPARSE_FUNCTION(seek)(const VC_SPARSE *list, int32_t from, int32_t target)
{
	int32_t step = 1;
	int32_t low = from;
	int32_t high = from;

	while (high < list->n && list->index[high] < target)
	{
		low = high + 1;
		high = step < list->n - high ? high + step : list->n;
		step *= 2;
	}
	while (low < high)
	{
		int32_t middle = low + (high - low) / 2;

		if (list->index[middle] < target)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static double
VC_SPARSE_FUNCTION(ip_by_search)(const VC_SPARSE *few, const VC_SPARSE *many)
{
	double sum = 0;
	int32_t j = 0;

	for (int32_t i = 0; i < few->n; i++)
	{
		j = VC_SPARSE_FUNCTION(seek)(many, j, few->index[i]);
		if (j == many->n)
			break;
		if (many->index[j] == few->index[i])
			sum += (double) few->value[i] * many->value[j];
	}
	return sum;
}

double
VC_SPARSE_FUNCTION(ip)(VC_SPARSE a, VC_SPARSE b)
{
	double sum = 0;
	int32_t i = 0;
	int32_t j = 0;

	if (a.n < b.n / SEARCH_RATIO)
		return VC_SPARSE_FUNCTION(ip_by_search)(&a, &b);
	if (b.n < a.n / SEARCH_RATIO)
		return VC_SPARSE_FUNCTION(ip_by_search)(&b, &a);

	while (i < a.n && j < b.n)
	{
		int32_t x = a.index[i];
		int32_t y = b.index[j];

		/* Matches are rare enough, or common enough, to be predicted. */
		if (x == y)
			sum += (double) a.value[i] * b.value[j];
		i += x <= y;
		j += y <= x;
	}
	return sum;
}

double
VC_SPARSE_FUNCTION(l2sq)(VC_SPARSE a, VC_SPARSE b)
{
	double sum = 0;
	int32_t i = 0;
	int32_t j = 0;

	while (i < a.n && j < b.n)
	{
		int32_t x = a.index[i];
		int32_t y = b.index[j];
		double diff = (x <= y ? (double) a.value[i] : 0) - (y <= x ? (double) b.value[j] : 0);

		sum += diff * diff;
		i += x <= y;
		j += y <= x;
	}
	for (; i < a.n; i++)
		sum += (double) a.value[i] * a.value[i];
	for (; j < b.n; j++)
		sum += (double) b.value[j] * b.value[j];
	return sum;
}

double
VC_SPARSE_FUNCTION(l1)(VC_SPARSE a, VC_SPARSE b)
{
	double sum = 0;
	int32_t i = 0;
	int32_t j = 0;

	while (i < a.n && j < b.n)
	{
		int32_t x = a.index[i];
		int32_t y = b.index[j];

		sum += fabs((x <= y ? (double) a.value[i] : 0) - (y <= x ? (double) b.value[j] : 0));
		i += x <= y;
		j += y <= x;
	}
	for (; i < a.n; i++)
		sum += fabs((double) a.value[i]);
	for (; j < b.n; j++)
		sum += fabs((double) b.value[j]);
	return sum;
}

double
VC_SPARSE_FUNCTION(norm2)(VC_SPARSE a)
{
	double sum = 0;

	for (int32_t i = 0; i < a.n; i++)
		sum += (double) a.value[i] * a.value[i];
	return sum;
}
