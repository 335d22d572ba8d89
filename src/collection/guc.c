/*
 * guc.c
 *		Settings of the collections room.
 */
#include "collection.h"

#include "utils/guc.h"

bool vc_require_loaded = false;
double vc_load_max_share = 0.75;
int vc_lease_seconds = 300;

void
vc_collection_init_guc(void)
{
	DefineCustomBoolVariable("vectorcoll.require_loaded", "Refuse searches of collections that are not loaded.",
							 "A search of a collection that load_collection has not brought into memory since the server "
							 "started, or that was released, then fails with VC101.",
							 &vc_require_loaded, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("vectorcoll.load_max_share",
							 "Largest collection that load_collection accepts, as a share of shared_buffers.", NULL,
							 &vc_load_max_share, 0.75, 0.01, 1.0, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("vectorcoll.lease_time", "Time after which a lease that is not renewed may be taken over.",
							NULL, &vc_lease_seconds, 300, 1, 86400, PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
}
