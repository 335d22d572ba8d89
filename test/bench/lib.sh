# shellcheck shell=bash
# lib.sh: what the benchmark's scripts share: folders, the data sets, building the two C programs. Sourced, never run.
#
# BENCH_DATA holds the data sets, by default build/bench-data; BENCH_OUT programs and results, by default build/bench.

# shellcheck source=../../tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

BENCH_SRC=$VC_ROOT/test/bench
BENCH_DATA=${BENCH_DATA:-$VC_ROOT/build/bench-data}
BENCH_OUT=${BENCH_OUT:-$VC_ROOT/build/bench}

# Sets SET_DIM, SET_ROWS, SET_METRIC (as vcdata names it), SET_OPERATOR, SET_OPCLASS (without its vector_ or halfvec_)
# and SET_LISTS (for an index that wants to be told) of a data set.
describe_set()
{
	case $1 in
		fm) SET_DIM=784 SET_ROWS=60000 SET_METRIC=l2 SET_LISTS=245 ;;
		wink) SET_DIM=100 SET_ROWS=340479 SET_METRIC=cosine SET_LISTS=1000 ;;
		c128) SET_DIM=128 SET_ROWS=1000000 SET_METRIC=l2 SET_LISTS=1000 ;;
		c768) SET_DIM=768 SET_ROWS=200000 SET_METRIC=l2 SET_LISTS=450 ;;
		*) die "unknown data set $1: fm, wink, c128 or c768" ;;
	esac
	case $SET_METRIC in
		l2) SET_OPERATOR='<->' SET_OPCLASS=l2_ops ;;
		cosine) SET_OPERATOR='<=>' SET_OPCLASS=cosine_ops ;;
	esac
	export SET_DIM SET_ROWS SET_METRIC SET_OPERATOR SET_OPCLASS SET_LISTS
}

# Compiles what is older than its sources: vcdata, and vcbench unless only the data is wanted.
build_programs()
{
	local program sources
	local flags=(-std=gnu11 -O3 -Wall -Wextra -Wno-sign-compare -pthread)

	mkdir -p "$BENCH_OUT"
	for program in "$@"; do
		case $program in
			vcdata) sources=("$BENCH_SRC"/vcdata.c) libraries=(-lm) ;;
			vcbench) sources=("$BENCH_SRC"/vcbench*.c)
				libraries=(-I"$("$PG_CONFIG" --includedir)" -L"$("$PG_CONFIG" --libdir)" -lpq -lm) ;;
		esac
		sources+=("$BENCH_SRC/bench.c")
		if [ -x "$BENCH_OUT/$program" ] && [ -z "$(find "$BENCH_SRC" -name '*.[ch]' -newer "$BENCH_OUT/$program")" ]; then
			continue
		fi
		"${CC:-cc}" "${flags[@]}" "${sources[@]}" -o "$BENCH_OUT/$program" "${libraries[@]}"
	done
}
