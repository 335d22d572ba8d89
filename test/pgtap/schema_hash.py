"""Prints the hashes of the collection schemas in $VC_SCHEMAS: SHA-256 of what json.dumps makes of their functional part."""
import hashlib
import json
import os


def canonical(schema):
    fields = []
    for f in schema["fields"]:
        g = {"name": f["name"], "dtype": f["dtype"]}
        g.update({k: f.get(k, False) for k in ("is_primary", "auto_id", "is_partition_key")})
        if g["is_primary"] and schema.get("auto_id"):
            g["auto_id"] = True
        g.update({k: int(f[k]) for k in ("dim", "max_length") if k in f})
        g.update({k: f[k] for k in ("element_type",) if k in f})
        fields.append(g)
    return {
        "fields": sorted(fields, key=lambda f: f["name"]),
        "enable_dynamic_field": schema.get("enable_dynamic_field", False),
        "shard_num": int(schema.get("shard_num", 1)),
    }


def schema_hash(schema):
    return hashlib.sha256(json.dumps(canonical(schema), sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    for schema in json.loads(os.environ["VC_SCHEMAS"]):
        print(schema_hash(schema))
