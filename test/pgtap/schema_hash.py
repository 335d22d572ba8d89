"""Prints the hash of the collection schema in $VC_SCHEMA: SHA-256 of what json.dumps makes of its functional part."""
import hashlib
import json
import os

schema = json.loads(os.environ["VC_SCHEMA"])
fields = []
for f in schema["fields"]:
    g = {"name": f["name"], "dtype": f["dtype"]}
    g.update({k: f.get(k, False) for k in ("is_primary", "auto_id", "is_partition_key")})
    g.update({k: int(f[k]) for k in ("dim", "max_length") if k in f})
    g.update({k: f[k] for k in ("element_type",) if k in f})
    fields.append(g)
canonical = {
    "fields": sorted(fields, key=lambda f: f["name"]),
    "enable_dynamic_field": schema.get("enable_dynamic_field", False),
    "shard_num": schema.get("shard_num", 1),
}
print(hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest())
