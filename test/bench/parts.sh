# shellcheck shell=bash disable=SC2154
# parts.sh: the measurements beyond plain search: clients, filters, writes, little memory, builds. Sourced by bench,
# whose variables and functions it uses; each function here works on the index that parse_index described last.

# One index of each kind is enough where the question is not which options are best.
representative() { case $name in vc_hnsw | vc_ivf | 'pgvector hnsw: 16/64' | 'pgvector ivfflat') true ;; *) false ;; esac; }

# The recall at which two indexes are compared, in the parts that use one setting.
main_recall() { case $set in wink*) echo 0.95 ;; *) echo 0.99 ;; esac; }

# The first value swept that reached the main recall in this run; nothing where none did.
value_at_recall()
{
	awk -F '\t' -v set="$set" -v name="$name" -v want="$(main_recall)" '
		{
			split("", r)
			for (i = 1; i <= NF; i++) { at = index($i, ":"); r[substr($i, 1, at - 1)] = substr($i, at + 1) }
		}
		r["kind"] == "search" && r["part"] == "search" && r["set"] == set && r["index"] == name && r["recall"] >= want {
			sub(/.*=/, "", r["setting"])
			print r["setting"]
			exit
		}' "$results"
}

# Two clients beside one, in turn, at the setting that reaches the main recall.
clients_part()
{
	local values clients

	values=$(value_at_recall)
	[ -n "$values" ] || return 0
	for clients in 1 2 1 2; do
		sweep clients gt "$table" "$index" '' --clients "$clients"
	done
}

# Batches of 100 and 1,000 queries in one call beside single statements, in turn, at the setting that reaches the main recall. Ids
# are joined to the answers, in order, as single statements return them.
batch_part()
{
	local values size nearest

	[ "$extension" = vectorcoll ] && representative || return 0
	values=$(value_at_recall)
	[ -n "$values" ] && ready "$index" || return 0
	nearest="SELECT t.id FROM vectorcoll.knn_batch('$index', \$1::${type}[], 10) r JOIN $table t ON t.ctid = r.ctid ORDER BY r.query_no, r.rank"
	for size in 100 1000 100 1000; do
		sweep batch1 gt "$table" "$index" ''
		say "$set: $name: batch of $size"
		measure search "${tags[@]}" "${session[@]}" "${files[@]}" --tag "part:batch$size" --truth "$BENCH_DATA/$set.gt.i32" \
			--sql "$nearest" --batch "$size" --seconds "$seconds" --sweep "$setting=$values" || true
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
	sweep recall gt "$table" "$index" ''
}

# Plans that the planner takes beside the fastest ones, on generated tables of their own (plans.sql).
plans_part()
{
	local rows=1000000

	case $name in vc_hnsw | vc_ivf) ;; *) return 0 ;; esac
	[ -z "$quick" ] || rows=10000
	say "plans: $name"
	PGOPTIONS="-c search_path=$schema,public" psql -X -q -v ON_ERROR_STOP=1 -v method="$am" -v rows="$rows" -v dim=32 \
		-f "$BENCH_SRC/plans.sql" 2>&1 | sed -n 's/^.*INFO:  //p' >> "$results"
}

# WHERE f < n for 10 %, 1 % and 0.1 % of the rows. Ours has f as a second key column where it can; a peer filters what
# its index yields, scanning on until LIMIT is met. 200 queries, since a peer may look at much of its index for each.
filter_part()
{
	local limit table=$table index=$index options_of_peer=()

	representative || return 0
	case $am in
		hnsw) options_of_peer=(--set hnsw.iterative_scan=relaxed_order --set hnsw.max_scan_tuples=1000000
			--set hnsw.scan_mem_multiplier=8) ;;
		ivfflat) options_of_peer=(--set ivfflat.iterative_scan=relaxed_order) ;;
		*)
			load_table "${table}_filter" 0 all || return 0
			if ready "${index}_filter" || build_index "${table}_filter" "${index}_filter" "v $opclass, f" filter; then
				table+=_filter index+=_filter
			fi ;;
	esac
	for limit in 100 10 1; do
		sweep "filter$limit" "gt-0-$limit" "$table" "$index" "f < $limit" --queries 200 "${options_of_peer[@]}"
	done
}

# Half the rows indexed, the others inserted: some by one client, some by eight, the rest by eight; then 20 % deleted.
writes_part()
{
	local table=${table}_w index=${index}_w values half=$((SET_ROWS / 2)) some=$((SET_ROWS / 20))

	representative || return 0
	values=$(value_at_recall)
	[ -n "$values" ] || return 0
	sql "DROP TABLE IF EXISTS $table"
	load_table "$table" 0 "$half" && build_index "$table" "$index" "v $opclass" half || return 0
	insert_rows insert 1 "$half" "$some" &&
		insert_rows insert8 8 $((half + some)) "$some" &&
		insert_rows insert_rest 8 $((half + 2 * some)) $((SET_ROWS - half - 2 * some)) || return 0
	sql "ANALYZE $table"
	sweep after_insert gt "$table" "$index" ''
	sql "DELETE FROM $table WHERE f < 200; CHECKPOINT"
	measure time "${tags[@]}" "${session[@]}" --set "maintenance_work_mem=$(build_memory)" --tag part:vacuum \
		--sql "VACUUM (INDEX_CLEANUP ON) $table" --relation "$index" || return 0
	sweep after_vacuum gt-200-1000 "$table" "$index" ''
}

# insert_rows PART CLIENTS FIRST ROWS
insert_rows()
{
	say "$set: $name: $1"
	measure insert "${tags[@]}" "${session[@]}" --tag "part:$1" --table "public.$table" --base "$BENCH_DATA/$set.base.f32" \
		--clients "$2" --first "$3" --rows "$4"
}

# How our builds scale with workers, and what they do with little memory.
workers_part()
{
	local how

	case $name in vc_hnsw | vc_ivf) ;; *) return 0 ;; esac
	ready "$table" || return 0
	for how in max_parallel_maintenance_workers=0 max_parallel_maintenance_workers=1 maintenance_work_mem=64MB; do
		(tags+=(--tag "how:$how"); build_index "$table" "${index}_workers" "v $opclass" workers "$how") || true
		sql "DROP INDEX IF EXISTS ${index}_workers"
	done
}

# All indexes with shared_buffers at an eighth of the smallest graph index, then back to the usual server.
memory_part()
{
	local size

	size=$(sql "SELECT min(pg_relation_size(c.oid)) / 8 / 8192 FROM pg_class c JOIN pg_am a ON a.oid = c.relam
		WHERE a.amname IN ('hnsw', 'vc_hnsw') AND c.relname LIKE '${set//[^a-z0-9]/_}\\_%\\_v'")
	[ -n "$size" ] || return 0
	stop_server
	start_server "$((size * 8))kB"
	each_index memory_search
	stop_server
	start_server 2GB
}

memory_search()
{
	! representative || sweep memory gt "$table" "$index" '' --tag "shared_buffers:$(sql 'SHOW shared_buffers')"
}
