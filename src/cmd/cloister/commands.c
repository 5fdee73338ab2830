/* commands.c - which commands there are, one a line, in the order of help. */
#include "cmd/cloister/command.h"

// clang-format off
const struct cl_command *const cl_commands[] = {
    &cl_command_run,
    &cl_command_exec,
    &cl_command_job,
    &cl_command_attach,
    &cl_command_ps,
    &cl_command_stats,
    &cl_command_events,
    &cl_command_inspect,
    &cl_command_logs,
    &cl_command_wait,
    &cl_command_stop,
    &cl_command_kill,
    &cl_command_pause,
    &cl_command_unpause,
    &cl_command_rm,
    &cl_command_cp,
    &cl_command_pull,
    &cl_command_import,
    &cl_command_images,
    &cl_command_rmi,
    &cl_command_login,
    &cl_command_logout,
    &cl_command_wasm,
    &cl_command_prune,
    &cl_command_doctor,
    &cl_command_completion,
    &cl_command_version,
};
// clang-format on
const size_t cl_command_count = CL_ARRAY_SIZE(cl_commands);
