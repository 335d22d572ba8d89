/*
 * distance_cost.h, what it costs to get at a value that a distance is asked of.
 */
#ifndef VC_DISTANCE_COST_H
#define VC_DISTANCE_COST_H

#include "vectorcoll.h"

/* The simple operators, as the planner counts, that fetching a value of so many bytes takes that is stored out of line. */
extern double vc_operators_to_fetch(Size bytes);

#endif /* VC_DISTANCE_COST_H */
