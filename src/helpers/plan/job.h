/* job.h - a job's file (YAML, JSON being a subset) as a record of plan/job.h.
 *
 *     name: analyse                    # of the sandbox
 *     tenant: example
 *     image: debian:12                 # as `cloister run` has it
 *     policy: {profile: build, limits: {time: 20m}}     # the keys of a policy's file
 *     env: {CI: "true"}                # of all steps
 *     workdir: /work
 *     copy_in: [{from: ./rules, to: /rules}]
 *     steps:
 *       - {name: clone, run: "git clone https://example.org/code.git ."}
 *       - {name: analyse, command: [analyse, --json], env: {A: b}, workdir: /work/src,
 *          timeout: 5m, allow_failure: true}
 *     artifacts: [/work/report.json, {path: /work/log, to: logs}]
 *     shell: [/bin/bash, -e, -c]       # what a text to run is appended to
 *
 * Everything else is an error with its place: NAME:LINE:COLUMN: PATH: why.
 */
#ifndef CL_HELPERS_PLAN_JOB_H
#define CL_HELPERS_PLAN_JOB_H

#include "helpers/common/report.h"
#include "plan/job.h"

/* What RET holds lives in ARENA. */
int cl_job_parse(const struct cl_document *document, struct cl_arena *arena, struct cl_job *ret,
                 struct cl_error *err);

#endif
