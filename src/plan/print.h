/* print.h - a plan as JSON, for inspect and result records. */
#ifndef CL_PLAN_PRINT_H
#define CL_PLAN_PRINT_H

#include "base/json.h"
#include "plan/plan.h"

/* Writes every set field whose path has no dot, as members of the object that is
 * open in JSON. Program bytes are given as their size. */
void cl_plan_print(const struct cl_plan *plan, struct cl_json *json);

/* Writes the member "limits": every limit as it is applied, null where there is none; sizes
 * as NAME_bytes, times as NAME_ns, cpus as a decimal number, "ulimits" as an object of
 * objects with soft and hard, a number or "unlimited". */
void cl_plan_print_limits(const struct cl_plan *plan, struct cl_json *json);

#endif
