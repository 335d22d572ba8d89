# shellcheck shell=bash
# lib.sh: what the benchmark's scripts share: folders, the data sets, building the two C programs. Sourced, never run.
#
# BENCH_DATA holds the data sets, by default build/bench-data; BENCH_OUT programs and results, by default build/bench.

# shellcheck source=../../tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

BENCH_SRC=$VC_ROOT/test/bench
BENCH_DATA=${BENCH_DATA:-$VC_ROOT/build/bench-data}
BENCH_OUT=${BENCH_OUT:-$VC_ROOT/build/bench}

# The generated sets of a full run: one for each of four usual dimensions, then growth with rows and with dimensions.
export GENERATED='c100x20k c384x20k c768x20k c1536x20k c128x1000k@100k c128x1000k c768x200k'

# Describes a data set: SET_DIM, SET_ROWS, SET_METRIC (as vcdata names it), SET_OPERATOR, SET_OPCLASS (without its
# vector_ or halfvec_) and SET_LISTS (for an index that wants to be told).
describe_set()
{
	local thousands

	SET_OPERATOR='<->' SET_OPCLASS=l2_ops SET_METRIC=l2
	if [[ $1 =~ ^(.+)@([1-9][0-9]*)k$ ]]; then
		thousands=${BASH_REMATCH[2]}
		describe_set "${BASH_REMATCH[1]}"
		SET_ROWS=$((thousands * 1000)) SET_LISTS=$((thousands + 10))
	elif [[ $1 =~ ^c([1-9][0-9]*)x([1-9][0-9]*)k$ ]]; then
		SET_DIM=${BASH_REMATCH[1]} SET_ROWS=$((BASH_REMATCH[2] * 1000)) SET_LISTS=$((BASH_REMATCH[2] + 10))
	elif [ "$1" = fm ]; then
		SET_DIM=784 SET_ROWS=60000 SET_LISTS=245
	elif [ "$1" = wink ]; then
		SET_DIM=100 SET_ROWS=340479 SET_LISTS=1000 SET_METRIC=cosine SET_OPERATOR='<=>' SET_OPCLASS=cosine_ops
	else
		die "unknown data set $1: fm, wink, c<dimensions>x<thousands of rows>k, or one of these with @<thousands of rows>k"
	fi
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
