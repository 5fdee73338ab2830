/* cloister-wasm - the worker: runs compiled WebAssembly modules.
 *
 * A placeholder: it makes the engine and says its version, so that building, size and start can be
 * measured. */
#include <unistd.h>

#include "base/fd.h"
#include "policy/wasm.h"

int main(void)
{
    static const char version[] = "cloister-wasm " CL_VERSION ", " CL_WASM_ENGINE "\n";
    wasm_config_t *config = wasm_config_new();

    cl_wasm_configure(config);
    wasm_engine_t *engine = wasm_engine_new_with_config(config);
    int r = cl_write_all(STDOUT_FILENO, version, sizeof(version) - 1);
    wasm_engine_delete(engine);
    return r < 0;
}
