# shellcheck shell=bash disable=SC2154,SC2034
# parts.sh: the measurements beyond plain search: clients, filters, batches, builds, writes, little memory. Sourced by
# bench, whose variables and functions it uses; each function here works on the index that parse_index described last.

# One index of each kind is enough where the question is not which options are best.
representative() { case $name in vc_hnsw | vc_ivf | 'pgvector hnsw: 16/64' | 'pgvector ivfflat') true ;; *) false ;; esac; }

ours() { case $name in vc_hnsw | vc_ivf) true ;; *) false ;; esac; }

# The recall at which two indexes are compared, in the parts that use one setting.
main_recall() { case $set in wink*) echo 0.95 ;; *) echo 0.99 ;; esac; }

# values_at_recall [around]: the first value swept that reached the main recall in this run, with "around" after the
# last one below it; nothing where none did.
values_at_recall()
{
	awk -F '\t' -v set="$set" -v name="$name" -v want="$(main_recall)" -v around="${1:-}" '
		{
			split("", r)
			for (i = 1; i <= NF; i++) { at = index($i, ":"); r[substr($i, 1, at - 1)] = substr($i, at + 1) }
		}
		r["kind"] == "search" && r["part"] == "search" && r["set"] == set && r["index"] == name {
			sub(/.*=/, "", r["setting"])
			if (r["recall"] < want) { below = r["setting"] ","; next }
			print (around ? below : "") r["setting"]
			exit
		}' "$results"
}

# Two clients beside one, in turn, at the setting that reaches the main recall.
clients_part()
{
	local values

	values=$(values_at_recall)
	[ -z "$values" ] || step clients measure_clients
}

measure_clients()
{
	local clients

	for clients in 1 2 1 2; do
		sweep clients gt "$table" "$index" '' --clients "$clients" || return
	done
}

# Batches of 100 and 1,000 queries in one call beside single statements, in turn, at the setting that reaches the main recall. Ids
# are joined to the answers, in order, as single statements return them.
batch_part()
{
	local values

	ours || return 0
	values=$(values_at_recall)
	[ -z "$values" ] || step batch measure_batch
}

measure_batch()
{
	local size nearest

	nearest="SELECT t.id FROM vectorcoll.knn_batch('$index', \$1::${type}[], 10) r JOIN $table t ON t.ctid = r.ctid ORDER BY r.query_no, r.rank"
	for size in 100 1000 100 1000; do
		sweep batch1 gt "$table" "$index" '' || return
		measure search "${tags[@]}" "${session[@]}" "${files[@]}" --tag "part:batch$size" --truth "$BENCH_DATA/$set.gt.i32" \
			--sql "$nearest" --batch "$size" --seconds "$seconds" --sweep "$setting=$values" || return
	done
}

# The recall that is found where one is asked for.
recall_part()
{
	local setting values=0.8,0.9,0.95,0.98,0.99,0.995

	case $name in
		vc_hnsw) setting=vc_hnsw.target_recall ;;
		vc_ivf) setting=vc_ivf.target_recall ;;
		*) return 0 ;;
	esac
	step recall sweep recall gt "$table" "$index" ''
}

# Plans that the planner takes beside the fastest ones, on generated tables of their own (plans.sql).
plans_part()
{
	! ours || step plans measure_plans
}

measure_plans()
{
	local rows=1000000

	[ -z "$quick" ] || rows=10000
	PGOPTIONS="-c search_path=$schema,public" psql -X -q -v ON_ERROR_STOP=1 -v method="$am" -v rows="$rows" -v dim=32 \
		-f "$BENCH_SRC/plans.sql" 2>&1 | sed -n 's/^.*INFO:  //p' >> "$results"
}

# WHERE f < n for 10 %, 1 % and 0.1 % of the rows. Ours has f as a second key column; a peer filters what its index
# yields, scanning on until LIMIT is met. Few queries and settings, since a peer may look at much of its index for each.
filter_part()
{
	local limit values=$few_values table=$table index=$index scan_on=()

	representative && [ -n "$values" ] || return 0
	if ours; then
		step filter_build build_filter
		table+=_filter index+=_filter
	else
		scan_on=(--set hnsw.iterative_scan=relaxed_order --set hnsw.max_scan_tuples=1000000 --set hnsw.scan_mem_multiplier=8)
	fi
	for limit in 100 10 1; do
		step "filter_$limit" sweep "filter$limit" "gt-0-$limit" "$table" "$index" "f < $limit" --queries 100 --until 0.97 \
			"${scan_on[@]}"
	done
}

build_filter()
{
	load_table "${table}_filter" 0 all && build_index "${table}_filter" "${index}_filter" "v $opclass, f" filter
}

# How our builds scale with processes, and what they do with little memory.
workers_part()
{
	local how

	ours && ready "$table" || return 0
	for how in max_parallel_maintenance_workers=0 max_parallel_maintenance_workers=1 maintenance_work_mem=64MB; do
		step "workers_$how" build_workers "$how"
	done
}

build_workers()
{
	local tags=("${tags[@]}" --tag "how:$1") status=0

	build_index "$table" "${index}_workers" "v $opclass" workers "$1" || status=$?
	sql "DROP INDEX IF EXISTS ${index}_workers"
	return $status
}

# Half the rows indexed, the others inserted: some by one client, some by eight, some by COPY, the rest by eight; then
# 20 % deleted. The last rows go in before the recall is taken, so all of the other half is inserted.
writes_part()
{
	local table=${table}_w index=${index}_w values half=$((SET_ROWS / 2)) some=$((SET_ROWS / 20))

	representative || return 0
	values=$(values_at_recall)
	[ -n "$values" ] || return 0
	step writes_1_build build_half
	step writes_2_insert insert_rows insert 1 "$half" "$some"
	step writes_3_insert8 insert_rows insert8 8 $((half + some)) "$some"
	step writes_4_copy copy_rows $((half + 2 * some)) "$some"
	step writes_5_insert_rest insert_rows insert_rest 8 $((half + 3 * some)) $((SET_ROWS - half - 3 * some))
	step writes_6_search search_after after_insert gt
	step writes_7_vacuum delete_and_vacuum
	step writes_8_search search_after after_vacuum gt-200-1000
}

build_half()
{
	sql "DROP TABLE IF EXISTS $table"
	load_table "$table" 0 "$half" && build_index "$table" "$index" "v $opclass" half
}

# insert_rows PART CLIENTS FIRST ROWS [VCBENCH OPTION]...
insert_rows()
{
	ready "$index" || return
	measure insert "${tags[@]}" "${session[@]}" --tag "part:$1" --table "public.$table" --base "$BENCH_DATA/$set.base.f32" \
		--clients "$2" --first "$3" --rows "$4" "${@:5}"
}

copy_rows()
{
	ready "$index" || return
	measure load "${tags[@]}" "${session[@]}" --tag part:copy --table "public.$table" --base "$BENCH_DATA/$set.base.f32" \
		--first "$1" --rows "$2"
}

search_after()
{
	sql "ANALYZE $table"
	sweep "$1" "$2" "$table" "$index" ''
}

# vacuum PART: a timed VACUUM of the table, its index included
vacuum()
{
	measure time "${tags[@]}" "${session[@]}" --set "maintenance_work_mem=$(build_memory)" --tag "part:$1" \
		--sql "VACUUM (INDEX_CLEANUP ON) $table" --relation "$index"
}

delete_and_vacuum()
{
	ready "$index" || return
	sql "DELETE FROM $table WHERE f < 200; CHECKPOINT"
	vacuum vacuum
}

# Twenty rounds that delete a twentieth of the rows, vacuum, and insert the same rows again, until every row has been
# replaced once: what that does to size and recall.
cycles_part()
{
	local table=${table}_cycles index=${index}_cycles values

	ours || return 0
	values=$(values_at_recall)
	[ -z "$values" ] || step cycles measure_cycles
}

measure_cycles()
{
	local round low

	sql "DROP TABLE IF EXISTS $table"
	load_table "$table" 0 all && build_index "$table" "$index" "v $opclass" before_cycles || return
	sweep before_cycles gt "$table" "$index" '' || return
	for round in {1..20}; do
		low=$((round * 50 - 50))
		sql "DELETE FROM $table WHERE f >= $low AND f < $low + 50"
		vacuum cycle_vacuum && insert_rows cycle_insert 2 0 "$SET_ROWS" --filter "$low-$((low + 50))" || return
	done
	vacuum after_cycles && sweep after_cycles gt "$table" "$index" ''
	sql "DROP TABLE $table"
}

# little_memory PART [-c SETTING=VALUE]...: all indexes with shared_buffers at an eighth of the smallest graph index, then
# back to the usual server. With debug_io_direct, which PostgreSQL has from 16 on, the system's page cache has no part
# in it: what is not in shared_buffers comes from the disk.
little_memory()
{
	local part=$1 size

	! time_is_up || return 0
	[ "$part" != cold ] || [ "$(sql "SELECT count(*) FROM pg_settings WHERE name = 'debug_io_direct'")" = 1 ] || return 0
	size=$(sql "SELECT min(pg_relation_size(c.oid)) / 8 / 8192 FROM pg_class c JOIN pg_am a ON a.oid = c.relam
		WHERE a.amname IN ('hnsw', 'vc_hnsw') AND c.relname LIKE '${set//[^a-z0-9]/_}\\_%\\_v'")
	[ -n "$size" ] || return 0
	sql CHECKPOINT
	stop_server
	start_server "$((size * 8))kB" "${@:2}"
	each_index search_little_memory "$part"
	stop_server
	start_server 2GB
}

# Around the main recall only, and with few queries: some need thousands of reads for each.
search_little_memory()
{
	local values seconds=$((seconds * 2))

	representative || return 0
	values=$(values_at_recall around)
	[ -z "$values" ] || step "$1" sweep "$1" gt "$table" "$index" '' --queries 200 \
		--tag "shared_buffers:$(sql 'SHOW shared_buffers')"
}
